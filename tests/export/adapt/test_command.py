"""`atttrack adapt` from a film to a pair, with a small teacher that sees bright rectangles."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from benchmarks.scores import compare
from edge.__main__ import main as track
from edge.pipeline.backend import SHIPPED_MODELS, open_backend
from edge.pipeline.config import LaneSettings, PipelineSettings
from edge.pipeline.pipeline import TrackingPipeline
from edge.sources import open_source
from edge.tracking.mot_format import MotBoxes
from edge.video_writer import VideoWriter
from export.adapt import command
from export.adapt.command import main
from export.adapt.labels import Teacher
from tests.support.drawn import Drawn
from tests.support.tiny_pair import signature, tiny_model
from training.run import Run

pytestmark = pytest.mark.training

FRAMES = 75
SCENE = Drawn(((60, 100), (580, 192), (300, 280)), ((150, 0), (-120, 10), (20, -30)))


def adapt(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """recordings/hall.mp4 and a teacher beside it."""
    made = tmp_path_factory.mktemp("adapt")
    (made / "recordings").mkdir()
    with VideoWriter(made / "recordings" / "hall.mp4") as film:
        for index in range(FRAMES):
            film.write(SCENE.frame(index).image, index / 30)
    teacher = replace(signature("teacher", (320, 192)), appearance="none")  # embeddings of 3 take a minute to export
    onnx.save(tiny_model(teacher), made / "teacher.onnx")
    return made


def arguments(folder: Path, output: Path, *more: object) -> list[object]:
    wanted = ["--teacher", folder / "teacher.onnx", "--video", folder / "recordings", "--output", output]
    return [*wanted, "--minutes", "0.01", "--size", "160x96", *more]


class Stopped(BaseException):
    """As if killed."""


@pytest.fixture(scope="module")
def adapted(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pair: the command was stopped in the middle of training, and begun again."""
    output = tmp_path_factory.mktemp("pair")
    whole = Run.learn
    with pytest.MonkeyPatch.context() as patch:

        def learn(run: Run, *given: object) -> None:
            if run.out.name == "student" and run.step == 2:
                run.save()
                raise Stopped
            whole(run, *given)

        patch.setattr(Run, "learn", learn)
        with pytest.raises(Stopped):
            adapt(*arguments(folder, output))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Teacher, "look", None)  # it has looked at everything
        assert adapt(*arguments(folder, output)) == 0
    return output


def test_a_stopped_adaptation_goes_on_where_it_was(adapted: Path) -> None:
    facts = json.loads((adapted / "work" / "student" / "facts.json").read_text())
    assert facts["step"] == json.loads((adapted / "work" / "steps.json").read_text()) == 5
    assert [row["step"] for row in facts["losses"]] == list(range(1, 6))


def test_the_pair_tracks(adapted: Path, folder: Path, tmp_path: Path) -> None:
    words = [folder / "recordings" / "hall.mp4", "--models", adapted, "--pair", "tiny", "--device", "cpu"]
    assert track([*map(str, words), "--size", "160x96", "--output", str(tmp_path / "tracks.txt")]) == 0
    assert (tmp_path / "tracks.txt").read_text().count("\n") > FRAMES


def test_it_goes_on_only_with_what_it_began_with(
    adapted: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert adapt(*arguments(folder, adapted, "--minutes", "2")) == 2
    assert "was begun with another minutes; give another --output, or delete" in capsys.readouterr().err


def independent(adapted: Path, folder: Path) -> tuple[float, float]:
    """MOTA and IDF1 of the last fifth against the teacher's own tracks: by the pipeline and TrackEval."""
    first = FRAMES - FRAMES // 5
    found = []
    for mode, k in (("teacher", 1), ("atttrack", 6)):
        backend = open_backend(adapted, (160, 96), "cpu", "atttrack", "tiny", teacher_size=(320, 192))
        pipeline = TrackingPipeline(backend, PipelineSettings(LaneSettings(k=k, mode=mode), max_lanes=1))
        pipeline.add_lane("hall")
        boxes = []
        for frame in open_source(folder / "recordings" / "hall.mp4"):
            if frame.index >= first:
                (tracked,) = pipeline.collect(pipeline.submit({"hall": frame}))
                boxes.append(MotBoxes.from_tracks(frame.index - first, tracked.tracks))
        found.append(MotBoxes(*(np.concatenate([getattr(one, name) for one in boxes]) for name in MotBoxes.__slots__)))
    scores = compare(*found, 1, FRAMES // 5)
    return scores.mota, scores.idf1


def test_the_reports_numbers_are_those_of_another_evaluation(adapted: Path, folder: Path) -> None:
    report = (adapted / "report" / "report.md").read_text()
    numbers = [float(value) for value in re.search(r"\| all \|(.*)\|", report)[1].split("|")]
    taken = "adapted student is taken" in report
    chosen = numbers[1::2] if taken else numbers[::2]
    np.testing.assert_allclose(chosen, 100 * np.array(independent(adapted, folder)), atol=0.06)
    assert taken == (numbers[1] + numbers[3] > numbers[0] + numbers[2])


def test_pictures_show_where_they_differ(adapted: Path) -> None:
    report = (adapted / "report" / "report.md").read_text()
    shown = re.findall(r"\]\((differs-\d\.jpg)\)", report)
    assert sorted(shown) == sorted(path.name for path in (adapted / "report").glob("*.jpg"))
    assert shown


def test_a_student_made_worse_is_not_taken(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def write_student(path: Path, smaller: float = 1.0) -> None:
        model = tiny_model(signature("student", (320, 192), prior=True))
        (half_box,) = (one for one in model.graph.initializer if one.name == "half_box")
        half_box.CopyFrom(numpy_helper.from_array(smaller * numpy_helper.to_array(half_box), "half_box"))
        onnx.save(model, path)

    monkeypatch.setattr(command, "_lend_shipped", lambda teacher, path: write_student(path))
    monkeypatch.setattr(command, "export_student", lambda weights, teacher, path: write_student(path, np.float32(0.6)))
    monkeypatch.setattr(command, "learn", lambda *_: None)
    assert adapt(*arguments(folder, tmp_path, "--size", "320x192")) == 0
    assert "it is not better: the shipped student stays" in capsys.readouterr().out
    left, shipped = (
        {one.name: numpy_helper.to_array(one) for one in onnx.load(path).graph.initializer}
        for path in (tmp_path / "tiny-student.onnx", tmp_path / "work" / "shipped.onnx")
    )
    np.testing.assert_array_equal(left["half_box"], shipped["half_box"])
    report = (tmp_path / "report" / "report.md").read_text()
    assert "The student stays as it was; it was not better." in report


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--video", "nowhere"], "there is no nowhere; --video takes a film, or a folder with films"),
        (["--teacher", SHIPPED_MODELS / "open-student.onnx"], "is a student, --teacher takes a teacher"),
        (["--teacher", __file__], "test_command.py"),
        (["--size", "100x96"], "input size must be multiples of 32, got 100x96"),
    ],
)
def test_a_mistake_is_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[object], told: str
) -> None:
    assert adapt(*arguments(folder, tmp_path, *more)) == 2
    line = capsys.readouterr().err
    assert told in line and line.count("\n") == 1 and "Traceback" not in line


def test_a_detector_that_was_not_adopted_is_sent_there(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = onnx.load(folder / "teacher.onnx")
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "yolo.onnx")
    assert adapt(*arguments(folder, tmp_path, "--teacher", tmp_path / "yolo.onnx")) == 2
    assert "is no teacher of a pair; a detector becomes a teacher by: atttrack adopt" in capsys.readouterr().err


def test_recordings_of_nobody_are_refused(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = Drawn(((-900, -900),), ((0, 0),))
    with VideoWriter(tmp_path / "night.mp4") as film:
        for index in range(FRAMES):
            film.write(empty.frame(index).image, index / 30)
    assert adapt(*arguments(folder, tmp_path / "out", "--video", tmp_path / "night.mp4")) == 2
    assert "sure of 0 sightings of person" in capsys.readouterr().err
