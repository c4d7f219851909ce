"""Stages add up to the frame, and the document is changed between its two comments only."""

import json
from pathlib import Path

import pytest

from benchmarks.conditions import ROOT
from benchmarks.speed.stages import BEGIN, END, insert, main, stages

STAGES = {"letterbox": 1.0, "extrapolate": 0.5, "teacher": 30.0, "student": 6.0, "wait": 0.0, "association": 1.0}
MACHINE = {"cores": 2, "cpu": "CPU", "measured_at": "2026-01-01T00:00:00Z", "commit": "abc", "load_average": 0.1}


def run(mode: str, k: int, fps: float) -> dict[str, object]:
    return {"mode": mode, "k": k, "fps": fps, "stages_ms_per_frame": STAGES}


def test_a_document_without_the_comments_is_left_alone() -> None:
    with pytest.raises(ValueError, match="lacks the lines"):
        insert("no comments", "text")
    with pytest.raises(ValueError, match="lacks the lines"):
        insert(f"{BEGIN} but no end", "text")


def test_only_what_stands_between_the_comments_changes() -> None:
    document = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert insert(document, "new") == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    assert insert(insert(document, "other"), "new") == insert(document, "new")


def test_a_stage_counts_as_often_as_it_is_needed_and_the_sum_is_the_frame() -> None:
    found = stages(run("atttrack", 6, 1000 / 14))
    assert found["teacher"] == pytest.approx(5)
    assert found["student"] == pytest.approx(5)
    assert found["letterbox"] == 1
    assert found["rest"] == pytest.approx(14 - 5 - 5 - 1 - 1 - 0.5 * 5 / 6)
    assert sum(found.values()) == pytest.approx(14)
    assert stages(run("student", 1, 100.0))["teacher"] == 0


def test_the_table_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = tmp_path / "PERFORMANCE.md"
    document.write_text((ROOT / "docs" / "PERFORMANCE.md").read_text())
    arguments = ["--results", str(tmp_path), "--document", str(document)]
    assert main(arguments) == 2
    assert "benchmarks.fps first" in capsys.readouterr().err
    laws = {"atttrack": {"c_ms": 1.5, "worst_residual": 0.02}}
    runs = [run("teacher", 1, 30.0), run("atttrack", 6, 70.0)]
    (tmp_path / "fps-576x320.json").write_text(json.dumps({"runs": runs, "laws": laws, "conditions": MACHINE}))
    assert main(arguments) == 0
    assert "| 576x320 | AttTrack K=6 | 14.3 |" in document.read_text()
