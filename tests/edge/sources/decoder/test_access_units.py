"""Pieces of pictures, as FFmpeg hands RTP's payloads out, joined to pictures."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.sources.decoder.access_units import CODECS, MOST_BYTES, PROOF, AccessUnit, AccessUnits
from edge.sources.rtsp.rtp import new_mark

MARK = new_mark()
START = b"\0\0\0\1"
HEADS = {"h264": b"\x67", "hevc": b"\x42\x01"}  # a sequence parameter set's
FIRST = {"h264": b"\x41\x9a", "hevc": b"\x02\x01\xd0"}  # a picture's first slice, and a further one
FURTHER = {"h264": b"\x41\x22", "hevc": b"\x02\x01\x50"}


@dataclass
class Camera:
    """Sends pictures of three slices, the last one in two fragments, into `AccessUnits`."""

    codec: str
    units: AccessUnits = field(init=False)
    came: float = 0.0
    """The time of the last piece."""
    every_s: float = 0.01
    """Between two pieces."""
    found: list[AccessUnit] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.units = AccessUnits(self.codec, MARK)

    def piece(self, piece: bytes, pts: int | None) -> None:
        self.came += self.every_s
        unit = self.units.add(piece, pts, (self.came, 1e9 + self.came))
        if unit is not None:
            self.found.append(unit)

    def mark(self, pts: int | None = 0) -> None:
        self.piece(START + MARK, pts)

    def pieces(self, number: int, key: bool = False) -> list[bytes]:
        name = str(number).encode()
        slices = [START + FIRST[self.codec] + name, START + FURTHER[self.codec] + name]
        slices += [START + FURTHER[self.codec] + name, b"rest of a slice " + name]
        return [START + HEADS[self.codec], *slices] if key else slices

    def picture(self, number: int, marked: bool = True) -> bytes:
        pieces = self.pieces(number, key=number % 4 == 0)
        for piece in pieces:
            self.piece(piece, number)
        if marked:
            self.mark(number)
        return b"".join(pieces)


@pytest.fixture(params=CODECS)
def camera(request: pytest.FixtureRequest) -> Camera:
    return Camera(request.param)


def test_nothing_comes_of_marks_alone(camera: Camera) -> None:
    camera.mark()
    camera.mark()
    assert camera.found == []


def test_pictures_come_whole_with_their_time_stamp_and_the_time_of_their_last_piece(camera: Camera) -> None:
    sent = [camera.picture(number, marked=False) for number in range(3)]
    assert [unit.coded for unit in camera.found] == sent[:2]
    assert [unit.pts for unit in camera.found] == [0, 1]
    assert camera.found[0].came == pytest.approx((0.05, 1e9 + 0.05))


def test_key_pictures_are_known_by_what_is_in_them(camera: Camera) -> None:
    key = {"h264": (b"\x65\x88", b"\x06\x06\x84", b"\x25\x88"), "hevc": (b"\x26\x01\xaf", b"\x2a\x01\xaf")}[
        camera.codec
    ]
    for number, begin in enumerate(key):
        camera.piece(START + begin + b"x", number)
        if begin[:1] == b"\x06":
            camera.piece(START + FIRST[camera.codec], number)
    camera.picture(10)
    camera.picture(11)
    assert [unit.key for unit in camera.found] == [*(True for _ in key), False]


def test_a_pause_behind_a_mark_proves_more_than_a_mark(camera: Camera) -> None:
    """A camera that sends a picture in two seconds would be seconds late for many of them."""
    for number in range(5):
        camera.picture(number)
        camera.came += 2
    assert [unit.pts for unit in camera.found] == list(range(5))
    assert camera.found[3].came[0] == pytest.approx(camera.found[4].came[0] - 2, abs=0.2)


def test_a_picture_comes_at_its_mark_once_marks_were_right(camera: Camera) -> None:
    for number in range(PROOF):
        camera.picture(number)
        assert len(camera.found) == number, "not proven yet: when the next one begins"
    camera.picture(PROOF)
    for number in range(PROOF + 1, PROOF + 20):
        sent = camera.picture(number)
        assert (camera.found[-1].coded, camera.found[-1].pts) == (sent, number)
    assert [unit.pts for unit in camera.found] == list(range(PROOF + 20))


def test_a_missing_mark_costs_one_picture_its_time_only(camera: Camera) -> None:
    for number in range(PROOF + 1):
        camera.picture(number)
    camera.picture(PROOF + 1, marked=False)
    assert camera.found[-1].pts == PROOF
    camera.picture(PROOF + 2)
    assert [unit.pts for unit in camera.found] == list(range(PROOF + 3))


def test_marks_at_each_piece_are_not_heeded(camera: Camera) -> None:
    sent = []
    for number in range(PROOF + 9):
        sent.append(b"".join(camera.pieces(number)))
        for piece in camera.pieces(number):
            camera.piece(piece, number)
            camera.mark(number)
    assert [unit.coded for unit in camera.found] == sent[:-1]


def test_marks_that_turn_wrong_are_heeded_never_again(camera: Camera) -> None:
    for number in range(PROOF + 1):
        camera.picture(number)
    first, *rest = camera.pieces(100)
    camera.piece(first, 100)
    camera.mark(100)
    for piece in rest:
        camera.piece(piece, 100)
    camera.mark(100)
    sent = [camera.picture(number) for number in range(101, 120)]
    assert [unit.coded for unit in camera.found[PROOF + 1 :]] == [first, b"".join(rest), *sent[:-1]]


def test_parameter_sets_stay_with_the_picture_that_follows_whatever_their_time_stamp_and_mark(camera: Camera) -> None:
    for number in range(1, 2 * PROOF):
        camera.piece(START + HEADS[camera.codec], number - 1)
        camera.mark(number - 1)
        for piece in camera.pieces(number):
            camera.piece(piece, number)
        camera.mark(number)
    heads = START + HEADS[camera.codec]
    assert [unit.coded for unit in camera.found] == [
        heads + b"".join(camera.pieces(number)) for number in range(1, 2 * PROOF)
    ]
    assert [unit.pts for unit in camera.found] == list(range(1, 2 * PROOF))


@pytest.mark.parametrize("pts", [None, 5])
def test_time_stamps_that_stand_still_keep_no_pictures_together(camera: Camera, pts: int | None) -> None:
    for number in range(5):
        for piece in camera.pieces(number):
            camera.piece(piece, pts)
    assert [unit.coded for unit in camera.found] == [b"".join(camera.pieces(number)) for number in range(4)]


def test_a_picture_whose_begin_was_lost_is_kept_apart_from_the_one_before(camera: Camera) -> None:
    for number in range(4):
        for piece in camera.pieces(number)[number % 2 * 3 :]:
            camera.piece(piece, number)
    assert [unit.pts for unit in camera.found] == [0, 1, 2]
    assert camera.found[1].coded == b"rest of a slice 1"


def test_a_picture_without_end_is_cut(camera: Camera) -> None:
    piece = START + FURTHER[camera.codec] + bytes(1 << 16)
    for _ in range(MOST_BYTES // len(piece) + 1):
        assert camera.found == []
        camera.piece(piece, 0)
    assert len(camera.found) == 1


@given(
    st.sampled_from(CODECS),
    st.lists(st.tuples(st.one_of(st.just(START + MARK), st.binary(max_size=9)), st.integers(0, 3)), max_size=80),
    st.booleans(),
)
def test_no_piece_is_lost_or_moved_whatever_comes(codec: str, sent: list[tuple[bytes, int]], starts: bool) -> None:
    camera = Camera(codec)
    for number in range(PROOF + 1):
        camera.picture(number)
    camera.found.clear()
    pieces = [(START + piece if starts and piece != START + MARK else piece, pts) for piece, pts in sent]
    for piece, pts in pieces:
        camera.piece(piece, pts)
    end = [START + FIRST[codec], START + FIRST[codec]]
    for pts, piece in enumerate(end):
        camera.piece(piece, 100 + pts)
    expected = b"".join(piece for piece, _ in pieces if piece != START + MARK) + end[0]
    assert b"".join(unit.coded for unit in camera.found) == expected


def test_two_marks_end_a_picture_that_nothing_follows(camera: Camera) -> None:
    for number in range(3):
        sent = camera.picture(number)
        assert len(camera.found) == number
        camera.mark(number)
        assert len(camera.found) == number + 1 and camera.found[-1].coded == sent
        camera.mark(number)
        assert len(camera.found) == number + 1


def test_a_camera_whose_pictures_went_on_behind_a_mark_is_not_believed_when_it_pauses(camera: Camera) -> None:
    first, *rest = camera.pieces(0)
    camera.piece(first, 0)
    camera.mark()
    for piece in rest:
        camera.piece(piece, 0)
    camera.mark()
    camera.mark()
    assert camera.found == []
    camera.picture(1)
    assert [unit.coded for unit in camera.found] == [b"".join([first, *rest])]
