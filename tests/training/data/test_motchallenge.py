"""MOTChallenge folders of every year, written small by the tests."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.conftest import ClipFactory
from training.data.motchallenge import read_sequences


def write_sequence(folder: Path, frames: int, rows: list[str]) -> Path:
    (folder / "img1").mkdir(parents=True)
    for number in range(1, frames + 1):
        cv2.imwrite(str(folder / "img1" / f"{number:06d}.jpg"), np.full((48, 64, 3), number, np.uint8))
    (folder / "gt.txt").write_text("\n".join(rows) + "\n")
    (folder / "seqinfo.ini").write_text(f"[Sequence]\nname={folder.name}\nseqLength={frames}\n")
    return folder


def test_no_folder_gives_nothing(tmp_path: Path) -> None:
    assert read_sequences([], tmp_path) == ([], {})


def test_only_the_first_half_is_read(tmp_path: Path) -> None:
    rows = [f"{frame},1,11,6,10,20,1,1,1" for frame in range(1, 8)]
    images, identities = read_sequences([write_sequence(tmp_path / "seq", 7, rows)], tmp_path)
    assert [image.frame for image in images] == [1, 2, 3]
    assert identities == {"seq": 1}
    assert images[0].xyxy.tolist() == [[10, 5, 20, 25]]
    assert images[0].read().shape == (48, 64, 3)


def test_identities_of_two_sequences_are_counted_on_and_only_those_of_the_half(tmp_path: Path) -> None:
    first = write_sequence(tmp_path / "a", 4, ["1,30,1,1,5,9,1,1,1", "2,10,1,1,5,9,1,1,1", "4,99,1,1,5,9,1,1,1"])
    second = write_sequence(tmp_path / "b", 4, ["1,30,1,1,5,9,1,1,1"])
    images, identities = read_sequences([first, second], tmp_path)
    assert [image.ids.tolist() for image in images] == [[1], [0], [2], []]
    assert list(identities.items()) == [("a", 2), ("b", 1)]


def test_distractors_are_ignored_and_unscored_boxes_dropped(tmp_path: Path) -> None:
    rows = ["1,1,1,1,5,9,1,1,1", "1,2,11,1,5,9,0,8,1", "1,3,21,1,5,9,0,1,1", "1,4,31,1,5,9,1,3,1"]
    images, _ = read_sequences([write_sequence(tmp_path / "seq", 2, rows)], tmp_path)
    assert images[0].xyxy.tolist() == [[0, 0, 5, 9]]
    assert images[0].ignore.tolist() == [[10, 0, 15, 9]]


def test_mot15_truth_without_classes_is_all_persons(tmp_path: Path) -> None:
    folder = write_sequence(tmp_path / "seq", 2, ["1,5,1,1,5,9,1,-1,-1,-1"])
    images, identities = read_sequences([folder], tmp_path)
    assert (len(images[0].xyxy), identities) == (1, {"seq": 1})


def test_a_folder_without_truth_is_named(tmp_path: Path) -> None:
    folder = write_sequence(tmp_path / "seq", 2, [""])
    (folder / "gt.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"gt\.txt"):
        read_sequences([folder], tmp_path)


def test_mot20_has_regions_of_crowds_and_of_vehicles_without_motor(tmp_path: Path) -> None:
    rows = ["1,1,1,1,5,9,1,1,0.1", "1,2,11,1,5,9,0,6,1", "1,3,21,1,5,9,0,13,1", "1,4,31,1,5,9,0,11,1"]
    folder = write_sequence(tmp_path / "MOT20-01", 2, rows)
    (folder / "gt").mkdir()
    (folder / "gt.txt").rename(folder / "gt" / "gt.txt")
    images, identities = read_sequences([folder], tmp_path)
    assert images[0].xyxy.tolist() == [[0, 0, 5, 9]]
    assert images[0].ignore.tolist() == [[10, 0, 15, 9], [20, 0, 25, 9]]
    assert identities == {"MOT20-01": 1}


def test_a_copy_of_mot17_is_the_sequence(tmp_path: Path) -> None:
    folder = write_sequence(tmp_path / "MOT17-02-SDP", 2, ["1,5,1,1,5,9,1,1,1"])
    images, identities = read_sequences([folder], tmp_path)
    assert (images[0].sequence, identities) == ("MOT17-02", {"MOT17-02": 1})
    with pytest.raises(ValueError, match=r"MOT17-02-DPM: MOT17-02 was read already"):
        read_sequences([folder, tmp_path / "MOT17-02-DPM"], tmp_path)


def test_a_sequence_of_one_frame_has_no_first_half(tmp_path: Path) -> None:
    assert read_sequences([write_sequence(tmp_path / "seq", 1, ["1,1,1,1,5,9,1,1,1"])], tmp_path) == ([], {"seq": 0})


def test_a_bad_line_of_the_truth_is_named(tmp_path: Path) -> None:
    folder = write_sequence(tmp_path / "seq", 2, ["1,1,1,1,5,9,1,1,1", "2,1,1,1,five,9,1,1,1"])
    with pytest.raises(ValueError, match=r"gt\.txt:2: 'five' is not a number"):
        read_sequences([folder], tmp_path)


@pytest.mark.parametrize("text", ["", "[Sequence]\nname=seq\n", "[Sequence]\nseqLength=many\n", "seqLength=4\n"])
def test_a_description_without_length_is_named(tmp_path: Path, text: str) -> None:
    folder = write_sequence(tmp_path / "seq", 2, [""])
    (folder / "seqinfo.ini").write_text(text)
    with pytest.raises(ValueError, match=r"seqinfo\.ini: expected \[Sequence\] with seqLength"):
        read_sequences([folder], tmp_path)


def test_the_first_half_of_a_video_is_unpacked_once(tmp_path: Path, make_clip: ClipFactory) -> None:
    folder = write_sequence(tmp_path / "seq", 6, ["1,1,1,1,5,9,1,1,1"])
    for path in (folder / "img1").iterdir():
        path.unlink()
    (folder / "img1").rmdir()
    clip = make_clip(np.full((48, 64, 3), 40 * number, np.uint8) for number in range(6))
    (folder / "video.mp4").write_bytes(clip.read_bytes())
    images, _ = read_sequences([folder], tmp_path / "frames")
    assert [round(float(image.read().mean()) / 40) for image in images] == [0, 1, 2]
    (folder / "video.mp4").unlink()
    assert read_sequences([folder], tmp_path / "frames")[0][2].path == images[2].path


def test_a_video_that_is_too_short_or_missing_is_named(tmp_path: Path, make_clip: ClipFactory) -> None:
    folder = write_sequence(tmp_path / "seq", 2, [""])
    (folder / "img1").rename(tmp_path / "elsewhere")
    with pytest.raises(FileNotFoundError, match="neither img1/ nor a video"):
        read_sequences([folder], tmp_path / "frames")
    (folder / "seqinfo.ini").write_text("[Sequence]\nseqLength=20\n")
    clip = make_clip(np.full((48, 64, 3), 90, np.uint8) for _ in range(3))
    (folder / "video.mp4").write_bytes(clip.read_bytes())
    with pytest.raises(ValueError, match=r"video\.mp4 ends before frame 4"):
        read_sequences([folder], tmp_path / "frames")


@pytest.mark.data
def test_real_sequences_have_the_boxes_that_their_description_counts(data_dir: Path) -> None:
    from training.data.motchallenge import _truth

    boxes = {
        name: int((_truth(data_dir / "sequences" / name).flags != 0).sum()) for name in ("MOT17-02", "PETS09-S2L1")
    }
    assert boxes == {"MOT17-02": 18581, "PETS09-S2L1": 4476}
