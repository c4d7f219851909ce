"""A round of live adaptation: with a small teacher that sees bright rectangles, in this process and as a program."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from engines.onnx_engine import OnnxEngine
from export.adapt import live
from export.adapt.live import Round, adapt, choose
from export.adapt.student import SHIPPED_STUDENT, without_looks
from tests.support.drawn import Drawn
from tests.support.tiny_pair import signature, tiny_model

pytestmark = pytest.mark.training

FRAMES = 20
SCENE = Drawn(((60, 100), (580, 192), (300, 280)), ((150, 0), (-120, 10), (20, -30)))
NOBODY = Drawn(((-900, -900),), ((0, 0),))


def write_sequence(folder: Path, scene: Drawn, first: int = 0) -> None:
    (folder / "img1").mkdir(parents=True)
    for number in range(1, FRAMES + 1):
        cv2.imwrite(str(folder / "img1" / f"{number:06d}.jpg"), scene.frame(first + number).image)
    about = f"frameRate=30\nseqLength={FRAMES}\nimWidth=640\nimHeight=384\n"
    (folder / "seqinfo.ini").write_text(f"[Sequence]\nname={folder.name}\n{about}")


def order(folder: Path, scene: Drawn = SCENE, **other: Any) -> dict[str, Any]:
    """A folder with a pair and three stretches; what is asked for, as JSON data."""
    teacher = replace(signature("teacher", (320, 192)), appearance="none")
    onnx.save(tiny_model(teacher), folder / "teacher.onnx")
    without_looks(SHIPPED_STUDENT, teacher, folder / "shipped.onnx")
    for number, name in enumerate(("a", "b", "c")):
        write_sequence(folder / name, scene, 20 * number)
    return {
        "teacher": str(folder / "teacher.onnx"),
        "shipped": str(folder / "shipped.onnx"),
        "student": None,
        "weights": None,
        "teacher_size": (320, 192),
        "size": (160, 96),
        "k": 4,
        "minutes": 0.01,
        "threads": 1,
        "kept": ("c",),
        "learnt": ("a", "b"),
        **other,
    }


def read(folder: Path, asked: dict[str, Any]) -> Round:
    (folder / "order.json").write_text(json.dumps(asked))
    return Round.read(folder / "order.json")


def test_of_nobody_nothing_is_learnt(tmp_path: Path) -> None:
    found = adapt(read(tmp_path, order(tmp_path, NOBODY)), tmp_path, lambda share, doing: None)
    assert (found["verdict"], found["sightings"], found["steps"]) == ("too_few", 0, 0)
    assert not (tmp_path / "student.onnx").exists()


def test_a_round_learns_compares_on_what_it_has_not_learnt_and_leaves_a_student(tmp_path: Path) -> None:
    heard: list[tuple[float, str]] = []
    found = adapt(read(tmp_path, order(tmp_path)), tmp_path, lambda share, doing: heard.append((share, doing)))
    assert (found["learnt"], found["compared"], found["steps"]) == (40, 20, 5)
    assert found["sightings"] > 100
    assert set(found["scores"]) == {"before", "after"}
    gain = sum(found["scores"]["after"].values()) - sum(found["scores"]["before"].values())
    assert found["verdict"] == ("better" if gain >= live.LEAST_GAIN else "not_better")
    student = OnnxEngine(tmp_path / "student.onnx", 1, (160, 96)).signature
    assert (student.pair, student.role, student.prior) == ("tiny", "student", True)
    shares = [share for share, _ in heard]
    assert shares == sorted(shares) and 0 <= shares[0] and shares[-1] <= 1

    again = order(tmp_path / "more", student=str(tmp_path / "student.onnx"), weights=str(tmp_path / "weights.pt"))
    found = adapt(read(tmp_path / "more", again), tmp_path / "more", lambda share, doing: None)
    assert set(found["scores"]) == {"before", "after", "shipped"}, "going back is one of the choices"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path) -> Iterator[None]:
    (tmp_path / "more").mkdir()
    yield


def test_a_student_made_worse_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_student(path: Path, aside: float = 0.0) -> None:
        model = tiny_model(signature("student", (320, 192), prior=True))
        (half_box,) = (one for one in model.graph.initializer if one.name == "half_box")
        moved = numpy_helper.to_array(half_box) + np.array((aside, 0, aside, 0), np.float32)
        half_box.CopyFrom(numpy_helper.from_array(moved, "half_box"))
        onnx.save(model, path)

    asked = read(tmp_path, order(tmp_path, size=(320, 192)))
    write_student(asked.shipped)
    monkeypatch.setattr(live, "learn", lambda *_: (tmp_path / "run").mkdir() or (tmp_path / "run/weights.pt").touch())
    monkeypatch.setattr(live, "export_student", lambda weights, teacher, path: write_student(path, 20.0))
    found = adapt(asked, tmp_path, lambda share, doing: None)
    assert found["verdict"] == "not_better"
    assert found["scores"]["after"]["mota"] < found["scores"]["before"]["mota"]


def trial(mota: float, idf1: float) -> Any:
    return SimpleNamespace(all=SimpleNamespace(mota=mota, idf1=idf1))


@pytest.mark.parametrize(
    ("trials", "verdict"),
    [
        ({"before": trial(0.5, 0.5), "after": trial(0.5, 0.5)}, "not_better"),
        ({"before": trial(0.5, 0.5), "after": trial(0.5, 0.505)}, "not_better"),
        ({"before": trial(0.5, 0.5), "after": trial(0.48, 0.55)}, "better"),
        ({"before": trial(0.5, 0.5), "after": trial(0.4, 0.4), "shipped": trial(0.55, 0.5)}, "shipped"),
        ({"before": trial(0.5, 0.5), "after": trial(0.6, 0.6), "shipped": trial(0.55, 0.5)}, "better"),
        ({"before": trial(0.6, 0.6), "after": trial(0.6, 0.6), "shipped": trial(0.5, 0.5)}, "not_better"),
    ],
)
def test_the_best_is_chosen_and_only_for_a_gain(trials: dict[str, Any], verdict: str) -> None:
    assert choose(trials) == verdict


def start(folder: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "export.adapt.live", str(folder)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def test_the_program_tells_how_far_it_is_and_its_verdict_last(tmp_path: Path) -> None:
    read(tmp_path, order(tmp_path))
    with start(tmp_path) as process:
        lines = [json.loads(line) for line in process.stdout]
        assert process.wait() == 0, process.stderr.read()
    assert all({"share", "doing"} == set(line) for line in lines[:-1])
    assert lines[-1]["verdict"] in ("better", "not_better")


def test_a_mistake_is_one_line(tmp_path: Path) -> None:
    read(tmp_path, order(tmp_path) | {"teacher": str(tmp_path / "nowhere.onnx")})
    with start(tmp_path) as process:
        assert process.wait() == 2
        assert "no model file at" in process.stderr.read().splitlines()[-1]


def test_when_the_service_is_gone_the_pictures_are_too(tmp_path: Path) -> None:
    read(tmp_path, order(tmp_path) | {"minutes": 60.0})
    with start(tmp_path) as process:
        json.loads(process.stdout.readline())  # it works
        process.stdin.close()
        assert process.wait(60) == 1
    assert not tmp_path.exists()
