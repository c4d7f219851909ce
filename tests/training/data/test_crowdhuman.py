"""CrowdHuman's lines."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.data.crowdhuman import parse_line, read_crowdhuman

PLACE = st.integers(-300, 3000)
SIDE = st.integers(1, 2000)


def box(fbox: Any, tag: str = "person", **extra: int) -> dict[str, Any]:
    return {"tag": tag, "hbox": [0, 0, 1, 1], "vbox": [0, 0, 1, 1], "fbox": fbox, "extra": extra, "head_attr": {}}


def test_a_picture_without_boxes_has_no_persons() -> None:
    name, persons, regions = parse_line('{"ID": "284193,faa9000f2678b5e"}', "x.odgt:1")
    assert (name, persons.shape, regions.shape) == ("284193,faa9000f2678b5e", (0, 4), (0, 4))


@given(st.lists(st.tuples(PLACE, PLACE, SIDE, SIDE)), st.lists(st.tuples(PLACE, PLACE, SIDE, SIDE)))
def test_persons_are_whole_bodies_and_the_rest_are_regions(
    bodies: list[tuple[int, ...]], ignored: list[tuple[int, ...]]
) -> None:
    boxes = [box(b, occ=1, box_id=0) for b in bodies] + [
        box(b, ignore=1) if place % 2 else box(b, tag="mask") for place, b in enumerate(ignored)
    ]
    _, persons, regions = parse_line(json.dumps({"ID": "a", "gtboxes": boxes}), "x.odgt:1")
    assert persons.tolist() == [[x, y, x + w, y + h] for x, y, w, h in bodies]
    assert regions.tolist() == [[x, y, x + w, y + h] for x, y, w, h in ignored]


def test_boxes_without_area_are_left_out() -> None:
    _, persons, regions = parse_line(json.dumps({"ID": "a", "gtboxes": [box([1, 2, 0, 9])]}), "x.odgt:1")
    assert (len(persons), len(regions)) == (0, 0)


@pytest.mark.parametrize(
    "line",
    [
        "not json",
        "[]",
        '{"gtboxes": []}',
        '{"ID": 5}',
        '{"ID": "a", "gtboxes": [{"tag": "person"}]}',
        '{"ID": "a", "gtboxes": [{"tag": "person", "fbox": [1, 2, 3]}]}',
        '{"ID": "a", "gtboxes": [{"tag": "person", "fbox": [1, 2, 3, "x"]}]}',
        '{"ID": "a", "gtboxes": [{"tag": "person", "fbox": [NaN, 2, 3, 4]}]}',
        '{"ID": "a", "gtboxes": [{"tag": "person", "fbox": [1, 2, 3, 4], "extra": 7}]}',
        '{"ID": "a", "gtboxes": 5}',
    ],
)
def test_a_bad_line_is_named_with_what_was_expected(line: str) -> None:
    with pytest.raises(ValueError, match=r'^x\.odgt:12: expected {"ID": name'):
        parse_line(line, "x.odgt:12")


def test_pictures_lie_beside_the_lines(tmp_path: Path) -> None:
    (tmp_path / "annotation_val.odgt").write_text('{"ID": "a"}\n\n{"ID": "b"}\n')
    with pytest.raises(FileNotFoundError, match="no Images/"):
        read_crowdhuman(tmp_path)
    (tmp_path / "Images").mkdir()
    for name in ("a", "b"):
        cv2.imwrite(str(tmp_path / "Images" / f"{name}.jpg"), np.zeros((4, 4, 3), np.uint8))
    assert [image.path.stem for image in read_crowdhuman(tmp_path)] == ["a", "b"]
    (tmp_path / "Images" / "b.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"annotation_val\.odgt:3: there is no .*b\.jpg"):
        read_crowdhuman(tmp_path)
