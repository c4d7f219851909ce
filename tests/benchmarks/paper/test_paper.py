"""The paper's rows are what it prints, ours are never of other networks, and a gap says which command fills it."""

import csv
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.conditions import RESULTS, ROOT
from benchmarks.paper.__main__ import RECIPES, Ours, PaperRow, document, main, read_rows, teacher_of
from benchmarks.score import _parser
from training.recipe import resolve

ROWS = read_rows()
MACHINE = {"cores": 2, "cpu": "CPU", "measured_at": "2026-01-01T00:00:00Z", "commit": "abc"}


def record(**rows: tuple[int, int]) -> dict[str, Any]:
    """`mode_k__sequence=(boxes, errors)` as benchmarks.accuracy writes it."""
    written = []
    for name, (boxes, errors) in rows.items():
        (mode, k), sequence = name.split("__")[0].rsplit("_", 1), name.split("__")[1].replace("_", "-")
        counts = {"boxes": boxes, "misses": errors, "false_positives": 0, "switches": 0}
        idr = 0.5 * (boxes + boxes - errors) / 2 / boxes
        about = {"mode": mode, "k": int(k) or None, "sequence": sequence, "idr": idr}
        written.append(about | counts)
    return {"conditions": MACHINE, "half": "second", "input": "576x320", "threshold": 0.4, "rows": written}


def ours(**rows: tuple[int, int]) -> Ours:
    return Ours({"accuracy-paper": record(**rows)}, {})


def only(name: str) -> list[PaperRow]:
    """All rows, of ours those of one result."""
    return [row if row.result == name else replace(row, result="", mode="", rate="") for row in ROWS]


def test_without_any_run_every_row_says_which_command_would_make_it() -> None:
    text = document(only("none"), Ours({}, {}))
    assert "beside 0 of 59 rows" in text
    tables = [line for line in text.splitlines() if line.startswith(("| YOLOv5", "| DLA34"))]
    assert len(tables) == 59
    assert all("not run: `atttrack bench score training/recipes/paper/" in line for line in tables)


def test_the_commands_are_understood_and_their_recipes_are_there() -> None:
    for row in ROWS:
        options = _parser().parse_args(row.command.split()[3:])
        assert (ROOT / options.subject).is_file(), row.command
        assert options.teacher is None or (ROOT / options.teacher).is_file()
        assert row.k is None or row.k in options.k
        alone = row.method in ("alone", "teacher", "student")
        assert alone or options.teacher or resolve(ROOT / options.subject)["teacher"]


@pytest.mark.parametrize("row", [row for row in ROWS if row.result], ids=str)
def test_a_row_of_ours_is_of_the_networks_and_the_training_of_the_papers_row(row: PaperRow) -> None:
    result = json.loads((RESULTS / f"{row.result}.json").read_text())
    assert any((ran["mode"], ran["k"]) == (row.mode, row.k) for ran in result["rows"])
    networks = {name: entry["network"].removesuffix(" + prior") for name, entry in result["networks"].items()}
    behind = [resolve(RECIPES / f"{name}.toml") for name in row.recipes]
    roles = {"teacher": ["teacher"], "student": ["plain"], "naive": ["teacher", "plain"]}
    wanted = roles.get(row.mode, ["teacher", "student"])
    assert [networks[role] for role in wanted] == [recipe["network"] for recipe in behind]
    if row.method == "atttrack":
        assert result["networks"]["student"]["mapping"] == row.mapping.lower()
    learnt = result.get("trained", {}).get("plain", {}).get("recipe", {}).get("transfer")
    assert (learnt == "layerwise") == (row.method == "layerwise")
    assert row.rate in ("", row.mode), "rates are of the same mode"


def test_scores_are_pooled_over_counts_within_the_papers_dataset() -> None:
    found = ours(teacher_0__MOT17_02=(100, 50), teacher_0__MOT17_09=(300, 30), teacher_0__PETS09_S2L1=(100, 0))
    assert found.scores("accuracy-paper", "teacher", None, "MOT17") == (pytest.approx(80), pytest.approx(50))
    of_15 = found.scores("accuracy-paper", "teacher", None, "MOT15")
    assert of_15 is not None and of_15[0] == pytest.approx(92.5)  # with MOT17-09 as ADL-Rundle-6
    assert found.scores("accuracy-paper", "atttrack", 2, "MOT17") is None


def test_results_count_where_none_of_them_is_right() -> None:
    done = record(student_0__MOT17_02=(100, 0))
    wrong = {"boxes": 100, "misses": 100, "false_positives": 300, "switches": 0, "idr": 0.0, "sequence": "MOT17-04"}
    done["rows"].append(done["rows"][0] | wrong)
    scores = Ours({"x": done}, {}).scores("x", "student", None, "MOT17")
    assert scores is not None and scores[1] == pytest.approx(100 * 2 * 50 / (200 + 100 + 300))


def test_a_row_shows_both_differences_to_the_teacher_and_both_ratios() -> None:
    speeds = {"576x320": {"runs": [{"mode": "atttrack", "k": 6, "ratio": 2.5}], "conditions": MACHINE}}
    done = record(teacher_0__MOT17_02=(100, 40), atttrack_6__MOT17_02=(100, 45))
    text = document(only("accuracy-paper"), Ours({"accuracy-paper": done}, speeds))
    line = "| YOLOv5 atttrack IFM K=6 | 43.6 (-18.8) | - | 1.26 | 55.0 (-5.0) | 50.0 | 2.50 | - |"
    assert f"{line} `accuracy-paper`, 1 of 7 |" in text
    assert "| YOLOv5 atttrack EFM K=6 | 45.9 (-16.5) | - | 1.21 | - | - | - | - | not run: `" in text


def test_speed_ratios_are_to_the_same_teacher_on_the_same_data() -> None:
    of_mot15 = next(row for row in ROWS if row.table == 8 and row.teacher == "YOLOv5")
    assert teacher_of(of_mot15, ROWS).fps == 54.41
    assert teacher_of(ROWS[2], ROWS).fps == 43.93


def test_the_rows_are_those_of_the_paper() -> None:
    path = Path(os.environ.get("ATTTRACK_DATA", "../shared/data")).parent / "paper_tables.csv"
    if not path.is_file():
        pytest.skip(f"no {path}")
    with path.open() as file:
        there = [(int(row["table"]), float(row["MOTA"]), float(row["FPS"])) for row in csv.DictReader(file)]
    assert [(row.table, row.mota, row.fps) for row in ROWS] == there


def test_the_shipped_page_is_what_its_results_give_and_a_bad_result_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "PAPER.md"
    assert main(["--output", str(output)]) == 0
    assert output.read_text() == (ROOT / "docs" / "PAPER.md").read_text()
    assert main(["--results", str(tmp_path), "--output", str(output)]) == 2
    assert "accuracy-paper.json" in capsys.readouterr().err
    for more, told in (({"association": "service"}, "--association paper"), ({"half": "all"}, "frames 'all'")):
        (tmp_path / "x.json").write_text(json.dumps(record() | more))
        with pytest.raises(ValueError, match=told):
            Ours.read(tmp_path, ["x"])
