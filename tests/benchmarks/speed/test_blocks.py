"""The undisturbed value and its error. Oracle: many measurements of which the truth is known."""

import numpy as np
import pytest

from benchmarks.speed.blocks import relative_error, undisturbed


def test_a_single_value_is_taken_as_it_is() -> None:
    assert undisturbed([3.0]) == 3.0
    assert relative_error([3.0]) == 0.0


def test_values_that_were_held_up_do_not_count() -> None:
    assert undisturbed([4.0, 1.0, 4.0, 4.0, 2.0]) == 4.0


@pytest.mark.parametrize("count", [10, 40])
def test_the_error_is_that_of_many_repeated_measurements(count: int) -> None:
    runs = np.random.default_rng(0).normal(100, 5, (4000, count))
    told = np.mean([relative_error(run.tolist()) for run in runs])
    seen = np.std([undisturbed(run.tolist()) for run in runs]) / 100
    assert told == pytest.approx(seen, rel=0.15)
