"""MOTChallenge text files become arrays, whichever year's columns they have."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.mot_boxes import MotBoxes, iou

box = st.tuples(*[st.floats(-50, 50)] * 2, *[st.floats(0, 50)] * 2)


def write(folder: Path, text: str) -> Path:
    path = folder / "gt.txt"
    path.write_text(text)
    return path


def test_an_empty_file_has_no_boxes(tmp_path: Path) -> None:
    assert len(MotBoxes.read(write(tmp_path, "\n"))) == 0


def test_class_is_read_from_nine_columns(tmp_path: Path) -> None:
    read = MotBoxes.read(write(tmp_path, "1,7,10.5,20,30,40,1,8,0.5\n3,7,1,2,3,4,0,1,1\n"))
    assert read.frames.tolist() == [1, 3]
    assert read.ids.tolist() == [7, 7]
    assert read.xywh.tolist() == [[10.5, 20, 30, 40], [1, 2, 3, 4]]
    assert read.flags.tolist() == [1, 0]
    assert read.classes.tolist() == [8, 1]


@pytest.mark.parametrize("row", ["1,7,1,2,3,4,1", "1,7,1,2,3,4,1,-1,-1,-1", "1,7,1,2,3,4,1,-1,-1"])
def test_rows_without_class_are_pedestrians(tmp_path: Path, row: str) -> None:
    assert MotBoxes.read(write(tmp_path, row)).classes.tolist() == [1]


@pytest.mark.parametrize("text", ["1,2,3\n", "one,2,3,4,5,6,7\n", "1,2,3,4,5,6,7\n1,2\n"])
def test_a_file_of_another_form_is_refused_by_name(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match=r"gt\.txt"):
        MotBoxes.read(write(tmp_path, text))


def test_each_frame_of_a_range_is_yielded_also_when_empty(tmp_path: Path) -> None:
    read = MotBoxes.read(write(tmp_path, "1,7,1,2,3,4,1\n3,7,1,2,3,4,1\n3,8,1,2,3,4,1\n"))
    assert [len(frame) for frame in read.per_frame(1, 4)] == [1, 0, 2, 0]
    assert len(read.between(2, 3)) == 2


def test_iou_of_no_boxes_is_empty() -> None:
    assert iou(np.zeros((0, 4)), np.zeros((2, 4))).shape == (0, 2)


def test_iou_of_boxes_without_area_is_zero() -> None:
    assert iou(np.zeros((1, 4)), np.zeros((1, 4))).tolist() == [[0.0]]


@given(box, box)
def test_iou_is_symmetric_and_at_most_one(a: tuple[float, ...], b: tuple[float, ...]) -> None:
    ours, theirs = np.array([a]), np.array([b])
    assert iou(ours, theirs) == pytest.approx(iou(theirs, ours).T)
    assert 0 <= iou(ours, theirs)[0, 0] <= 1 + 1e-9


@given(st.floats(1, 50), st.floats(1, 50), st.floats(0, 1))
def test_iou_of_a_shifted_box_follows_the_shift(width: float, height: float, share: float) -> None:
    still = np.array([[0.0, 0.0, width, height]])
    moved = np.array([[share * width, 0.0, width, height]])
    assert iou(still, moved)[0, 0] == pytest.approx((1 - share) / (1 + share), abs=1e-9)
