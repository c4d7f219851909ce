"""Live numbers, with a clock of our own."""

import pytest

from service.streams import stats
from service.streams.stats import StreamStats


class Clock:
    now = 100.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(stats.time, "monotonic", lambda: clock.now)
    return clock


def test_stream_without_frames_has_no_age_and_no_size(clock: Clock) -> None:
    numbers = StreamStats().numbers()
    assert (numbers.frames, numbers.people, numbers.fps) == (0, 0, 0.0)
    assert numbers.frame_age_p50_ms is None
    assert numbers.width is None


def test_rate_and_ages_are_those_of_the_last_seconds(clock: Clock) -> None:
    counted = StreamStats()
    for _ in range(200):
        clock.now += 0.04
        counted.record(0.030, 5, (640, 360))
    numbers = counted.numbers()
    assert (numbers.frames, numbers.people, numbers.fps) == (200, 5, 25.0)
    assert numbers.frame_age_p50_ms == pytest.approx(30)
    assert (numbers.width, numbers.height) == (640, 360)


def test_silence_lowers_the_rate_until_nothing_is_left(clock: Clock) -> None:
    counted = StreamStats()
    for _ in range(50):
        clock.now += 0.04
        counted.record(0.030, 5, (640, 360))
    clock.now += 1.0
    assert 10 < counted.numbers().fps < 20
    clock.now += 3.0
    assert (counted.numbers().fps, counted.numbers().people) == (0.0, 0)
    assert counted.numbers().frames == 50
