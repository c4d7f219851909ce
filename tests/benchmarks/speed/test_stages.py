"""Stages add up to the frame."""

import json
from pathlib import Path

import pytest

from benchmarks.speed.stages import main, stages

STAGES = {"letterbox": 1.0, "extrapolate": 0.5, "teacher": 30.0, "student": 6.0, "wait": 0.0, "association": 1.0}
MACHINE = {"cores": 2, "cpu": "CPU", "measured_at": "2026-01-01T00:00:00Z", "commit": "abc", "load_average": 0.1}


def run(mode: str, k: int, fps: float) -> dict[str, object]:
    return {"mode": mode, "k": k, "fps": fps, "stages_ms_per_frame": STAGES}


def test_a_stage_counts_as_often_as_it_is_needed_and_the_sum_is_the_frame() -> None:
    found = stages(run("atttrack", 6, 1000 / 14))
    assert found["teacher"] == pytest.approx(5)
    assert found["student"] == pytest.approx(5)
    assert found["letterbox"] == 1
    assert found["rest"] == pytest.approx(14 - 5 - 5 - 1 - 1 - 0.5 * 5 / 6)
    assert sum(found.values()) == pytest.approx(14)
    assert stages(run("student", 1, 100.0))["teacher"] == 0


def test_the_table_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--results", str(tmp_path)]) == 2
    assert "atttrack bench fps first" in capsys.readouterr().err
    laws = {"atttrack": {"c_ms": 1.5, "worst_residual": 0.02}}
    runs = [run("teacher", 1, 30.0), run("atttrack", 6, 70.0)]
    (tmp_path / "fps-576x320.json").write_text(json.dumps({"runs": runs, "laws": laws, "conditions": MACHINE}))
    assert main(["--results", str(tmp_path)]) == 0
    assert "| 576x320 | AttTrack K=6 | 14.3 |" in capsys.readouterr().out
