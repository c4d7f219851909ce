"""Shots move pixels and boxes alike."""

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from training.data.warp import Warp, visible

NOTHING = np.zeros((0, 4), np.float32)


def drawn(seed: int) -> Warp:
    return Warp.draw(np.random.default_rng(seed), (0.6, 1.25), 2.0)


def test_no_boxes_stay_no_boxes() -> None:
    warp = Warp()
    assert warp.boxes(NOTHING, warp.matrix((640, 480), (96, 64))).shape == (0, 4)
    assert visible(NOTHING, NOTHING, 1.0, (96, 64)).shape == (0,)


def test_without_change_a_view_is_the_letterbox() -> None:
    matrix = Warp().matrix((640, 480), (96, 64))
    corners = matrix @ np.array([[0, 640], [0, 480], [1, 1]], np.float64)
    np.testing.assert_allclose(corners, [[48 - 85.333 / 2, 48 + 85.333 / 2], [0, 64]], atol=1e-3)


def test_a_flip_mirrors_boxes() -> None:
    matrix = Warp(flip=True).matrix((96, 64), (96, 64))
    box = np.array([[10, 20, 30, 50]], np.float32)
    np.testing.assert_allclose(Warp(flip=True).boxes(box, matrix), [[66, 20, 86, 50]], atol=1e-4)


@given(st.integers(0, 10_000))
def test_a_bright_square_lands_where_its_box_says(seed: int) -> None:
    warp = drawn(seed)
    image = np.zeros((120, 160, 3), np.uint8)
    cv2.rectangle(image, (70, 40), (89, 79), (255, 255, 255), -1)
    matrix = warp.matrix((160, 120), (160, 96))
    pixels = warp.image(image, matrix, (160, 96))
    box = warp.boxes(np.array([[70, 40, 90, 80]], np.float32), matrix)[0]
    assert pixels.shape == (3, 96, 160)
    grey = warp.image(np.zeros_like(image), matrix, (160, 96))
    rows, columns = np.nonzero((pixels.astype(int) - grey)[0] > 60)
    inside = box[0] > 4 and box[1] > 4 and box[2] < 156 and box[3] < 92
    if inside:
        assert len(rows)
        middle = (box[:2] + box[2:]) / 2
        assert abs(columns.mean() - middle[0]) < 1.5
        assert abs(rows.mean() - middle[1]) < 1.5


@given(st.integers(0, 10_000))
def test_drawn_values_stay_in_fairmots_ranges(seed: int) -> None:
    warp = drawn(seed)
    assert -5 <= warp.rotation_deg <= 5
    assert 0.6 <= warp.scale <= 2.0
    assert 0.5 <= warp.value <= 1.5
    assert max(abs(angle) for angle in warp.shear_deg) <= 2


def test_boxes_that_left_or_shrank_too_much_are_not_labelled() -> None:
    before = np.array([[0, 0, 20, 40], [0, 0, 20, 40], [0, 0, 3, 3]], np.float32)
    after = np.array([[10, 10, 30, 50], [200, 10, 220, 50], [10, 10, 13, 13]], np.float32)
    assert visible(after, before, 1.0, (96, 64)).tolist() == [True, False, False]
