"""What a camera may say to FFmpeg before playing."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.sources.base import SourceError
from edge.sources.rtsp.camera_url import CameraUrl
from edge.sources.rtsp.reply_gate import LONGEST_BODY, ReplyGate

URL = CameraUrl.parse("rtsp://viewer:s3cret@192.168.1.20/live")
OPTIONS = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nPublic: OPTIONS, DESCRIBE\r\n\r\n"
DESCRIBE = b"RTSP/1.0 200 OK\r\nCSeq: 2\r\nContent-Length: 5\r\n\r\nv=0\r\n"


def gate() -> ReplyGate:
    return ReplyGate(URL)


def test_nothing_passes_when_nothing_came() -> None:
    assert gate().passes(b"") == b""


@given(st.lists(st.integers(0, len(OPTIONS + DESCRIBE)), max_size=6))
def test_replies_pass_unchanged_however_they_are_cut(cuts: list[int]) -> None:
    text, one = OPTIONS + DESCRIBE, gate()
    edges = [0, *sorted(cuts), len(text)]
    assert b"".join(one.passes(text[a:b]) for a, b in pairwise(edges)) == text


def test_part_of_a_reply_waits() -> None:
    one = gate()
    assert one.passes(DESCRIBE[:-1]) == b""
    assert one.passes(DESCRIBE[-1:]) == DESCRIBE


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r\r\n"])
@pytest.mark.parametrize("status", [300, 301, 302, 303, 305, 307, 399])
def test_redirect_never_passes_whatever_ends_its_lines(status: int, end: bytes) -> None:
    redirect = end.join([b"RTSP/1.0 %d Moved" % status, b"Location: rtsp://10.0.0.1/", b"", b""])
    for before in (b"", OPTIONS, b"\r\n", b"$\0\0\4abcd"):
        one = gate()
        with pytest.raises(SourceError, match="another address") as refused:
            one.passes(before + redirect)
        assert refused.value.code == "connection_failed"
        assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"RTSP/1.0 abc\r\n\r\n",
        b"RTSP/1.0\t302 Moved\r\n\r\n",
        b"REDIRECT rtsp://10.0.0.1/ RTSP/1.0\r\nCSeq: 1\r\n\r\n",
        b"RTSP/1.0 200 OK\r\nContent-Length: 5\r\nContent-Length: 9\r\n\r\n",
        b"RTSP/1.0 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"RTSP/1.0 200 OK\r\nContent-Length-Of-It: 5\r\n\r\n",
        b"RTSP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % (LONGEST_BODY + 1),
        b"RTSP/1.0 200 O\0K\r\n\r\n",
        b"RTSP/1.0 200 OK\r\nX: " + b"a" * 20_000,
    ],
)
def test_what_is_no_rtsp_reply_is_refused(text: bytes) -> None:
    with pytest.raises(SourceError, match="does not speak RTSP"):
        gate().passes(text)


def test_media_left_over_from_before_is_dropped() -> None:
    assert gate().passes(b"$\0\0\4abcd" + OPTIONS) == OPTIONS


def test_everything_passes_once_open() -> None:
    one = gate()
    assert one.passes(b"RTSP/1.0 200") == b""
    assert one.open() == b"RTSP/1.0 200"
    assert one.passes(b"RTSP/1.0 302 Moved\r\n\r\n$anything") == b"RTSP/1.0 302 Moved\r\n\r\n$anything"


@given(st.lists(st.sampled_from([b"RTSP/1.0 ", b"302", b"200", b" ", b"\r", b"\n", b"\r\n\r\n", b"$", b"\0\0\0\1"])))
def test_no_line_that_ffmpeg_would_take_for_a_redirect_ever_leaves(parts: list[bytes]) -> None:
    """FFmpeg ends lines at a line feed and skips carriage returns wherever they stand."""
    one, out = gate(), b""
    try:
        for part in parts:
            out += one.passes(part)
    except SourceError:
        pass
    assert not re.search(rb"RTSP/1.0 +3", out.replace(b"\r", b""))
