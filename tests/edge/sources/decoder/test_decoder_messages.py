"""Messages between a decoder and its reader: round trips, and nonsense."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.ops.pixels import COLOURS
from edge.sources.base import SourceError
from edge.sources.decoder.messages import Exited, Format, Note, Packet, Picture, Started, pack_error, unpack

UINT32 = st.integers(0, 2**32 - 1)
SECONDS = st.floats(0, 1e10)


@given(
    st.builds(
        Picture,
        slot=st.integers(0, 255),
        width=UINT32,
        height=UINT32,
        number=st.integers(0, 2**64 - 1),
        pts=st.none() | st.integers(-(2**62), 2**62),
        time_base=st.tuples(UINT32, UINT32),
        monotonic_s=SECONDS,
        unix_s=SECONDS,
        frame_rate=st.none() | st.floats(1, 240),
        frozen=st.booleans(),
        damaged=st.booleans(),
        nv12=st.sampled_from((None, *COLOURS)),
    )
)
def test_picture_headers_arrive_as_they_were(picture: Picture) -> None:
    assert unpack(picture.pack()) == picture


def test_time_stamp_is_in_seconds_and_none_where_it_is_not_known() -> None:
    known = Picture(0, 8, 8, 0, 450, (1, 90_000), 0.0, 0.0, None, False, False)
    assert known.stamp_s == pytest.approx(0.005)
    assert Picture(0, 8, 8, 0, None, (1, 90_000), 0.0, 0.0, None, False, False).stamp_s is None
    assert Picture(0, 8, 8, 0, 450, (0, 0), 0.0, 0.0, None, False, False).stamp_s is None


@given(st.from_regex(r"[a-z_]{1,30}", fullmatch=True), st.text(max_size=400))
def test_failures_arrive_with_code_and_text(code: str, text: str) -> None:
    error = unpack(pack_error(SourceError(code, text)))
    assert isinstance(error, SourceError)
    assert (error.code, str(error)) == (code, text)


@given(
    st.builds(
        Packet,
        slot=st.integers(0, 255),
        nbytes=UINT32,
        pts=st.none() | st.integers(-(2**62), 2**62),
        time_base=st.tuples(UINT32, UINT32),
        monotonic_s=SECONDS,
        unix_s=SECONDS,
        frame_rate=st.none() | st.floats(1, 240),
    ),
    st.builds(Format, codec=st.from_regex(r"[a-z0-9]{1,20}", fullmatch=True), extradata=st.binary(max_size=1000)),
)
def test_coded_video_and_its_format_arrive_as_they_were(packet: Packet, form: Format) -> None:
    assert unpack(packet.pack()) == packet
    assert unpack(form.pack()) == form


def test_a_note_is_one_printable_line_however_it_was_written() -> None:
    assert unpack(Note("the GPU refuses h264").pack()) == Note("the GPU refuses h264")
    assert unpack(Note("ä" * 600).pack()) == Note("?" * 500)
    assert unpack(Note("two\nlines\x1b[2J").pack()) == Note("two lines [2J")
    for forged in (b"Ntwo\nlines", b"N\x1b[2J", b"N\xc3\xa4"):
        with pytest.raises(ValueError, match="unknown kind"):
            unpack(forged)


def test_birth_and_death_arrive() -> None:
    assert unpack(Started(4711).pack()) == Started(4711)
    assert unpack(Exited(-11).pack()) == Exited(-11)


@given(st.sampled_from([b"", b"P", b"F", b"S", b"X", b"N", b"T", b"V", b"?"]), st.binary(max_size=80))
def test_nonsense_is_refused_and_breaks_nothing(kind: bytes, body: bytes) -> None:
    try:
        message = unpack(kind + body)
    except ValueError:
        return
    assert isinstance(message, Picture | Packet | Format | Note | SourceError | Started | Exited)


@pytest.mark.parametrize("field", ["monotonic_s", "unix_s", "frame_rate"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_time_that_is_no_number_is_refused(field: str, value: float) -> None:
    picture = Picture(0, 8, 8, 0, None, (1, 90_000), 1.0, 2.0, 25.0, False, False)
    with pytest.raises(ValueError, match="no number"):
        unpack(replace(picture, **{field: value}).pack())
