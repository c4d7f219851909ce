"""Labels by a detector: what it is sure of, what the truth says, and a folder from end to end."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.arrays import F32, U8
from training.data.images import read_images
from training.label import CERTAIN, confirm, judge, label, main

NOBODY = np.zeros((0, 4), np.float32)
NONE = np.zeros(0, np.float32)
BOX = np.array([[10, 10, 30, 60]], np.float32)


def test_without_detections_there_are_no_labels() -> None:
    labels = judge(NOBODY, NONE)
    assert (len(labels.xyxy), len(labels.scores), len(labels.ignore)) == (0, 0, 0)
    labels = confirm(NOBODY, NOBODY, NOBODY, NONE)
    assert (len(labels.xyxy), len(labels.scores), len(labels.ignore)) == (0, 0, 0)


def test_sure_detections_count_doubtful_ones_are_ignored_and_the_rest_is_background() -> None:
    boxes = BOX + np.array([[0], [100], [200], [300]], np.float32)
    labels = judge(boxes, np.array([0.9, 0.5, 0.3, 0.1], np.float32))
    assert labels.xyxy.tolist() == boxes[:2].tolist()
    assert labels.scores.tolist() == pytest.approx([1.0, 0.5 / CERTAIN])
    assert labels.ignore.tolist() == boxes[2:3].tolist()


def test_a_true_person_whom_the_detector_misses_stands_with_half_a_point() -> None:
    labels = confirm(BOX, NOBODY, NOBODY, NONE)
    assert labels.xyxy.tolist() == BOX.tolist()
    assert labels.scores.tolist() == [0.5]


def test_a_sure_detection_of_a_true_person_gives_its_box_and_a_weak_one_its_doubt() -> None:
    seen = BOX + 1
    sure = confirm(BOX, NOBODY, seen, np.array([0.9], np.float32))
    assert sure.xyxy.tolist() == seen.tolist() and sure.scores.tolist() == [1.0] and len(sure.ignore) == 0
    weak = confirm(BOX, NOBODY, seen, np.array([0.35], np.float32))
    assert weak.xyxy.tolist() == BOX.tolist() and weak.scores.tolist() == pytest.approx([0.5 + 0.5 * 0.35 / CERTAIN])


def test_what_is_surely_seen_beside_the_truth_is_ignored() -> None:
    away = BOX + 200
    labels = confirm(BOX, BOX + 400, np.concatenate((away, away + 100)), np.array([0.8, 0.3], np.float32))
    assert labels.ignore.tolist() == [*(BOX + 400).tolist(), *away.tolist()]
    assert len(labels.xyxy) == 1


class White:
    """Finds the white rectangle of a picture."""

    def detect(self, bgr: U8) -> tuple[F32, F32]:
        rows, columns = np.nonzero(bgr[..., 0] > 200)
        if len(rows) == 0:
            return NOBODY, NONE
        box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        return np.array([box], np.float32), np.array([0.6], np.float32)

    def look(self, bgr: U8, xyxy: F32) -> F32:
        return np.tile(np.array([[0.6, 0.8]], np.float32), (len(xyxy), 1))


def picture(path: Path, left: int | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((64, 96, 3), 60, np.uint8)
    if left is not None:
        pixels[20:50, left : left + 12] = 255
    cv2.imwrite(str(path), pixels)


def test_a_folder_of_pictures_becomes_labelled_images_with_looks(tmp_path: Path) -> None:
    picture(tmp_path / "street" / "a.png", 30)
    picture(tmp_path / "street" / "b.png", None)
    for _ in range(2):  # started again, it goes on
        label(tmp_path / "street", tmp_path / "out", White(), White(), 1)  # type: ignore[arg-type]
    somebody, nobody = read_images([tmp_path / "out"])
    np.testing.assert_allclose(somebody.xyxy, [[30, 20, 42, 50]], atol=0.01)
    assert somebody.scores is not None and somebody.scores.tolist() == pytest.approx([0.6 / CERTAIN], abs=1e-4)
    assert somebody.looks is not None and somebody.looks.shape == (1, 2)
    assert len(nobody.xyxy) == 0


def test_of_a_video_every_so_many_frames_are_labelled(tmp_path: Path) -> None:
    video = cv2.VideoWriter(str(tmp_path / "film.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (96, 64))
    frame = np.full((64, 96, 3), 60, np.uint8)
    frame[20:50, 30:42] = 255
    for _ in range(7):
        video.write(frame)
    video.release()
    label(tmp_path / "film.avi", tmp_path / "out", White(), None, 3)  # type: ignore[arg-type]
    images = read_images([tmp_path / "out"])
    assert [image.path.name for image in images] == ["000001.jpg", "000004.jpg", "000007.jpg"]
    assert all(image.looks is None and len(image.xyxy) == 1 for image in images)


def test_a_source_that_is_not_there_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([str(tmp_path / "nowhere"), "--detector", "x.xml", "--output", str(tmp_path)])
    assert caught.value.code == 2
    assert "no such folder or file" in capsys.readouterr().err
