"""Frames of a running stream become stretches: consecutive, of one size, and none where nobody asked."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import cv2
import numpy as np
import pytest

from edge.sources.base import Frame
from service.adaptation.gathering import LONGEST, MOST_WAITING, SHORTEST, Encoding, Gathering
from service.adaptation.sample import Sample
from tests.service.waiting import wait_until


def frame(index: int, size: tuple[int, int] = (128, 64), session: int = 0) -> Frame:
    image = np.full((size[1], size[0], 3), index % 200, np.uint8)
    return Frame(image, index, index / 20, 1e9, "media", session=session)


class AtOnce(Encoding):
    """Does everything in the thread that asks."""

    def put(self, act: Callable[[], None], always: bool = False) -> bool:
        act()
        return True


@pytest.fixture
def encoding() -> Iterator[Encoding]:
    made = AtOnce()
    yield made
    made.close()


def gathered(encoding: Encoding, frames: list[Frame], fit: tuple[int, int] = (64, 64)) -> Sample:
    sample = Sample(10_000_000)
    gathering = Gathering(sample, lambda: 0.0, encoding, fit)
    for one in frames:
        gathering.offer(one)
    return sample


def test_without_frames_there_is_nothing(encoding: Encoding) -> None:
    assert gathered(encoding, []).nbytes == 0


def test_consecutive_frames_become_stretches_of_scaled_pictures(encoding: Encoding) -> None:
    sample = gathered(encoding, [frame(index) for index in range(2 * LONGEST + 5)])
    first, second = sample
    assert [len(one.pictures) for one in sample] == [LONGEST, LONGEST]
    assert (first.size, first.number, second.number) == ((64, 32), 0, 1)
    assert first.frame_rate == pytest.approx(20)
    picture = cv2.imdecode(np.frombuffer(second.pictures[3], np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (32, 64, 3)
    assert abs(float(picture.mean()) - (LONGEST + 3)) < 1


def test_a_picture_smaller_than_the_networks_input_is_kept_as_it_is(encoding: Encoding) -> None:
    sample = gathered(encoding, [frame(index) for index in range(LONGEST)], (640, 640))
    assert next(iter(sample)).size == (128, 64)


@pytest.mark.parametrize(
    "broken",
    [
        [frame(index, session=index // 30) for index in range(60)],
        [frame(index, (128, 64) if index < 30 else (64, 64)) for index in range(60)],
        [frame(index if index < 30 else index + 4) for index in range(60)],
        [frame(index) if index < 30 else replace(frame(index), time_s=(index - 30) / 20) for index in range(60)],
    ],
    ids=["reconnect", "size", "hole", "clock"],
)
def test_a_stretch_ends_where_frames_do_not_follow_each_other(encoding: Encoding, broken: list[Frame]) -> None:
    lengths = [len(one.pictures) for one in gathered(encoding, broken)]
    assert lengths and lengths[0] == 30
    assert all(SHORTEST <= length <= LONGEST for length in lengths)


def test_one_that_breaks_off_early_is_not_kept(encoding: Encoding) -> None:
    cut = [frame(index) for index in range(SHORTEST - 1)] + [frame(500)]
    assert gathered(encoding, cut).nbytes == 0


def test_between_two_stretches_no_frame_is_touched(encoding: Encoding) -> None:
    sample = Sample(10_000_000)
    gathering = Gathering(sample, lambda: 1e6, encoding, (64, 64))
    for index in range(5 * LONGEST):
        gathering.offer(frame(index))
    assert [len(one.pictures) for one in sample] == [LONGEST]


def test_where_the_encoding_thread_is_too_late_the_stretch_ends_and_frames_do_not_pile_up() -> None:
    encoding, held = Encoding(), threading.Event()
    try:
        assert encoding.put(lambda: held.wait(20) and None)
        wait_until(lambda: not encoding._waiting, 10, "the thread to be busy")
        sample = Sample(10_000_000)
        gathering = Gathering(sample, lambda: 0.0, encoding, (64, 64))
        for index in range(500):
            gathering.offer(frame(index))
            assert len(encoding._waiting) <= 2 * MOST_WAITING
        held.set()
        wait_until(lambda: not encoding._waiting, 10, "what waits")
        assert sample.nbytes == 0
    finally:
        encoding.close()
