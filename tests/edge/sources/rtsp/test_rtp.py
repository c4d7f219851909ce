"""Marks in a camera's RTP stream, and a camera that sends anything but one."""

import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.sources.rtsp.reply_gate import LONGEST_BODY, LONGEST_HEAD
from edge.sources.rtsp.rtp import EndMarks, new_mark, payload_types

MARK = new_mark()
REPLY = b"RTSP/1.0 200 OK\r\nCSeq: 7\r\nContent-Length: 6\r\n\r\n$\0\xff\xff\r\n"
REQUEST = b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"


def rtp(
    payload: bytes, *, last: bool = False, kind: int = 96, number: int = 7, channel: int = 0, flags: int = 0
) -> bytes:
    """An interleaved packet."""
    head = struct.pack(">BBHII", 0x80 | flags, kind | (0x80 if last else 0), number, 90_000, 4711)
    return struct.pack(">cBH", b"$", channel, len(head) + len(payload)) + head + payload


def through(stream: bytes, cuts: list[int] | None = None, marks: EndMarks | None = None) -> bytes:
    marks = marks or EndMarks(frozenset({96}), MARK)
    edges = [0, *sorted(cuts or []), len(stream)]
    return b"".join(marks.passes(stream[a:b]) for a, b in pairwise(edges))


packets = st.builds(
    rtp,
    st.binary(max_size=60),
    last=st.booleans(),
    kind=st.sampled_from((96, 97, 72)),
    number=st.integers(0, 65535),
    channel=st.integers(0, 3),
)
streams = st.lists(st.one_of(packets, st.sampled_from((REPLY, REQUEST, b"\r\n"))), max_size=12).map(b"".join)


def test_nothing_passes_when_nothing_came() -> None:
    assert through(b"") == b""


def test_a_mark_follows_each_marked_packet_and_stands_before_the_first_one() -> None:
    first, last = rtp(b"\x67begin", number=41), rtp(b"\x65end", last=True, number=42)
    assert through(first + last + first) == (
        rtp(MARK, number=41) + first + last + rtp(MARK, last=True, number=42) + first
    )


def test_a_mark_has_the_time_of_its_picture_and_neither_padding_nor_extension() -> None:
    padded = rtp(b"\0\0\0\4", last=True, flags=0x3F)
    assert through(padded)[-len(rtp(MARK)) :] == rtp(MARK, last=True)


def test_other_media_and_reports_are_not_marked() -> None:
    stream = rtp(b"sound", last=True, kind=0) + rtp(b"report", last=True, kind=72, channel=1)
    assert through(stream) == stream


@given(streams, st.lists(st.floats(0, 1), max_size=8))
def test_the_same_comes_out_however_the_stream_is_cut(stream: bytes, cuts: list[float]) -> None:
    assert through(stream, [int(cut * len(stream)) for cut in cuts]) == through(stream)


def test_the_same_comes_out_byte_by_byte() -> None:
    stream = rtp(b"begin") + REPLY + REQUEST + b"\r\n" + rtp(b"end", last=True) + REPLY + rtp(b"", last=True)
    assert through(stream, list(range(len(stream)))) == through(stream)
    assert through(stream).count(MARK) == 3


@given(streams)
def test_without_its_marks_the_stream_is_what_the_camera_sent(stream: bytes) -> None:
    found, rest = b"", through(stream)
    while MARK in rest:
        before, _, rest = rest.partition(MARK)
        found += before[:-16]
    assert found + rest == stream


@given(st.one_of(st.binary(max_size=200), streams.map(lambda one: one + b"noise")), st.lists(st.integers(0, 200)))
def test_nonsense_breaks_nothing(stream: bytes, cuts: list[int]) -> None:
    through(stream, [min(cut, len(stream)) for cut in cuts])


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\xff\xd8 neither RTP nor RTSP",
        struct.pack(">cBH", b"$", 0, 7) + b"1234567",  # FFmpeg takes the body of so short a packet for text
        b"RTSP/1.0 200 OK\r\n$\0\0\x10here FFmpeg sees a packet\r\n\r\n",
        b"RTSP/1.0 200 OK\r\nContent-Length: 5\r\nContent-Length: 500\r\n\r\nwhich",
        b"RTSP/1.0 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"RTSP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % (LONGEST_BODY + 1),
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_after_nonsense_all_passes_as_it_comes(nonsense: bytes) -> None:
    marks = EndMarks(frozenset({96}), MARK)
    packet = rtp(b"end", last=True)
    assert marks.passes(nonsense) == nonsense
    assert marks.passes(packet) == packet


def test_what_is_held_back_is_bounded() -> None:
    marks = EndMarks(frozenset({96}), MARK)
    came = passed = 0
    for _ in range(100):
        came += 1000
        passed += len(marks.passes(b"A" * 1000))
        assert came - passed <= LONGEST_HEAD + 1000
    marks = EndMarks(frozenset({96}), MARK)
    packet = rtp(bytes(65_000))
    assert marks.passes(packet[:-1]) == b"" and len(marks.passes(packet[-1:])) > 65_000


def test_a_mark_holds_no_start_code_and_is_unlike_the_last_one() -> None:
    marks = {new_mark() for _ in range(50)}
    assert len(marks) == 50
    assert all(b"\0" not in mark and len(mark) == 34 for mark in marks)


def test_payload_types_are_those_of_h264_and_h265() -> None:
    assert payload_types(b"") == frozenset()
    description = (
        b"v=0\r\na=rtpmap:96 h264/90000\r\na=rtpmap:98 H265/90000\r\na=rtpmap:26 JPEG/90000\r\na=rtpmap:0 PCMU/8000"
    )
    assert payload_types(description) == {96, 98}
