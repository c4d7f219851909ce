from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge.sources.timeline import JUMP_S, TimeLine

TIMES = st.floats(-1e6, 1e6)


def test_first_frame_is_at_zero() -> None:
    assert TimeLine().place(None, 123.0) == 0.0
    assert TimeLine().place(987.0, 123.0) == 0.0


def test_even_stamps_stay_even_when_arrival_jitters() -> None:
    line = TimeLine()
    times = [line.place(50 + 0.04 * i, 7 + 0.04 * i + (0.03 if i % 2 else 0.0)) for i in range(20)]
    np.testing.assert_allclose(np.diff(times), 0.04, atol=1e-9)


def test_missing_stamps_are_replaced_by_arrival() -> None:
    line = TimeLine()
    times = [line.place(stamp, arrival) for stamp, arrival in [(1.0, 10.0), (None, 10.04), (1.08, 10.08)]]
    np.testing.assert_allclose(times, [0.0, 0.04, 0.08], atol=1e-9)


def test_new_session_goes_on_where_the_clock_on_the_wall_is() -> None:
    line = TimeLine()
    line.place(500.0, 10.0)
    line.new_session()
    assert line.place(3.0, 14.0) == 4.0


def test_stamps_that_run_away_are_anchored_anew() -> None:
    line = TimeLine()
    line.place(0.0, 10.0)
    assert line.place(900.0, 10.04) < JUMP_S


@given(st.lists(st.tuples(st.none() | TIMES, TIMES, st.booleans()), max_size=60))
def test_times_increase_whatever_comes(frames: list[tuple[float | None, float, bool]]) -> None:
    line, times = TimeLine(), []
    for stamp, arrival, new_session in frames:
        if new_session:
            line.new_session()
        times.append(line.place(stamp, arrival))
    assert all(a < b for a, b in pairwise(times))
