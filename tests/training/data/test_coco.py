"""COCO's instances."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.data.coco import parse_instances, read_coco

PLACE = st.integers(-50, 600)
SIDE = st.integers(1, 600)
BOX = st.tuples(PLACE, PLACE, SIDE, SIDE)
CATEGORIES = [{"id": 1, "name": "person"}, {"id": 3, "name": "car"}]


def instances(annotations: list[dict[str, Any]], pictures: int = 3) -> str:
    images = [{"id": number * 10, "file_name": f"{number:012d}.jpg"} for number in range(pictures)]
    return json.dumps({"images": images, "annotations": annotations, "categories": CATEGORIES})


def test_a_file_without_annotations_has_no_pictures_of_persons() -> None:
    assert parse_instances(instances([]), "x.json") == []


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from([1, 3]), BOX, st.booleans())))
def test_persons_are_learnt_crowds_ignored_and_other_things_left_out(rows: list[tuple[Any, ...]]) -> None:
    annotations = [
        {"image_id": picture * 10, "category_id": category, "bbox": box, "iscrowd": int(crowd)}
        for picture, category, box, crowd in rows
    ]
    read = {
        name: (persons.tolist(), crowds.tolist())
        for name, persons, crowds in parse_instances(instances(annotations), "x.json")
    }
    expected: dict[str, tuple[list[Any], list[Any]]] = {}
    for picture, category, (x, y, w, h), crowd in rows:
        if category == 1:
            expected.setdefault(f"{picture:012d}.jpg", ([], []))[crowd].append([x, y, x + w, y + h])
    assert read == expected


def test_boxes_without_area_are_left_out() -> None:
    assert parse_instances(instances([{"image_id": 0, "category_id": 1, "bbox": [3, 4, 0, 5]}]), "x.json") == []


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"images": [], "categories": []}'])
def test_a_file_of_another_form_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"^x\.json: expected images, annotations and categories"):
        parse_instances(text, "x.json")


def test_a_file_without_persons_is_named() -> None:
    text = json.dumps({"images": [], "annotations": [], "categories": [{"id": 1, "name": "Person"}]})
    with pytest.raises(ValueError, match="a category named 'person'"):
        parse_instances(text, "x.json")


@pytest.mark.parametrize(
    "annotation",
    [
        5,
        {"image_id": 0},
        {"image_id": 0, "category_id": 1},
        {"image_id": 0, "category_id": 1, "bbox": [1, 2, 3]},
        {"image_id": 0, "category_id": 1, "bbox": [1, 2, 3, "x"]},
        {"image_id": 0, "category_id": 1, "bbox": [1, 2, float("nan"), 4]},
        {"image_id": 999, "category_id": 1, "bbox": [1, 2, 3, 4]},
        {"image_id": [0], "category_id": 1, "bbox": [1, 2, 3, 4]},
    ],
)
def test_a_bad_annotation_is_named_with_what_was_expected(annotation: Any) -> None:
    good = {"image_id": 0, "category_id": 1, "bbox": [1, 2, 3, 4]}
    with pytest.raises(ValueError, match=r"^x\.json: annotations\[1\]: expected the image_id"):
        parse_instances(instances([good, annotation]), "x.json")


def test_only_files_whose_pictures_are_there_are_read(tmp_path: Path) -> None:
    (tmp_path / "annotations").mkdir()
    for name in ("train2017", "val2017"):
        text = instances([{"image_id": 0, "category_id": 1, "bbox": [1, 2, 3, 4]}])
        (tmp_path / "annotations" / f"instances_{name}.json").write_text(text)
    with pytest.raises(FileNotFoundError, match=r"annotations but no pictures: no .*train2017"):
        read_coco(tmp_path)
    (tmp_path / "val2017").mkdir()
    assert [image.path for image in read_coco(tmp_path)] == [tmp_path / "val2017" / "000000000000.jpg"]
