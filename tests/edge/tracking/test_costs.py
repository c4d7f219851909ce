"""Costs of saying that a track and a detection are one person."""

import numpy as np
import pytest

from edge.tracking.costs import fused_cost, iou_cost


def test_no_tracks_and_no_detections_give_empty_matrices() -> None:
    features = np.zeros((0, 8), np.float32)
    three = np.eye(3, 8, dtype=np.float32)
    assert fused_cost(features, three, np.zeros((0, 3)), 0.98, 9.4877).shape == (0, 3)
    assert fused_cost(three, features, np.zeros((3, 0)), 0.98, 9.4877).shape == (3, 0)
    assert iou_cost(np.zeros((0, 4)), np.ones((3, 4))).shape == (0, 3)


def test_appearance_and_motion_are_mixed_by_their_weights() -> None:
    track = np.array([[1.0, 0.0]], np.float32)
    seen = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8], [-1.0, 0.0]], np.float32)
    distance = np.array([[2.0, 0.0, 9.4877, 1.0]])
    cost = fused_cost(track, seen, distance, 0.98, 9.4877)
    np.testing.assert_allclose(cost, [[0.04, 0.98, 0.98 * 0.4 + 0.02 * 9.4877, 1.96 + 0.02]], atol=1e-6)


def test_where_looks_are_unknown_motion_alone_decides() -> None:
    tracks = np.array([[1.0, 0.0], [0.0, 0.0]], np.float32)
    seen = np.array([[0.0, 0.0], [1.0, 0.0]], np.float32)
    cost = fused_cost(tracks, seen, np.array([[2.0, 2.0], [2.0, 9.4878]]), 0.98, 9.4877)
    np.testing.assert_allclose(cost, [[0.04, 0.04], [0.04, np.inf]], atol=1e-6)


def test_motion_beyond_the_gate_is_impossible_however_alike_they_look() -> None:
    alike = np.array([[1.0, 0.0]], np.float32)
    assert fused_cost(alike, alike, np.array([[9.4878]]), 0.98, 9.4877)[0, 0] == np.inf


def test_rounding_never_makes_appearance_cheaper_than_nothing() -> None:
    longer = np.array([[1.001, 0.0]], np.float32)
    assert fused_cost(longer, longer, np.zeros((1, 1)), 0.98, 9.4877)[0, 0] == 0


def test_boxes_are_compared_pixel_to_pixel() -> None:
    cost = iou_cost(np.array([[0.0, 0, 10, 10]]), np.array([[0.0, 0, 10, 10], [10, 0, 20, 10]]))
    np.testing.assert_allclose(cost, [[0, 1 - 11 / 231]])
    assert cost[0, 1] == pytest.approx(1 - 11 / 231)
