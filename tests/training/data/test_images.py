"""A folder of images is read by what lies in it."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.data.images import read_images


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((40, 80, 3), np.uint8))


def test_no_folder_gives_nothing() -> None:
    assert read_images([]) == []


def test_folders_of_all_forms_are_read_in_turn(tmp_path: Path) -> None:
    picture(tmp_path / "own" / "images" / "a.jpg")
    (tmp_path / "own" / "labels").mkdir()
    (tmp_path / "own" / "labels" / "a.txt").write_text("0 0.5 0.5 0.25 0.5\n")
    picture(tmp_path / "crowd" / "Images" / "b.jpg")
    line = {"ID": "b", "gtboxes": [{"tag": "person", "fbox": [30, 10, 20, 20]}]}
    (tmp_path / "crowd" / "annotation_train.odgt").write_text(json.dumps(line))
    picture(tmp_path / "coco" / "val2017" / "c.jpg")
    (tmp_path / "coco" / "annotations").mkdir()
    record = {
        "images": [{"id": 7, "file_name": "c.jpg"}],
        "annotations": [{"image_id": 7, "category_id": 1, "bbox": [30, 10, 20, 20], "iscrowd": 0}],
        "categories": [{"id": 1, "name": "person"}],
    }
    (tmp_path / "coco" / "annotations" / "instances_val2017.json").write_text(json.dumps(record))
    images = read_images([tmp_path / "own", tmp_path / "crowd", tmp_path / "coco"])
    assert [image.path.name for image in images] == ["a.jpg", "b.jpg", "c.jpg"]
    assert all(image.xyxy.tolist() == [[30, 10, 50, 30]] for image in images)
    assert all(image.read().shape == (40, 80, 3) for image in images)


def test_a_folder_of_no_known_form_is_refused_with_the_forms(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.jpg")
    with pytest.raises(FileNotFoundError, match=r"expected images/ and labels/, or \*\.odgt"):
        read_images([tmp_path])
