"""What is packed for a machine without network comes out there whole, and no part is too large."""

from pathlib import Path

import pytest

from benchmarks.train_kit import Parts, main
from tests.support.tiny_data import write_data
from training.kit import unpack


def test_what_fits_into_no_part_is_refused(tmp_path: Path) -> None:
    parts = Parts(tmp_path, 20_000, 1)
    assert not parts.add("large", bytes(20_000))
    assert parts.add("small", bytes(100))
    assert not parts.add("too much", bytes(9_000))
    parts.close()
    assert {path.name for path in tmp_path.iterdir()} == {"1"}


def test_sequences_and_photographs_come_out_as_they_went_in(tmp_path: Path) -> None:
    data = write_data(tmp_path)
    (data / "sequences" / "seq" / "video.mp4").write_bytes(bytes(30_000))
    folder = tmp_path / "kit"
    assert main([str(folder), "--data", str(data), "--packages", "--part", "0.05", "--parts", "3"]) == 0
    sizes = [sum(file.stat().st_size for file in part.iterdir()) for part in folder.iterdir()]
    assert max(sizes) <= 0.05 * 2**20
    _, unpacked = unpack(folder, tmp_path / "work")
    assert unpacked is not None
    for name in ("sequences/seq/gt.txt", "sequences/seq/video.mp4", "images/photos/labels/a.txt"):
        assert (unpacked / name).read_bytes() == (data / name).read_bytes()
    assert {path.name for path in (unpacked / "images" / "photos" / "images").iterdir()} == {"a.jpg", "b.jpg"}


def test_photographs_give_way_and_sequences_do_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_data(tmp_path)
    (data / "sequences" / "seq" / "video.mp4").touch()
    words = ["--data", str(data), "--packages", "--parts", "1"]
    assert main([str(tmp_path / "one"), *words, "--part", "0.0145"]) == 0
    assert "0 of 2 photographs" in capsys.readouterr().out
    assert main([str(tmp_path / "two"), *words, "--part", "0.011"]) == 1
    assert "no room for" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="not empty"):
        main([str(tmp_path / "one"), *words])


def test_folders_of_other_forms_are_left_out_whole_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_data(tmp_path)
    photo = data / "images" / "photos" / "images" / "a.jpg"
    for name, form in (("coco", "annotations/instances_val.json"), ("crowds", "annotation_train.odgt")):
        label = data / "images" / name / form
        label.parent.mkdir(parents=True)
        label.write_text("{}")
        (data / "images" / name / "images").mkdir()
        (data / "images" / name / "images" / "a.jpg").write_bytes(photo.read_bytes())
    assert main([str(tmp_path / "kit"), "--data", str(data), "--packages"]) == 0
    said = capsys.readouterr().out
    assert "2 of 2 photographs" in said
    assert "no COCO or CrowdHuman: coco, crowds" in said
    _, unpacked = unpack(tmp_path / "kit", tmp_path / "work")
    assert unpacked is not None
    assert [path.name for path in (unpacked / "images").iterdir()] == ["photos"]


def test_a_sequence_of_single_pictures_is_left_out_whole_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_data(tmp_path)
    assert main([str(tmp_path / "kit"), "--data", str(data), "--packages"]) == 0
    assert "no video.mp4: seq" in capsys.readouterr().out
    _, unpacked = unpack(tmp_path / "kit", tmp_path / "work")
    assert unpacked is not None
    assert not (unpacked / "sequences").exists()
