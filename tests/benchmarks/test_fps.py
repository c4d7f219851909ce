"""The benchmark end to end with the tiny pair: what it writes, not how fast it is."""

import json
from pathlib import Path

import pytest

from benchmarks.fps import main
from tests.support.tiny_pair import write_tiny_pair


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_tiny_pair(folder)
    return folder


def _arguments(models: Path, results: Path, *more: str) -> list[str]:
    source = "synthetic://?seed=1&people=3&width=320&height=192"
    fixed = ["--source", source, "--models", str(models), "--pair", "tiny", "--size", "320x192", "--threads", "1"]
    return [*fixed, "--results", str(results), "--frames", "6", "--repeats", "2", *more]


def test_rates_laws_and_conditions_are_written(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(_arguments(models, tmp_path, "--k", "1", "2", "3", "--name", "short")) == 0
    result = json.loads((tmp_path / "short.json").read_text())
    assert {(run["mode"], run["k"]) for run in result["runs"]} == {
        *(("teacher", 1), ("student", 1)),
        *((mode, k) for mode in ("naive", "no-update", "atttrack") for k in (1, 2, 3)),
    }
    assert set(result["laws"]) == {"naive", "no-update", "atttrack"}
    for run in result["runs"]:
        assert len(run["fps_of_repeats"]) == 2
        assert run["fps"] > 0
        counts = {kind: found["count"] for kind, found in run["latency_ms"].items()}
        if run["mode"] == "atttrack" and run["k"] == 3:
            assert counts == {"teacher": 4, "student": 8}  # two repeats of two whole periods
    assert result["conditions"]["models"].keys() == {
        f"tiny-{role}-320x192.onnx" for role in ("teacher", "student", "student-plain")
    }
    assert (tmp_path / "short.png").read_bytes()[:4] == b"\x89PNG"
    assert "atttrack: c = " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "message"),
    [(["--pair", "none"], "no model file none-teacher"), (["--source", "nothing.mp4"], "nothing.mp4")],
)
def test_what_is_wrong_is_said_in_one_line(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: list[str], message: str
) -> None:
    assert main(_arguments(models, tmp_path, *change)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
