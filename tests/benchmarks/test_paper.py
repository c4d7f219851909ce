"""The paper's rows are what it prints, ours are pooled from counts, and what was not run says so."""

import csv
import json
import os
from pathlib import Path
from typing import Any

import pytest

from benchmarks.paper import document, main
from benchmarks.paper_claims import ACCURACY, verdict
from benchmarks.paper_ours import Ours
from benchmarks.paper_rows import read_rows, teacher_of


def result(**rows: tuple[int, int]) -> dict[str, Any]:
    """`mode_k__sequence=(boxes, errors)` as benchmarks.accuracy writes it."""
    written = []
    for name, (boxes, errors) in rows.items():
        (mode, k), sequence = name.split("__")[0].split("_"), name.split("__")[1].replace("_", "-")
        counts = {"boxes": boxes, "misses": errors, "false_positives": 0, "switches": 0, "idr": 0.5, "idp": 0.5}
        written.append({"mode": mode, "k": int(k) or None, "sequence": sequence} | counts)
    machine = {"measured_at": "2026-01-01T00:00:00Z", "commit": "abc"}
    return {"conditions": machine, "half": "second", "input": "576x320", "threshold": 0.4, "rows": written}


def test_without_any_run_every_row_says_why() -> None:
    text = document(Ours(result(), {}))
    assert "beside 0 of 59 rows" in text
    tables = [line for line in text.splitlines() if line.startswith(("| YOLOv5", "| DLA34"))]
    assert len(tables) == 59
    assert all(not line.endswith("|  |") for line in tables)
    assert "0 of 7 sequences" in text


def test_scores_are_pooled_over_counts_within_the_papers_dataset() -> None:
    ours = Ours(
        result(teacher_0__MOT17_02=(100, 50), teacher_0__MOT17_09=(300, 30), teacher_0__PETS09_S2L1=(100, 0)), {}
    )
    assert ours.mota("MOT17", "teacher", None) == pytest.approx(80)
    assert ours.mota("MOT15", "teacher", None) == pytest.approx(92.5)  # with MOT17-09 as ADL-Rundle-6
    assert ours.idf1("MOT17", "teacher", None) == pytest.approx(50)
    assert ours.mota("MOT17", "atttrack", 2) is None


def test_a_row_shows_both_differences_to_the_teacher_and_both_ratios() -> None:
    speeds = {"576x320": {"runs": [{"mode": "atttrack", "k": 6, "ratio": 2.5}], "conditions": MACHINE}}
    text = document(Ours(result(teacher_0__MOT17_02=(100, 40), atttrack_6__MOT17_02=(100, 45)), speeds))
    assert "| YOLOv5 atttrack IFM K=6 | 43.6 (-18.8) | 1.26 | 55.0 (-5.0) | 2.50 | - |  |" in text
    assert "| teacher above AttTrack, K=6 | +18.8 | +5.0 holds | not run |" in text


MACHINE = {"cores": 2, "cpu": "CPU", "measured_at": "2026-01-01T00:00:00Z", "commit": "abc"}


def test_a_claim_holds_ties_or_does_not() -> None:
    assert [verdict(d) for d in (0.5, 0.1, -0.1, -0.5, None)] == [
        *("holds", "tie", "tie", "**does not hold**", "not run")
    ]


def test_the_claims_margins_are_those_of_the_rows() -> None:
    mota = {row.arm: row.mota for row in read_rows() if row.table in (2, 3, 4) and row.arm is not None}
    for claim in ACCURACY:
        assert mota[claim.better] - mota[claim.worse] == pytest.approx(claim.paper, abs=0.05), claim.about


def test_speed_ratios_are_to_the_same_teacher_on_the_same_data() -> None:
    rows = read_rows()
    of_mot15 = next(row for row in rows if row.table == 8 and row.teacher == "YOLOv5")
    assert teacher_of(of_mot15, rows).fps == 54.41
    assert teacher_of(rows[2], rows).fps == 43.93


def test_the_rows_are_those_of_the_paper() -> None:
    path = Path(os.environ.get("ATTTRACK_DATA", "../shared/data")).parent / "paper_tables.csv"
    if not path.is_file():
        pytest.skip(f"no {path}")
    with path.open() as file:
        printed = [(int(row["table"]), float(row["MOTA"]), float(row["FPS"])) for row in csv.DictReader(file)]
    assert [(row.table, row.mota, row.fps) for row in read_rows()] == printed


def test_the_document_is_written_and_a_missing_result_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.json").write_text(json.dumps(result(teacher_0__MOT17_02=(100, 40))))
    output = ["--speeds", str(tmp_path), "--output", str(tmp_path / "PAPER.md")]
    assert main(["--accuracy", str(tmp_path / "a.json"), *output]) == 0
    assert (tmp_path / "PAPER.md").read_text().count("## Table") == 8
    assert main(["--accuracy", str(tmp_path / "none.json"), *output]) == 2
    assert "none.json" in capsys.readouterr().err
