import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.tracking.drift import BELIEF_S2, USUAL_HAZARD, Drift, harm


def test_without_a_prediction_the_usual_is_believed() -> None:
    drift = Drift()
    drift.learn(0, 0.0, 0.0)
    assert drift.hazard == pytest.approx(USUAL_HAZARD)
    assert len(drift.hazards(np.zeros(0), np.zeros(0))) == 0


def test_a_third_of_a_box_is_all_the_harm_there_is_and_a_tenth_next_to_none() -> None:
    assert harm(np.array([0.0, 0.1, 1 / 3, 5.0])) == pytest.approx([0, 0.0081, 1, 1])


@pytest.mark.parametrize("truth", [0.2, 1.0, 5.0])
def test_the_hazard_of_a_stream_is_learnt(truth: float) -> None:
    rng = np.random.default_rng(0)
    drift = Drift()
    for _ in range(600):
        waits_s2 = np.square(rng.uniform(0.05, 0.3, 5))
        drift.learn(len(waits_s2), truth * waits_s2.sum(), waits_s2.sum())
    assert drift.hazard == pytest.approx(truth, rel=0.1, abs=0.15)


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 2)), max_size=30))
def test_hazards_are_finite_and_never_negative(seen: list[tuple[float, float]]) -> None:
    drift = Drift()
    for error, wait_s in seen:
        drift.learn(1, float(harm(np.array([error]))[0]), wait_s**2)
    assert 0 <= drift.hazard <= (len(seen) + USUAL_HAZARD * BELIEF_S2) / (BELIEF_S2 * 0.5)
    assert np.isfinite(drift.hazards(np.array([0.0, 3.0]), np.array([0.0, 0.5]))).all()


def test_a_person_who_was_often_elsewhere_has_a_larger_hazard_than_one_who_never_was() -> None:
    steady, erratic, unknown = Drift().hazards(np.array([0.0, 3.0, 0.0]), np.array([0.2, 0.2, 0.0]))
    assert steady < unknown == pytest.approx(USUAL_HAZARD)
    assert erratic > unknown
