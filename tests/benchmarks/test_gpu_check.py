"""The rehearsal on the CPU: every step runs, is saved as it goes, is not repeated, and fails alone."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from benchmarks import gpu_check, gpu_steps, gpu_subject
from benchmarks.gpu_check import RESULT, main, targets
from benchmarks.gpu_parity import _differences, kernels, parity
from benchmarks.gpu_speed import rates
from benchmarks.gpu_steps import STEPS
from benchmarks.gpu_subject import Check
from engines.errors import PlanError
from tests.support.tiny_pair import write_tiny_pair


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    write_tiny_pair(folder)
    return folder


def arguments(models: Path, out: Path, *more: str) -> list[str]:
    common = ["--device", "cpu", "--quick", "--pair", "tiny", "--size", "320x192"]
    return [*common, "--models", str(models), "--out", str(out), *more]


def read(out: Path) -> dict[str, Any]:
    return json.loads((out / RESULT).read_text())


def test_no_result_gives_targets_without_numbers() -> None:
    assert set(targets({}).values()) == {None}


def test_the_whole_check_runs_on_the_cpu(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    monkeypatch.setattr(gpu_check, "_work_folder", lambda: tmp_path / "work")
    monkeypatch.setattr(gpu_check, "_commit", lambda: "abc")
    assert main(arguments(models, out)) == 0
    result = read(out)
    assert set(result) == {*STEPS, "targets"}
    found = result["environment"]["result"]
    absent = {"sanitizer": not found["tools"]["compute-sanitizer"], "plans": not found["runtimes"]}
    for name in STEPS:
        assert result[name]["status"] == ("skipped" if absent.get(name) else "ok"), result[name]
    assert result["kernels"]["result"]["worst_difference"] == {"letterbox": 0, "own": 0, "extrapolate": 0}
    assert result["parity"]["result"]["student, onnx runtime"]["passed"]
    assert set(result["law"]["result"]["fps_by_k"]) == {"1", "3"}
    assert result["targets"]["c below 0.3 ms per student frame"] == result["law"]["result"]["c_ms"]
    assert (out / "timeline.png").stat().st_size > 1000
    before = (out / RESULT).read_text()
    monkeypatch.setattr(gpu_check, "_run", lambda *_: pytest.fail("a step that is done was run again"))
    assert main(arguments(models, out)) == 0
    assert (out / RESULT).read_text() == before


def test_a_step_that_fails_or_hangs_stops_no_other(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (models / "tiny-student-plain-320x192.onnx").write_bytes(b"nothing")
    limits = {"environment": 60.0, "law": 60.0, "lanes": 0.1, "rates": 60.0}
    monkeypatch.setattr(gpu_check, "_limits", lambda environment: limits)
    assert main(arguments(models, tmp_path / "out")) == 1
    result = read(tmp_path / "out")
    assert {name: result[name]["status"] for name in limits} == {
        "environment": "ok",
        "law": "failed",
        "lanes": "failed",
        "rates": "ok",
    }
    assert "is no model that ONNX Runtime can read" in result["law"]["error"]
    assert result["lanes"]["error"] == "no time left"


def test_a_step_longer_than_its_limit_is_ended(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, timeout: float, **__: object) -> None:
        raise subprocess.TimeoutExpired("step", timeout)

    monkeypatch.setattr(subprocess, "run", never)
    options = gpu_check._parser().parse_args(arguments(models, tmp_path))
    assert gpu_check._run("law", options, {}, 7.0) == {"status": "failed", "seconds": 7.0, "error": "longer than 7 s"}


def subject(models: Path, out: Path, **options: Any) -> Check:
    return Check("cpu", out, out / "plans", models, "tiny", (320, 192), **options)


def test_an_engine_that_cannot_be_run_says_why_and_hides_no_other(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = gpu_subject.load_engine

    def refuse_teachers(path: Path, *rest: Any, **options: Any) -> Any:
        if "teacher" in path.name:
            raise PlanError("not for this GPU")
        return load(path, *rest, **options)

    monkeypatch.setattr(gpu_subject, "load_engine", refuse_teachers)
    check = subject(models, tmp_path, quick=True)
    compared, timed = parity(check), rates(check)
    assert compared["teacher, onnx runtime"] == {"error": "not for this GPU", "passed": False}
    assert timed["teacher, onnx runtime"] == {"error": "not for this GPU"}
    assert compared["student, onnx runtime"]["passed"] and not compared["passed"]
    assert timed["student, onnx runtime"]["ms_by_batch"]


def test_kernels_are_compared_without_any_network(tmp_path: Path) -> None:
    assert kernels(subject(tmp_path / "no models", tmp_path))["passed"]


def test_plans_take_as_many_pictures_as_there_are_lanes(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []

    def note(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(gpu_steps, "find_spec", lambda name: True)
    monkeypatch.setattr(subprocess, "run", note)
    check = subject(models, tmp_path)
    assert gpu_steps.plans(check)["passed"]
    for command in commands:
        assert int(command[command.index("--max-batch") + 1]) >= max(*check.lane_counts, *check.batches)


def test_without_git_there_is_no_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert gpu_check._commit() == ""


def test_a_kit_is_unpacked_once_and_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kit = tmp_path / "kit"
    kit.mkdir()
    monkeypatch.setattr(gpu_check, "_work_folder", lambda: tmp_path / "work")
    with pytest.raises(SystemExit, match="make gpu-kit"):
        gpu_check._environment(kit)
    with zipfile.ZipFile(kit / "thing-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("thing_of_the_kit.py", "VALUE = 7\n")
        wheel.writestr("nvidia/some/lib/libsome.so", "")
    environment = gpu_check._environment(kit)
    assert gpu_check._environment(kit) == environment
    program = "import thing_of_the_kit, benchmarks; print(thing_of_the_kit.VALUE)"
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "7\n"
    assert "/nvidia/some/lib" in environment["LD_LIBRARY_PATH"]


def test_a_difference_is_seen_peak_by_peak() -> None:
    import numpy as np

    def said(x: float, score: float) -> dict[str, np.ndarray]:
        points = np.array([[[x, 1.0], [9.0, 9.0]]])
        return {
            "points": points,
            "boxes": np.tile(points, 2),
            "scores": np.array([[score, 0.1]]),
            "embeddings": np.ones((1, 2, 3)),
        }

    assert set(_differences(said(1, 0.5), said(1, 0.5)).values()) == {0.0}
    found = _differences(said(1, 0.5), said(1.25, 0.4))
    assert found["points"] == found["boxes"] == 0.25 and found["scores"] == pytest.approx(0.1)
