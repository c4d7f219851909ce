"""YOLO's labels, one text per picture."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.data.yolo_labels import parse_yolo_labels, read_yolo_labels
from training.targets import UNKNOWN

SHARE = st.floats(0, 1, width=32)


def test_a_text_without_lines_has_no_boxes() -> None:
    assert parse_yolo_labels("\n\n", "a.txt").shape == (0, 6)


@given(st.lists(st.tuples(st.sampled_from([0, 1]), SHARE, SHARE, SHARE, SHARE)), st.none() | SHARE)
def test_what_was_written_is_read_and_a_score_is_1_unless_given(
    rows: list[tuple[float, ...]], score: float | None
) -> None:
    more = "" if score is None else f" {score!r}"
    text = "\n".join(f"{kind} " + " ".join(repr(float(side)) for side in box) + more for kind, *box in rows)
    sure = 1.0 if score is None else score
    assert parse_yolo_labels(text, "a.txt").tolist() == [[*map(float, row), sure] for row in rows]


@pytest.mark.parametrize(
    "line", ["0 0.5 0.5 0.1", "2 0.5 0.5 0.1 0.1", "0 0.5 0.5 0.1 x", "0 32 16 20 20", "0 nan 0 0 0"]
)
def test_a_bad_line_is_named_with_what_was_expected(line: str) -> None:
    with pytest.raises(ValueError, match=r"a\.txt:2: expected '0 or 1, cx cy w h'.*" + line):
        parse_yolo_labels(f"0 0.5 0.5 0.1 0.1\n{line}\n", "a.txt")


def test_persons_and_regions_are_told_apart_and_a_missing_text_means_nobody(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    for name in ("a", "b"):
        cv2.imwrite(str(tmp_path / "images" / f"{name}.jpg"), np.zeros((40, 80, 3), np.uint8))
    (tmp_path / "labels" / "a.txt").write_text("0 0.5 0.5 0.25 0.5\n1 0.125 0.25 0.25 0.5\n")
    first, second = read_yolo_labels(tmp_path)
    assert first.xyxy.tolist() == [[30, 10, 50, 30]]
    assert first.ids.tolist() == [UNKNOWN]
    assert first.ignore.tolist() == [[0, 0, 20, 20]]
    assert len(second.xyxy) == 0


def test_a_file_that_is_no_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "notes.md").write_text("hello")
    with pytest.raises(OSError, match=r"notes\.md"):
        read_yolo_labels(tmp_path)
