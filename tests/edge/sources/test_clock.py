"""Clocks that are right, and clocks that lie: a frame's time has to pass as time does."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.sources.clock import PAUSE_S, STALL_S, SourceClock

TIMES = st.floats(-1e6, 1e6)
Lie = Callable[[float, int], float | None]
"""From true time and number of a picture to what its stamp says, both in seconds."""
_NOISE = np.random.default_rng(3).normal(0, 1, 20_000)

LIES: dict[str, Lie] = {
    "twice as fast": lambda time_s, _: 2 * time_s,
    "half as fast": lambda time_s, _: time_s / 2,
    "standing still": lambda _, __: 7.0,
    "none at all": lambda _, __: None,
    "milliseconds taken for ticks": lambda time_s, _: time_s / 90,
    "microseconds taken for ticks": lambda time_s, _: time_s * 100 / 9,
    "back by 1.5 s every 5 s": lambda time_s, _: time_s - 1.5 * (time_s // 5),
    "back by 0.4 s every 2 s": lambda time_s, _: time_s - 0.4 * (time_s // 2),
    "forward by a day every 5 s": lambda time_s, _: time_s + 86_400 * (time_s // 5),
    "one picture ahead by 5 s": lambda time_s, number: time_s + 5 * (number % 50 == 7),
    "one picture behind by 5 s": lambda time_s, number: time_s - 5 * (number % 50 == 7),
    "noise": lambda time_s, number: time_s + 0.05 * _NOISE[number],
    "strong noise": lambda time_s, number: time_s + _NOISE[number],
    "anything": lambda _, number: 1e4 * _NOISE[number],
    "backwards": lambda time_s, _: -time_s,
    "slow by a sixth": lambda time_s, _: time_s * 21 / 25,
    "fast by a fifth": lambda time_s, _: time_s * 30 / 25,
}


def places(lie: Lie, rate: float, seconds: float, jitter_s: float = 0.01, seed: int = 0) -> tuple[np.ndarray, ...]:
    """True times of the pictures, and where a clock puts them that sees the stamps and a jittering arrival."""
    clock, jitter = SourceClock(), np.random.default_rng(seed).exponential(jitter_s, round(rate * seconds))
    true_s = np.arange(len(jitter)) / rate
    arrivals = np.maximum.accumulate(1000 + true_s + jitter)
    return true_s, np.array([clock.place(lie(t, i), a) for i, (t, a) in enumerate(zip(true_s, arrivals, strict=True))])


def test_first_frame_is_at_zero() -> None:
    assert SourceClock().place(None, 123.0) == 0.0
    assert SourceClock().place(987.0, 123.0) == 0.0
    assert SourceClock().place(987.0) == 0.0


def test_even_stamps_stay_even_when_arrival_jitters() -> None:
    line = SourceClock()
    times = [line.place(50 + 0.04 * i, 7 + 0.04 * i + (0.03 if i % 2 else 0.0)) for i in range(20)]
    np.testing.assert_allclose(np.diff(times), 0.04, atol=1e-9)


def test_missing_stamps_are_replaced_by_arrival() -> None:
    line = SourceClock()
    times = [line.place(stamp, arrival) for stamp, arrival in [(1.0, 10.0), (None, 10.04), (1.08, 10.08)]]
    np.testing.assert_allclose(times, [0.0, 0.04, 0.08], atol=1e-9)


def test_new_session_goes_on_where_the_clock_on_the_wall_is() -> None:
    line = SourceClock()
    line.place(500.0, 10.0)
    line.new_session()
    assert line.place(3.0, 14.0) == 4.0


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
@pytest.mark.parametrize("rate", [50, 25, 10, 3, 0.2])
def test_a_clock_that_lies_is_found_out_within_three_seconds(lie: Lie, rate: float) -> None:
    """Each step is what it truly was to a quarter of it; at low rates a clock shows itself after some pictures."""
    seconds = max(20.0, 40 / rate)
    true_s, placed_s = places(lie, rate, seconds)
    settled = true_s[1:] > max(3.0, 10 / rate)
    steps = np.diff(placed_s)[settled] * rate
    few = max(1, len(steps) // 100)
    assert (abs(np.sort(abs(steps - 1))[:-few]) < 0.25).all(), np.sort(abs(steps - 1))[-10:]
    assert steps.sum() == pytest.approx(len(steps), rel=0.05)


@settings(max_examples=40)
@given(
    rate=st.sampled_from([50.0, 25.0, 12.5, 5.0]),
    speed=st.floats(0.3, 3.0),
    start_s=TIMES,
    jitter_s=st.floats(0.0, 0.04),
    seed=st.integers(0, 1000),
)
def test_a_clock_of_any_speed_and_start_gives_true_seconds(
    rate: float, speed: float, start_s: float, jitter_s: float, seed: int
) -> None:
    true_s, placed_s = places(lambda time_s, _: start_s + speed * time_s, rate, 15, jitter_s, seed)
    late = true_s > 10
    passed = placed_s[late][-1] - placed_s[late][0]
    assert passed == pytest.approx(true_s[late][-1] - true_s[late][0], rel=0.06)


@settings(max_examples=40)
@given(jumps=st.lists(st.tuples(st.integers(1, 11), st.floats(-1e5, 1e5)), max_size=9), rate=st.sampled_from([25, 8]))
def test_jumps_of_any_size_cost_a_step_at_most(jumps: list[tuple[int, float]], rate: float) -> None:
    def jumping(time_s: float, number: int) -> float:
        return time_s + sum(by_s for at, by_s in jumps if 50 * at <= number)

    true_s, placed_s = places(jumping, rate, 600 / rate)
    wrong_s = abs(np.diff(placed_s) - np.diff(true_s))
    assert wrong_s.max() < 0.35  # a jump that could as well be the network's
    assert np.count_nonzero(wrong_s > 0.02) <= 2 * len(jumps) + 10


@pytest.mark.parametrize(
    "arrival",
    [
        pytest.param(lambda t, i: t if not 200 < i < 220 else 8.8 + i * 1e-4, id="a stall, then a burst"),
        pytest.param(lambda t, i: np.ceil(t) + i % 25 * 1e-3, id="a second's pictures at once"),
        pytest.param(lambda t, i: max(t - 2, i * 1e-3), id="two seconds of pictures first"),
        pytest.param(lambda t, i: max(t, 0.5 + i * 2e-3), id="a late start"),
    ],
)
def test_networks_that_hold_pictures_back_change_no_step_of_a_right_clock(
    arrival: Callable[[float, int], float],
) -> None:
    clock = SourceClock()
    placed_s = [clock.place(1e5 + i / 25, arrival(i / 25, i)) for i in range(500)]
    np.testing.assert_allclose(np.diff(placed_s), 0.04, atol=1e-6)


def test_pauses_of_a_live_camera_are_as_long_as_they_were() -> None:
    clock, stamps = SourceClock(), [*np.arange(50) / 25, *(90 + np.arange(50) / 25)]
    placed_s = [clock.place(stamp, 5 + stamp) for stamp in stamps]
    np.testing.assert_allclose(placed_s, stamps, atol=1e-6)


def test_a_picture_that_is_late_beyond_all_networks_is_believed_to_be() -> None:
    clock = SourceClock()
    for i in range(50):
        before_s = clock.place(i / 25, i / 25)
    assert clock.place(2.0, 2.0 + 3 * STALL_S) - before_s > 2 * STALL_S


def test_films_put_together_play_on_though_the_second_clock_starts_anew() -> None:
    clock, one = SourceClock(1 / 25), np.arange(100) / 25
    for other in (one, one + 95_443.7, one - 3, one[::-1] * 0):
        placed_s = [SourceClock(1 / 25).place(0.0), *(clock.place(float(stamp)) for stamp in (*one, *other))]
        assert np.diff(placed_s[1:]).max() < 0.05
        assert placed_s[-1] - placed_s[1] == pytest.approx(199 / 25, abs=0.05)


def test_a_hole_in_a_recording_is_skipped_and_a_pause_is_not() -> None:
    clock = SourceClock(1 / 25)
    stamps = [0.0, 0.04, 0.08, 0.08 + 0.9 * PAUSE_S, 700.0, 700.04]
    steps = np.diff([clock.place(stamp) for stamp in stamps])
    np.testing.assert_allclose(steps, [0.04, 0.04, 0.9 * PAUSE_S, steps[3], 0.04], atol=1e-6)
    assert steps[3] <= 0.9 * PAUSE_S


def test_a_film_of_one_picture_a_minute_keeps_its_minutes() -> None:
    clock = SourceClock(60.0)
    np.testing.assert_allclose(np.diff([clock.place(60.0 * i) for i in range(10)]), 60.0)


def test_changing_rates_of_a_film_are_its_own() -> None:
    clock, stamps = SourceClock(1 / 30), np.cumsum(np.random.default_rng(1).choice([1 / 60, 1 / 30, 1 / 7], 300))
    placed_s = [clock.place(float(stamp)) for stamp in stamps]
    np.testing.assert_allclose(np.diff(placed_s), np.diff(stamps), atol=1e-9)


@given(st.lists(st.tuples(st.none() | TIMES, st.none() | TIMES, st.booleans()), max_size=80))
def test_times_increase_whatever_comes(frames: list[tuple[float | None, float | None, bool]]) -> None:
    line, times = SourceClock(), []
    for stamp, arrival, new_session in frames:
        if new_session:
            line.new_session()
        times.append(line.place(stamp, arrival))
    assert all(a < b for a, b in pairwise(times))
