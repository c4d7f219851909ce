"""A teacher's kept answer, turned and cut along with its picture."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.ops.framing import Framing
from edge.ops.host import resample
from edge.ops.letterbox import Letterbox
from engines.signature import STRIDE
from training.data.answers import MOST, Answer
from training.data.warp import Warp
from training.targets import draw_gaussian

pytestmark = pytest.mark.training

INPUT = (160, 96)
HALF = np.array([8, 20])
SIZE = (160, 90)
"""Of the picture; a teacher and a student of that input see it 3 pixels down."""


def answer(points: list[tuple[float, float]], teacher_wh: tuple[int, int] = INPUT) -> Answer:
    """A teacher that sees people of 16 x 40 pixels there, 0.9 sure of the first, a little less of each next."""
    box = Letterbox(*SIZE, *teacher_wh)
    scale = np.array([box.width / SIZE[0], box.height / SIZE[1]]) / STRIDE
    corner = np.array([box.left, box.top]) / STRIDE
    centres = np.array(points, np.float32).reshape(-1, 2)
    scores = np.float32(0.9) - np.arange(len(centres), dtype=np.float32) / 20
    heatmap = np.zeros((teacher_wh[1] // STRIDE, teacher_wh[0] // STRIDE), np.float32)
    for (x, y), score in zip(centres * scale + corner, scores, strict=True):
        draw_gaussian(heatmap, int(x), int(y), 2 * teacher_wh[0] // INPUT[0], float(score))
    boxes = np.concatenate((centres - HALF, centres + HALF), 1).astype(np.float32)
    return Answer(
        SIZE, np.round(255 * heatmap).astype(np.uint8), np.concatenate((scale, corner)), centres, boxes, scores
    )


def seen(one: Answer, warp: Warp = Warp()):  # noqa: B008 - frozen
    return one.seen(warp, warp.matrix(one.size, INPUT), INPUT)


def test_an_answer_that_names_nobody_is_an_empty_map() -> None:
    nobody = seen(answer([]))
    assert not nobody.heatmap.any() and not nobody.scores.any()
    assert nobody.heatmap.shape == (1, 24, 40) and nobody.boxes.shape == (MOST, 4)


def test_as_the_camera_sees_it_the_map_is_the_teachers_own() -> None:
    one = answer([(40, 45), (100, 30)])
    same = seen(one)
    np.testing.assert_allclose(same.heatmap[0], one.heatmap / 255, atol=2e-3)
    np.testing.assert_allclose(same.points[:2] * STRIDE, one.points + np.array([0, 3]), atol=1e-4)
    np.testing.assert_allclose(same.boxes[:2], one.boxes + np.array([0, 3, 0, 3]), atol=1e-4)


def test_a_larger_teachers_map_comes_into_the_students_cells_as_in_service() -> None:
    one, student = answer([(40, 45), (101, 33)], (320, 192)), Letterbox(*SIZE, *INPUT)
    framing = Framing(Letterbox(*SIZE, 320, 192), student)
    expected = np.zeros((24, 40), np.float32)
    resample(one.heatmap.astype(np.float32) / 255, framing.meetings, expected)
    found = seen(one).heatmap[0]
    assert np.abs(found - expected).mean() < 0.01
    for row in range(2):
        x, y = np.floor(seen(one).points[row]).astype(int)
        assert abs(found[y, x] - expected[y, x]) < 0.1


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(20, 140), st.floats(15, 75))
def test_the_peak_lies_where_the_person_does_however_it_is_warped(seed: int, x: float, y: float) -> None:
    warp = Warp.draw(np.random.default_rng(seed), (0.8, 1.2), 1.4)
    found = seen(answer([(x, y)]), warp)
    column, row = np.floor(found.points[0]).astype(int)
    middle = (found.boxes[0, :2] + found.boxes[0, 2:]) / 2 / STRIDE
    np.testing.assert_allclose(middle, found.points[0], atol=1e-3)
    if 0 <= column < 40 and 0 <= row < 24:
        assert found.heatmap[0, row, column] >= 0.89
        far = np.hypot(*(np.indices((24, 40)) - np.array([row, column])[:, None, None])) > 7
        assert found.heatmap[0][far].max() < 0.05


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    one = answer([(40, 45)])
    one.save(tmp_path / "000001.npz")
    back = Answer.load(tmp_path / "000001.npz")
    assert back.size == one.size
    for name in ("heatmap", "to_cells", "points", "boxes", "scores"):
        np.testing.assert_array_equal(getattr(back, name), getattr(one, name))
