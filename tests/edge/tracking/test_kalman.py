"""The filter against deep SORT's numbers and against the textbook filter with full 8x8 matrices."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.arrays import F64
from edge.tracking.kalman import (
    COVARIANCE,
    NOMINAL_FRAME_S,
    POSITION,
    VAR_POSITION,
    VAR_VELOCITY,
    VELOCITY,
    KalmanFilter,
    measured,
)
from tests.support.textbook_kalman import TextbookFilter

KALMAN = KalmanFilter()
FRAME = NOMINAL_FRAME_S
BOX = np.array([[100.0, 200.0, 0.5, 100.0]])


def distances(motion: F64, xyah: F64) -> F64:
    """(N, M) squared Mahalanobis distances of tracks and boxes, as the crowd multiplies them out."""
    return KALMAN.expected(motion) @ measured(xyah).T


def assert_same(motion: F64, textbooks: list[TextbookFilter]) -> None:
    """Every number of the full filter is in ours, and what ours leaves out is zero there."""
    for row, textbook in enumerate(textbooks):
        np.testing.assert_allclose(motion[POSITION, row], textbook.mean[:4], rtol=1e-12)
        np.testing.assert_allclose(motion[VELOCITY, row], textbook.mean[4:], rtol=1e-9, atol=1e-12)
        full = np.zeros((8, 8))
        full[:4, :4] = np.diag(motion[VAR_POSITION, row])
        full[4:, 4:] = np.diag(motion[VAR_VELOCITY, row])
        full[:4, 4:] = full[4:, :4] = np.diag(motion[COVARIANCE, row])
        np.testing.assert_allclose(full, textbook.covariance, rtol=1e-9, atol=1e-18)


def test_no_tracks_are_no_work() -> None:
    motion = KALMAN.initiate(np.zeros((0, 4)))
    KALMAN.predict(motion, FRAME)
    assert KALMAN.update(motion, np.zeros((0, 4))).shape == (5, 0, 4)
    assert distances(motion, BOX).shape == (0, 1)
    assert distances(KALMAN.initiate(BOX), np.zeros((0, 4))).shape == (1, 0)


def test_a_new_track_starts_at_rest_with_deep_sorts_variances() -> None:
    motion = KALMAN.initiate(BOX)
    np.testing.assert_array_equal(motion[VELOCITY], 0)
    np.testing.assert_array_equal(motion[COVARIANCE], 0)
    np.testing.assert_allclose(motion[VAR_POSITION, 0], [100, 100, 1e-4, 100])
    np.testing.assert_allclose(motion[VAR_VELOCITY, 0], [39.0625, 39.0625, 1e-10, 39.0625])


def test_one_frame_gives_deep_sorts_numbers() -> None:
    motion = KALMAN.initiate(BOX)
    KALMAN.predict(motion, 1 / 30)
    assert motion[VAR_POSITION, 0, 0] == 164.0625
    assert motion[VAR_VELOCITY, 0, 0] == 39.453125
    boxes = np.array([[103, 201, 0.5, 102], [130, 200, 0.5, 100.0]])
    np.testing.assert_allclose(distances(motion, boxes), [[0.0740496, 4.7603306]], atol=5e-8)
    updated = KALMAN.update(motion, boxes[:1])
    np.testing.assert_allclose(updated[POSITION, 0], [102.603306, 200.867769, 0.5, 101.735537], atol=5e-7)
    np.testing.assert_allclose(updated[VELOCITY, 0], [0.619835, 0.206612, 0, 0.413223], atol=5e-7)
    assert updated[VAR_POSITION, 0, 0] == pytest.approx(21.694215, abs=5e-7)
    assert updated[VAR_VELOCITY, 0, 0] == pytest.approx(31.382361, abs=5e-7)


def test_four_small_filters_equal_the_full_one_over_many_frames() -> None:
    rng = np.random.default_rng(1)
    count = 6
    truth = rng.uniform((0, 0, 0.3, 40), (1900, 1000, 0.6, 400), (count, 4))
    speed = np.column_stack((rng.normal(0, 8, (count, 2)), np.zeros(count), rng.normal(0, 0.5, count)))
    textbooks = [TextbookFilter(box) for box in truth]
    motion = KALMAN.initiate(truth)
    for _ in range(60):
        truth = truth + speed
        KALMAN.predict(motion, FRAME)
        for textbook in textbooks:
            textbook.predict()
        boxes = truth + rng.normal(0, 1, truth.shape) * (3, 3, 0.02, 3)
        expected = [textbook.gating(boxes) for textbook in textbooks]
        np.testing.assert_allclose(distances(motion, boxes), expected, rtol=1e-7, atol=1e-6)
        seen, noise = rng.random(count) < 0.7, rng.choice((0.5, 1.0, 2.0), (count, 4))
        motion[:, seen] = KALMAN.update(motion[:, seen], boxes[seen], noise[seen])
        for row in seen.nonzero()[0]:
            textbooks[row].update(boxes[row], noise[row])
        assert_same(motion, textbooks)


@settings(deadline=None)
@given(frames=st.integers(0, 60))
def test_one_long_step_equals_many_short_ones(frames: int) -> None:
    textbook = TextbookFilter(BOX[0])
    motion = KALMAN.initiate(BOX)
    for _ in range(frames):
        textbook.predict()
    KALMAN.predict(motion, frames / 30)
    np.testing.assert_allclose(motion[VAR_POSITION, 0], textbook.covariance.diagonal()[:4], rtol=1e-9)
    np.testing.assert_allclose(motion[VAR_VELOCITY, 0], textbook.covariance.diagonal()[4:], rtol=1e-9)
    np.testing.assert_allclose(motion[COVARIANCE, 0], textbook.covariance.diagonal(4), rtol=1e-9, atol=1e-18)


@settings(deadline=None)
@given(first=st.floats(0, 2), second=st.floats(0, 2))
def test_two_steps_equal_one_of_their_sum_for_any_fraction_of_a_frame(first: float, second: float) -> None:
    motion = KALMAN.initiate(BOX)
    motion[VELOCITY, 0, :2] = 3, -2
    together = motion.copy()
    KALMAN.predict(motion, first)
    KALMAN.predict(motion, second)
    KALMAN.predict(together, first + second)
    np.testing.assert_allclose(motion, together, rtol=1e-8, atol=1e-12)


@settings(deadline=None)
@given(step_s=st.floats(0, 60))
def test_any_step_leaves_a_covariance_that_is_positive_definite(step_s: float) -> None:
    motion = KALMAN.initiate(BOX)
    KALMAN.predict(motion, step_s)
    assert np.isfinite(motion).all()
    assert (motion[VAR_POSITION] * motion[VAR_VELOCITY] > motion[COVARIANCE] ** 2).all()


def test_a_shrinking_box_never_turns_inside_out() -> None:
    motion = KALMAN.initiate(BOX)
    motion[VELOCITY, 0, 2:] = -0.1, -50
    KALMAN.predict(motion, 1.0)
    assert (motion[POSITION, 0, 2:] > 0).all()
