"""Folders of labelled pictures, written small by the tests."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from training.data.labelled import LabelledImage, read_images, read_sequences
from training.targets import UNKNOWN


def write_sequence(folder: Path, frames: int, rows: list[str]) -> Path:
    (folder / "img1").mkdir(parents=True)
    for number in range(1, frames + 1):
        cv2.imwrite(str(folder / "img1" / f"{number:06d}.jpg"), np.full((48, 64, 3), number, np.uint8))
    (folder / "gt.txt").write_text("\n".join(rows) + "\n")
    (folder / "seqinfo.ini").write_text(f"[Sequence]\nname={folder.name}\nseqLength={frames}\n")
    return folder


def test_no_folder_gives_nothing(tmp_path: Path) -> None:
    assert read_sequences([], tmp_path) == ([], 0)
    assert read_images([]) == []


def test_only_the_first_half_is_read(tmp_path: Path) -> None:
    rows = [f"{frame},1,11,6,10,20,1,1,1" for frame in range(1, 8)]
    images, identities = read_sequences([write_sequence(tmp_path / "seq", 7, rows)], tmp_path)
    assert [image.frame for image in images] == [1, 2, 3]
    assert identities == 1
    assert images[0].xyxy.tolist() == [[10, 5, 20, 25]]
    assert images[0].read().shape == (48, 64, 3)


def test_identities_of_two_sequences_are_counted_on_and_only_those_of_the_half(tmp_path: Path) -> None:
    first = write_sequence(tmp_path / "a", 4, ["1,30,1,1,5,9,1,1,1", "2,10,1,1,5,9,1,1,1", "4,99,1,1,5,9,1,1,1"])
    second = write_sequence(tmp_path / "b", 4, ["1,30,1,1,5,9,1,1,1"])
    images, identities = read_sequences([first, second], tmp_path)
    assert [image.ids.tolist() for image in images] == [[1], [0], [2], []]
    assert identities == 3


def test_distractors_are_ignored_and_unscored_boxes_dropped(tmp_path: Path) -> None:
    rows = ["1,1,1,1,5,9,1,1,1", "1,2,11,1,5,9,0,8,1", "1,3,21,1,5,9,0,1,1", "1,4,31,1,5,9,1,3,1"]
    images, _ = read_sequences([write_sequence(tmp_path / "seq", 2, rows)], tmp_path)
    assert images[0].xyxy.tolist() == [[0, 0, 5, 9]]
    assert images[0].ignore.tolist() == [[10, 0, 15, 9]]


def test_mot15_truth_without_classes_is_all_persons(tmp_path: Path) -> None:
    folder = write_sequence(tmp_path / "seq", 2, ["1,5,1,1,5,9,1,-1,-1,-1"])
    images, identities = read_sequences([folder], tmp_path)
    assert (len(images[0].xyxy), identities) == (1, 1)


def test_a_folder_without_truth_is_named(tmp_path: Path) -> None:
    folder = write_sequence(tmp_path / "seq", 2, [""])
    (folder / "gt.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"gt\.txt"):
        read_sequences([folder], tmp_path)


def test_single_images_have_persons_without_identity_and_regions(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    for name in ("a", "b"):
        cv2.imwrite(str(tmp_path / "images" / f"{name}.jpg"), np.zeros((40, 80, 3), np.uint8))
    (tmp_path / "labels" / "a.txt").write_text("0 0.5 0.5 0.25 0.5\n1 0.125 0.25 0.25 0.5\n")
    first, second = read_images([tmp_path])
    assert first.xyxy.tolist() == [[30, 10, 50, 30]]
    assert first.ids.tolist() == [UNKNOWN]
    assert first.ignore.tolist() == [[0, 0, 20, 20]]
    assert len(second.xyxy) == 0


def test_an_unreadable_picture_is_named(tmp_path: Path) -> None:
    empty = np.zeros((0, 4), np.float32)
    image = LabelledImage(tmp_path / "gone.jpg", empty, np.zeros(0, np.int64), empty)
    with pytest.raises(OSError, match=r"gone\.jpg"):
        image.read()
