"""Exports, read again with this project's own reader and with rules of COCO."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.tracking.mot_format import parse_mot
from service.tracks.formats import coco, mot_text
from service.tracks.messages import Published


def message(frame_id: int, tracks: list[dict[str, Any]], epoch: int = 1, ts: float = 5.0) -> Published:
    body = {"frame_id": frame_id, "epoch": epoch, "width": 64, "height": 48, "tracks": tracks}
    return Published("door", frame_id + 1, ts, json.dumps(body).encode())


def track(
    identity: int, bbox: list[float], origin: str = "student", score: float = 0.5, name: str = "person"
) -> dict[str, Any]:
    return {"id": identity, "bbox": bbox, "score": score, "class": name, "origin": origin}


def test_nothing_recorded_is_an_empty_file() -> None:
    assert mot_text([]) == ""
    assert mot_text([message(0, [])]) == ""
    assert coco([], "door") == {
        "info": {"description": "stream door"},
        "images": [],
        "annotations": [],
        "categories": [{"id": 1, "name": "person", "supercategory": "person"}],
    }


def test_boxes_come_back_from_the_text_where_they_were() -> None:
    messages = [
        message(0, [track(1, [-2.5, 0, 7.5, 20.1]), track(2, [10, 10, 20, 40])]),
        message(3, [track(2, [1, 2, 3, 4])]),
    ]
    boxes = parse_mot(mot_text(messages).splitlines())
    assert boxes.frames.tolist() == [1, 1, 4]
    assert boxes.ids.tolist() == [1, 2, 2]
    np.testing.assert_allclose(boxes.xyxy, [[-2.5, 0, 7.5, 20.1], [10, 10, 20, 40], [1, 2, 3, 4]], atol=1e-3)
    np.testing.assert_allclose(boxes.flags, 0.5)
    assert mot_text(messages).splitlines()[1] == "1,2,11.000,11.000,10.000,30.000,0.5000,-1,-1,-1"


def test_of_several_classes_the_text_has_a_column_and_coco_categories() -> None:
    classes = ("forklift", "person", "car", "cow")
    seen = [track(number + 1, [0, 0, 9, 9], name=name) for number, name in enumerate(classes)]
    text = mot_text([message(0, seen[:3])], classes)
    assert [line.split(",")[6:] for line in text.splitlines()] == [
        ["0.5000", "14", "-1"],
        ["0.5000", "1", "-1"],
        ["0.5000", "3", "-1"],
    ]
    assert parse_mot(text.splitlines()).classes.tolist() == [14, 1, 3]
    document = coco([message(0, seen)], "door", classes)
    names = {one["id"]: one["name"] for one in document["categories"]}
    assert names == {14: "forklift", 1: "person", 3: "car", 15: "cow"}
    assert [names[one["category_id"]] for one in document["annotations"]] == [*classes]
    assert mot_text([message(0, seen[1:2])], ("cow",)).endswith(",1,-1\n"), "seen before the pair was another"


def test_predicted_and_empty_boxes_are_left_out() -> None:
    seen = [track(1, [0, 0, 5, 5]), track(2, [0, 0, 5, 5], origin="predicted"), track(3, [4, 0, 4, 5])]
    assert parse_mot(mot_text([message(0, seen)]).splitlines()).ids.tolist() == [1]


def test_numbers_stay_unique_where_frames_or_identities_start_anew() -> None:
    box = [0.0, 0.0, 5.0, 5.0]
    messages = [
        message(5, [track(1, box), track(4, box)]),
        message(6, [track(1, box)]),
        message(0, [track(1, box)]),  # the source was opened again, identities were kept
        message(1, [track(1, box), track(2, box)], epoch=2),
    ]
    boxes = parse_mot(mot_text(messages).splitlines())
    assert boxes.frames.tolist() == [6, 6, 7, 8, 9, 9]
    assert boxes.ids.tolist() == [1, 4, 1, 1, 5, 6]


@pytest.fixture
def document() -> dict[str, Any]:
    tracks = [track(1, [-2.5, 0, 7.5, 20.1], score=0.9), track(2, [10, 10, 20, 40])]
    made: dict[str, Any] = json.loads(
        json.dumps(coco([message(0, tracks), message(1, []), message(2, tracks[:1])], "door"))
    )
    return made


def test_coco_document_refers_to_what_it_has(document: dict[str, Any]) -> None:
    images = {one["id"]: one for one in document["images"]}
    assert list(images) == [1, 2, 3]
    assert all((one["width"], one["height"]) == (64, 48) for one in images.values())
    assert len({one["file_name"] for one in images.values()}) == 3
    annotations = document["annotations"]
    assert [one["id"] for one in annotations] == [1, 2, 3]
    for one in annotations:
        assert one["image_id"] in images
        assert one["category_id"] in {category["id"] for category in document["categories"]}
        assert one["area"] == pytest.approx(one["bbox"][2] * one["bbox"][3], abs=0.01)


def test_coco_boxes_count_from_zero(document: dict[str, Any]) -> None:
    first = document["annotations"][0]
    assert first["bbox"] == [-2.5, 0, 10.0, 20.1]
    assert (first["score"], first["track_id"], first["iscrowd"]) == (0.9, 1, 0)


coordinates = st.integers(-500, 5000).map(lambda tenth: tenth / 10)
tracks = st.lists(
    st.builds(lambda i, a, b, c, d: track(i, [a, b, c, d]), st.integers(1, 9), *[coordinates] * 4),
    max_size=4,
    unique_by=lambda one: one["id"],
)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 3), tracks), max_size=6))
def test_whatever_was_recorded_can_be_read(steps: list[tuple[int, int, list[dict[str, Any]]]]) -> None:
    messages, epoch = [], 0
    for frame_id, more, seen in steps:
        epoch += more // 3
        messages.append(message(frame_id, seen, epoch))
    boxes = parse_mot(mot_text(messages).splitlines())  # refuses a second box of an id in a frame
    annotations = coco(messages, "door")["annotations"]
    assert isinstance(annotations, list)
    assert len(boxes) == len(annotations)
    assert [one["track_id"] for one in annotations] == boxes.ids.tolist()
    assert [one["image_id"] for one in annotations] == boxes.frames.tolist()
