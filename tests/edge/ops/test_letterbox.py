import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.ops.letterbox import Letterbox


def test_no_boxes_stay_no_boxes() -> None:
    letterbox = Letterbox(1920, 1080, 1088, 608)
    assert letterbox.to_input(np.zeros((0, 4), np.float32)).shape == (0, 4)
    assert letterbox.to_source(np.zeros((0, 4), np.float32)).shape == (0, 4)


@pytest.mark.parametrize(
    ("source", "scaled", "left_right", "top_bottom"),
    [
        ((1920, 1080), (1081, 608), (3, 4), (0, 0)),
        ((640, 480), (811, 608), (138, 139), (0, 0)),
        ((768, 576), (811, 608), (138, 139), (0, 0)),
        ((1242, 375), (1088, 329), (0, 0), (139, 140)),
        ((1088, 608), (1088, 608), (0, 0), (0, 0)),
    ],
)
def test_fairmots_geometry(
    source: tuple[int, int], scaled: tuple[int, int], left_right: tuple[int, int], top_bottom: tuple[int, int]
) -> None:
    box = Letterbox(*source, 1088, 608)
    assert (box.width, box.height) == scaled
    assert (box.left, 1088 - box.left - box.width) == left_right
    assert (box.top, 608 - box.top - box.height) == top_bottom


def test_fairmots_ratio() -> None:
    assert Letterbox(1920, 1080, 1088, 608).ratio == pytest.approx(0.562963, abs=5e-7)


sizes = st.integers(8, 4000)


@given(sizes, sizes, st.lists(st.tuples(*[st.floats(-5000, 5000, width=32)] * 4), max_size=5))
def test_boxes_come_back_from_the_input(width: int, height: int, rows: list[tuple[float, ...]]) -> None:
    letterbox = Letterbox(width, height, 576, 320)
    xyxy = np.array(rows, np.float32).reshape(-1, 4)
    back = letterbox.to_source(letterbox.to_input(xyxy))
    assert back.dtype == np.float32
    assert np.allclose(back, xyxy, atol=0.01 + 1e-3 / letterbox.ratio)


@given(sizes, sizes)
def test_the_whole_picture_lies_inside_the_input_and_fills_one_axis(width: int, height: int) -> None:
    box = Letterbox(width, height, 576, 320)
    assert 0 <= box.left <= 576 - box.width
    assert 0 <= box.top <= 320 - box.height
    assert box.width == 576 or box.height == 320
    corners = box.to_input(np.array([[0, 0, width, height]], np.float32))
    expected = [box.left, box.top, box.left + box.width, box.top + box.height]
    assert np.allclose(corners, [expected], atol=1e-3)


def test_a_picture_without_pixels_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 pixel"):
        Letterbox(0, 1080, 576, 320)
