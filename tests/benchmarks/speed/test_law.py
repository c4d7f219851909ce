import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.speed.report import SpeedLaw, fit


def test_without_measurements_nothing_is_added() -> None:
    law = fit({}, 10, 40)
    assert (law.c_ms, law.worst_residual({})) == (0, 0)
    assert fit({1: 10}, 10, 40).c_ms == 0


def test_the_papers_ideal_rates() -> None:
    law = SpeedLaw(1000 / 48.1, 1000 / 26.5, 0.0)  # DLA34 on MOT17
    assert [law.fps(k) for k in (2, 4, 6)] == pytest.approx([26.8, 31.3, 33.2], abs=0.05)


rates = st.floats(1, 1000)


@given(rates, rates, st.floats(0, 50), st.sets(st.integers(2, 12), min_size=1))
def test_the_fit_finds_the_c_that_made_the_rates(
    teacher: float, student: float, c_ms: float, periods: set[int]
) -> None:
    truth = SpeedLaw(teacher, student, c_ms)
    measured = {k: truth.fps(k) for k in periods | {1}}
    law = fit(measured, teacher, student)
    assert law.c_ms == pytest.approx(c_ms, abs=1e-6)
    assert law.worst_residual(measured) < 1e-9


def test_a_rate_that_breaks_the_law_shows_as_a_residual() -> None:
    truth = SpeedLaw(10, 40, 1)
    measured = {k: truth.fps(k) for k in range(2, 13)} | {6: truth.fps(6) * 0.8}
    assert fit(measured, 10, 40).worst_residual(measured) > 0.1
