from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.sources import SourceError, open_source
from edge.sources.sequence import SequenceInfo, SequenceSource
from testbed.clips import numbered_image, read_number

INFO = """[Sequence]
name=TEST-01
imDir=img1
frameRate=10
seqLength=12
imWidth=320
imHeight=192
imExt=.png
"""


@pytest.fixture(params=["images", "video"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, numbered_clip: Path) -> Path:
    """A sequence of 12 frames; frame n (counted from 1) carries the number n - 1."""
    (tmp_path / "seqinfo.ini").write_text(INFO)
    if request.param == "video":
        (tmp_path / "video.mp4").write_bytes(numbered_clip.read_bytes())
    else:
        (tmp_path / "img1").mkdir()
        for number in range(12):
            cv2.imwrite(str(tmp_path / "img1" / f"{number + 1:06d}.png"), numbered_image(number))
    return tmp_path


def test_folder_without_description_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"seqinfo\.ini") as caught:
        open_source(tmp_path)
    assert caught.value.code == "not_found"
    assert "img1/ or video.mp4" in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "[Other]\n", INFO.replace("10", "0"), INFO.replace("320", "wide"), "no ini", "[Sequence]\nname=x\n"]
)
def test_broken_description_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "seqinfo.ini").write_text(text)
    with pytest.raises(SourceError) as caught:
        SequenceInfo.read(tmp_path / "seqinfo.ini")
    assert caught.value.code == "no_video"


def test_all_frames_come_at_the_announced_rate(folder: Path) -> None:
    source = open_source(folder)
    assert (source.live, source.frame_rate, source.frame_count) == (False, 10.0, 12)
    frames = list(source)
    assert [read_number(frame.image) for frame in frames] == list(range(12))
    np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(12) / 10)
    assert source.state.phase == "ended"


def test_range_counts_from_one_and_includes_both_ends(folder: Path) -> None:
    source = SequenceSource(folder, first=7, last=9)
    frames = list(source)
    assert source.frame_count == 3
    assert [read_number(frame.image) for frame in frames] == [6, 7, 8]
    assert [(frame.index, frame.pts) for frame in frames] == [(0, 7), (1, 8), (2, 9)]
    assert frames[0].time_s == 0.0


def test_range_outside_the_sequence_is_refused(folder: Path) -> None:
    with pytest.raises(SourceError, match="1 to 12"):
        SequenceSource(folder, first=13)


@pytest.mark.parametrize("folder", ["images"], indirect=True)
def test_missing_image_is_named(folder: Path) -> None:
    source = SequenceSource(folder)
    (folder / "img1" / "000003.png").unlink()
    with pytest.raises(SourceError, match=r"000003\.png") as caught:
        list(source)
    assert caught.value.code == "not_found" and source.state.phase == "failed"


def test_truth_is_found_in_both_layouts(folder: Path) -> None:
    assert SequenceSource(folder).truth_path is None
    (folder / "gt").mkdir()
    (folder / "gt" / "gt.txt").touch()
    assert SequenceSource(folder).truth_path == folder / "gt" / "gt.txt"
    (folder / "gt.txt").touch()
    assert SequenceSource(folder).truth_path == folder / "gt.txt"


@pytest.mark.data
def test_real_sequence_has_the_frames_it_promises(data_dir: Path) -> None:
    source = SequenceSource(data_dir / "sequences" / "TUD-Stadtmitte", first=90)
    frames = list(source)
    assert len(frames) == source.frame_count == 90
    assert frames[0].image.shape == (source.info.height, source.info.width, 3)
    assert source.truth_path is not None


NAMINGS = {
    "eight digits": [f"{n:08d}.jpg" for n in range(1, 9)],
    "seven digits": [f"{n:07d}.JPG" for n in range(1, 9)],
    "from zero": [f"{n:06d}.png" for n in range(8)],
    "from 301": [f"{n:06d}.Png" for n in range(301, 309)],
    "no leading zeros, over ten": [f"{n}.jpeg" for n in range(5, 13)],
    "words before the number": [f"img{n:05d}.jpg" for n in range(1, 9)],
    "numbers in the words": [f"cam2_{n:04d}.bmp" for n in range(1, 9)],
}


@pytest.mark.parametrize("names", NAMINGS.values(), ids=NAMINGS.keys())
@pytest.mark.parametrize("announced", [".jpg", "jpg", "PNG", ""])
def test_images_come_in_their_order_whatever_their_names(tmp_path: Path, names: list[str], announced: str) -> None:
    (tmp_path / "Img1").mkdir()
    for number, name in enumerate(names):
        kind = Path(name).suffix.lower()
        (tmp_path / "Img1" / name).write_bytes(cv2.imencode(kind, numbered_image(number))[1].tobytes())
    for other in ("._000001.jpg", "Thumbs.db", "000001.txt", "poster.jpg", "preview1.gif"):
        (tmp_path / "Img1" / other).write_bytes(b"no picture of the sequence")
    text = INFO.replace("seqLength=12", "seqLength=8").replace("imExt=.png", f"imExt={announced}")
    (tmp_path / "seqinfo.ini").write_text(text)
    assert [read_number(frame.image) for frame in open_source(tmp_path)] == list(range(8))


def test_of_two_kinds_of_images_the_announced_one_is_shown(tmp_path: Path) -> None:
    (tmp_path / "img1").mkdir()
    for number in range(12):
        cv2.imwrite(str(tmp_path / "img1" / f"{number:04d}.png"), numbered_image(number))
        cv2.imwrite(str(tmp_path / "img1" / f"{number:04d}.jpg"), numbered_image(0))
        cv2.imwrite(str(tmp_path / "img1" / f"depth{number:04d}.jpg"), numbered_image(0))
    (tmp_path / "seqinfo.ini").write_text(INFO)
    assert [read_number(frame.image) for frame in open_source(tmp_path)] == list(range(12))


def test_a_folder_without_images_says_so(tmp_path: Path) -> None:
    (tmp_path / "img1").mkdir()
    (tmp_path / "seqinfo.ini").write_text(INFO)
    with pytest.raises(SourceError, match="no numbered images") as caught:
        open_source(tmp_path)
    assert caught.value.code == "not_found"


@pytest.mark.parametrize("folder", ["video"], indirect=True)
def test_a_video_shorter_than_promised_is_told(folder: Path) -> None:
    (folder / "seqinfo.ini").write_text(INFO.replace("seqLength=12", "seqLength=120"))
    source = open_source(folder)
    assert len(list(source)) == 100
    assert source.state.code == "ends_early" and "100 of 120" in (source.state.message or "")
