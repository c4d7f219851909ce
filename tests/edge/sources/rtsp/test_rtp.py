"""Marks in a camera's RTP stream, numbers that go on, and pieces of one picture that get one time stamp."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.sources.rtsp.rtp import EndMarks, new_mark, payload_types

MARK = new_mark()
CODED = {96: "H264", 98: "H265"}


def rtp(
    payload: bytes, *, last: bool = False, kind: int = 96, number: int = 7, stamp: int = 90_000, flags: int = 0
) -> bytes:
    """An interleaved packet on channel 0."""
    head = struct.pack(">BBHII", 0x80 | flags, kind | (0x80 if last else 0), number & 0xFFFF, stamp, 4711)
    return struct.pack(">cBH", b"$", 0, len(head) + len(payload)) + head + payload


def parsed(stream: bytes) -> list[tuple[int, int, int, bool, bytes]]:
    """(payload type, number, stamp, marked, payload) of each packet."""
    found, place = [], 0
    while place < len(stream):
        dollar, _, length = struct.unpack_from(">cBH", stream, place)
        assert dollar == b"$"
        _, kind, number, stamp, _ = struct.unpack_from(">BBHII", stream, place + 4)
        found.append((kind & 127, number, stamp, kind > 127, stream[place + 16 : place + 4 + length]))
        place += 4 + length
    return found


def test_without_a_known_codec_nothing_is_changed() -> None:
    marks, packet = EndMarks({}, MARK), rtp(b"x", last=True)
    assert marks.first(0) == b"" and marks.marked(packet) == packet


def test_a_mark_goes_ahead_and_one_follows_each_marked_packet_with_its_number_and_time() -> None:
    marks = EndMarks(CODED, MARK)
    stream = marks.first(0) + b"".join(
        marks.marked(rtp(b"\x67" + bytes(4), last=number % 3 == 2, number=65_530 + number, stamp=number // 3))
        for number in range(9)
    )
    packets = parsed(stream)
    assert [packet[4] == MARK for packet in packets] == [True, *[False, False, False, True] * 3]
    assert [packet[1] for packet in packets] == [0, 1, 2, 3, 3, 4, 5, 6, 6, 7, 8, 9, 9]
    assert [packet[2] for packet in packets[1:]] == [0] * 4 + [1] * 4 + [2] * 4


@pytest.mark.parametrize("jump", [20_000, -20_000, 1500, 40_000])
def test_a_sequence_that_begins_anew_goes_on(jump: int) -> None:
    marks = EndMarks(CODED, MARK)
    numbers = [*range(100, 110), *range(100 + jump, 110 + jump)]
    out = [parsed(marks.marked(rtp(b"\x67", number=number)))[0][1] for number in numbers]
    assert out == list(range(1, 21))


def test_lost_and_repeated_packets_keep_their_distance() -> None:
    marks = EndMarks(CODED, MARK)
    numbers = [10, 11, 14, 14, 13, 15, 400]
    assert [parsed(marks.marked(rtp(b"\x67", number=n)))[0][1] for n in numbers] == [1, 2, 5, 5, 4, 6, 391]


FRAGMENTS = {
    "H264": (96, [b"\x7c\x85\x88a", b"\x7c\x05bcd", b"\x7c\x45ef"]),
    "H264 slices": (96, [b"\x65\x88aa", b"\x65\x22bb", b"\x7c\x85\x22c", b"\x7c\x45dd"]),
    "H265": (98, [b"\x62\x01\x93\x80a", b"\x62\x01\x13bcd", b"\x62\x01\x53ef"]),
    "H265 slices": (98, [b"\x26\x01\x80aa", b"\x26\x01\x20bb", b"\x62\x01\x93\x20c", b"\x62\x01\x53dd"]),
}


@pytest.mark.parametrize(("kind", "pieces"), FRAGMENTS.values(), ids=FRAGMENTS.keys())
def test_pieces_of_a_picture_with_stamps_of_their_own_get_the_first_one(kind: int, pieces: list[bytes]) -> None:
    marks, number, found = EndMarks(CODED, MARK), 0, []
    for picture in range(3):
        for place, piece in enumerate(pieces):
            number += 1
            packet = rtp(piece, kind=kind, number=number, stamp=1000 * picture + place, last=place == len(pieces) - 1)
            found.append(parsed(marks.marked(packet))[0][2])
    assert found == [1000 * picture for picture in range(3) for _ in pieces]


def test_a_new_picture_whose_begin_was_lost_keeps_its_stamp() -> None:
    marks = EndMarks(CODED, MARK)
    marks.marked(rtp(b"\x7c\x85\x88a", number=1, stamp=1))
    assert parsed(marks.marked(rtp(b"\x7c\x05b", number=4, stamp=2)))[0][2] == 2


@given(
    st.lists(
        st.builds(
            rtp,
            st.binary(max_size=40),
            last=st.booleans(),
            kind=st.sampled_from((96, 98, 26)),
            number=st.integers(0, 65535),
            stamp=st.integers(0, 2**32 - 1),
            flags=st.integers(0, 63),
        ),
        max_size=12,
    )
)
def test_payloads_pass_as_they_are_whatever_comes(packets: list[bytes]) -> None:
    marks = EndMarks(CODED, MARK)
    out = parsed(b"".join(map(marks.marked, packets)))
    assert [packet[4] for packet in out if packet[4] != MARK] == [packet[16:] for packet in packets]


def test_a_mark_holds_no_start_code_and_is_unlike_the_last_one() -> None:
    marks = {new_mark() for _ in range(50)}
    assert len(marks) == 50
    assert all(b"\0" not in mark and len(mark) == 34 for mark in marks)


def test_payload_types_are_those_of_h264_and_h265() -> None:
    assert payload_types(b"") == {}
    description = (
        b"v=0\r\na=rtpmap:96 h264/90000\r\na=rtpmap:98 H265/90000\r\na=rtpmap:26 JPEG/90000\r\na=rtpmap:0 PCMU/8000"
    )
    assert payload_types(description) == {96: "H264", 98: "H265"}


@pytest.mark.parametrize("last", [True, False])
def test_a_pause_behind_a_marked_picture_is_told_once(last: bool) -> None:
    marks = EndMarks(CODED, MARK)
    assert marks.paused() == b"", "nothing came yet"
    for number in range(3):
        sent = marks.marked(rtp(b"\x65\x88", number=number, stamp=number, last=last))
        told = marks.paused() + marks.paused()
        assert told == (sent[-len(told) :] if last else b"") and len(parsed(told)) == last


def test_a_packet_without_a_mark_behind_one_that_had_it_leaves_nothing_to_tell() -> None:
    marks = EndMarks(CODED, MARK)
    marks.marked(rtp(b"\x65\x88", last=True))
    marks.marked(rtp(b"\x41\x22", number=8, stamp=90_001))
    assert marks.paused() == b""
