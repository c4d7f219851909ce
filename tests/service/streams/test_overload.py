"""When a stream counts as overloaded, with a clock of our own."""

import pytest

from service.streams import overload
from service.streams.overload import OverloadWatch


class Clock:
    now = 100.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(overload.time, "monotonic", lambda: clock.now)
    return clock


class Camera:
    """Twenty frames a second, of which some are dropped."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.watch, self.dropped = clock, OverloadWatch(), 0

    def run(self, seconds: int, dropped_of_20: int = 0, age_s: float = 0.05) -> bool:
        for number in range(20 * seconds):
            self.clock.now += 0.0501
            if number % 20 < dropped_of_20:
                self.dropped += 1
            else:
                self.watch.record(age_s, self.dropped)
        return self.watch.now is not None


@pytest.fixture
def camera(clock: Clock) -> Camera:
    return Camera(clock)


def test_stream_without_frames_is_not_overloaded(clock: Clock) -> None:
    assert OverloadWatch().now is None


def test_few_drops_are_no_overload(camera: Camera) -> None:
    assert not camera.run(20, dropped_of_20=1)


def test_many_drops_are_after_some_seconds_and_for_some_seconds(camera: Camera) -> None:
    assert not camera.run(10)
    assert not camera.run(2, dropped_of_20=8)
    assert camera.run(3, dropped_of_20=8)
    assert camera.watch.now is not None
    assert "8 of 20 frames" in camera.watch.now.message
    since = camera.watch.now.since
    assert camera.run(5, dropped_of_20=8)
    assert camera.watch.now.since == since
    assert camera.run(2)
    assert not camera.run(3)


def test_one_bad_second_among_good_ones_is_no_overload(camera: Camera) -> None:
    for _ in range(5):
        assert not camera.run(2, dropped_of_20=10)
        assert not camera.run(2)


def test_old_frames_are_overload(camera: Camera) -> None:
    assert camera.run(5, age_s=1.5)
    assert camera.watch.now is not None
    assert "1.5 s old" in camera.watch.now.message


@pytest.mark.parametrize(("refused_of_20", "expected"), [(4, False), (16, True)])
def test_a_stream_without_time_for_most_of_its_looks_is_overloaded(
    clock: Clock, refused_of_20: int, expected: bool
) -> None:
    watch = OverloadWatch()
    for number in range(20 * 6):
        clock.now += 0.0501
        watch.record(0.05, 0, looked=True, refused=number % 20 < refused_of_20)
    assert (watch.now is not None) == expected
    if watch.now is not None:
        assert "lower `quality`" in watch.now.message
