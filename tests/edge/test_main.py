"""`atttrack track` as its user runs it, on a video file with the drawn scene."""

import re
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from edge.__main__ import _named_after, main
from edge.tracking.boxes import iou_matrix
from edge.tracking.mot_format import read_mot
from edge.video_writer import VideoWriter
from tests.support.drawn import Drawn
from tests.support.tiny_pair import write_tiny_pair

SCENE = Drawn(((60, 66), (320, 192), (580, 318)), ((400, 0), (20, 0), (-350, 0)))
FRAMES = 30


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("main")
    write_tiny_pair(folder)
    with VideoWriter(folder / "scene.mp4") as video:
        for index in range(FRAMES):
            frame = SCENE.frame(index)
            video.write(frame.image, frame.time_s)
    return folder


def _arguments(folder: Path, tmp_path: Path, *more: str) -> list[str]:
    source, output = str(folder / "scene.mp4"), str(tmp_path / "tracks.txt")
    models = ["--models", str(folder), "--pair", "tiny", "--size", "320x192", "--threads", "1"]
    return [source, "--output", output, *models, *more]


def _assert_tracks_are_true(path: Path, frames: range) -> None:
    boxes = read_mot(path)
    assert set(boxes.frames.tolist()) == set(frames)
    for number in frames:
        truth = SCENE.xyxy((number - 1) / 30)
        assert (iou_matrix(boxes.where(boxes.frames == number).xyxy, truth).max(axis=0) > 0.5).all(), number
    assert len(np.unique(boxes.ids)) == 3


def test_tracks_of_a_video_are_written_and_people_and_stages_are_reported(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(_arguments(folder, tmp_path, "--mode", "naive", "--k", "4", "--stages")) == 0
    _assert_tracks_are_true(tmp_path / "tracks.txt", range(1, FRAMES + 1))
    report = capsys.readouterr().out
    assert "30 frames (8 by the teacher, 22 by the student)" in report
    for stage in ("letterbox", "teacher", "student", "association", "reading etc."):
        assert stage in report
    assert "people: 3, of whom 0 are worth a second look" in report
    assert all(re.search(rf"^ +{person} +0:00\.0 +0:01\.0 +1\.0 s  -$", report, re.MULTILINE) for person in (1, 2, 3))


def test_without_a_name_results_are_named_after_the_film_and_lie_in_the_current_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source, _, _, *models = _arguments(folder, tmp_path)
    assert main([source, *models]) == 0
    _assert_tracks_are_true(tmp_path / "scene.tracks.txt", range(1, FRAMES + 1))
    assert [path.name for path in tmp_path.iterdir()] == ["scene.tracks.txt"]
    for said in ([source, "--video", *models], ["--video", source, *models]):
        assert main(said) == 0
        with av.open(str(tmp_path / "scene.tracked.mp4")) as container:
            assert len(list(container.decode(video=0))) == FRAMES
        (tmp_path / "scene.tracked.mp4").unlink()


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("rtsp://u:p@camera/live", "camera"),
        ("synthetic://?seed=1", "synthetic"),
        ("a/b.c.mkv", "b.c"),
        ("file:///x/a%20b.mp4", "a b"),
    ],
)
def test_a_name_is_made_from_any_source_and_tells_no_password(source: str, name: str) -> None:
    assert _named_after(source, ".tracks.txt") == Path(f"{name}.tracks.txt")


def test_times_of_a_range_count_from_the_films_begin(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(_arguments(folder, tmp_path, "--mode", "teacher", "--frames", "16-30")) == 0
    assert re.search(r"^ +1 +0:00\.5 +0:01\.0 +0\.5 s", capsys.readouterr().out, re.MULTILINE)


def test_nothing_to_track_is_said_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["--video"], ["--k", "4"]):
        with pytest.raises(SystemExit, match="2"):
            main(arguments)
        assert "what is to be tracked?" in capsys.readouterr().err.splitlines()[-1]


def test_a_range_of_frames_keeps_the_numbers_of_the_whole(folder: Path, tmp_path: Path) -> None:
    assert main(_arguments(folder, tmp_path, "--mode", "teacher", "--frames", "11-20")) == 0
    _assert_tracks_are_true(tmp_path / "tracks.txt", range(11, 21))
    assert main(_arguments(folder, tmp_path, "--mode", "teacher", "--frames", "21-")) == 0
    _assert_tracks_are_true(tmp_path / "tracks.txt", range(21, FRAMES + 1))


def test_an_annotated_video_shows_every_frame(folder: Path, tmp_path: Path) -> None:
    assert main(_arguments(folder, tmp_path, "--video", str(tmp_path / "seen.mp4"))) == 0
    with av.open(str(tmp_path / "seen.mp4")) as container:
        frames = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    assert len(frames) == FRAMES
    assert np.abs(frames[9].astype(int) - SCENE.frame(9).image).max() > 60, "something is drawn on it"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--models", "/nowhere"], "no model file tiny-teacher-320x192.onnx in /nowhere"),
        (["--k", "0"], "k must be 1 to 1000, got 0"),
        (["--threshold", "7"], "threshold must be 0 to 1, got 7.0"),
        (["--device", "cuda"], "no CUDA driver on this machine"),
        (["--video", "x.avi"], "ends in .mp4 or .webm"),
        (["--output", "/nowhere/tracks.txt"], "/nowhere/tracks.txt"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: list[str], message: str
) -> None:
    assert main(_arguments(folder, tmp_path, *change)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_source_that_is_not_there_is_said_in_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = _arguments(folder, tmp_path)
    assert main([str(tmp_path / "nothing.mp4"), *arguments[1:]]) == 2
    error = capsys.readouterr().err
    assert "nothing.mp4" in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir()), "what cannot be read leaves no file behind"


@pytest.mark.parametrize("frames", ["5", "9-3", "0-4", "a-b", "-"])
def test_a_range_that_is_none_is_refused(folder: Path, tmp_path: Path, frames: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(_arguments(folder, tmp_path, "--frames=" + frames))


def test_help_shows_the_modes_and_examples() -> None:
    shown = subprocess.run([sys.executable, "-m", "edge", "--help"], capture_output=True, text=True, check=True).stdout
    for text in ("rtsp://", "--frames", "no-update", "naive", "default atttrack"):
        assert text in shown
