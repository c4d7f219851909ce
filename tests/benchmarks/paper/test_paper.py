"""The paper's rows are what it prints, ours are never of other networks, and a gap says which command fills it."""

import csv
import json
import os
from pathlib import Path
from typing import Any

import pytest

from benchmarks.conditions import ROOT
from benchmarks.paper.__main__ import document, main
from benchmarks.paper.claims import claims, printed, verdict
from benchmarks.paper.ours import Ours, Result
from benchmarks.paper.rows import Setup, of_result, read_rows, teacher_of
from benchmarks.score import _parser
from training.recipe import resolve

MACHINE = {"cores": 2, "cpu": "CPU", "measured_at": "2026-01-01T00:00:00Z", "commit": "abc"}
SHIPPED = {
    "teacher": {"network": "yolo-1/2", "mapping": "none"},
    "student": {"network": "yolo-1/8 + prior", "mapping": "ifm"},
    "plain": {"network": "yolo-1/8", "mapping": "none"},
}
TEACHER = Setup("alone", "yolo-1/2")
SMALL = Setup("alone", "yolo-1/8")
IFM, EFM = (Setup("atttrack", "yolo-1/2", "yolo-1/8", mapping=mapping) for mapping in ("ifm", "efm"))


def record(
    networks: dict[str, Any] | None = None, trained: dict[str, Any] | None = None, **rows: tuple[int, int]
) -> dict[str, Any]:
    """`mode_k__sequence=(boxes, errors)` as benchmarks.accuracy writes it."""
    written = []
    for name, (boxes, errors) in rows.items():
        (mode, k), sequence = name.split("__")[0].rsplit("_", 1), name.split("__")[1].replace("_", "-")
        counts = {"boxes": boxes, "misses": errors, "false_positives": 0, "switches": 0}
        idr = 0.5 * (boxes + boxes - errors) / 2 / boxes
        ratios = {"mota": 1 - errors / boxes, "idf1": 0.5, "hota": 0.5, "idr": idr}
        about = {"mode": mode.replace("_", "-"), "k": int(k) or None, "sequence": sequence}
        written.append(about | counts | ratios)
    conditions = {"conditions": MACHINE, "half": "second", "input": "576x320", "threshold": 0.4}
    return conditions | {"networks": networks or SHIPPED, "rows": written, "trained": trained or {}}


def ours(*others: dict[str, Any], speeds: dict[str, Any] | None = None, **rows: tuple[int, int]) -> Ours:
    shipped = Result.of("accuracy-paper", record(**rows))
    return Ours(shipped, tuple(Result.of(f"score-{i}", other) for i, other in enumerate(others)), speeds or {})


def efm(**rows: tuple[int, int]) -> dict[str, Any]:
    pivots = {name: entry | {"mapping": "efm"} for name, entry in SHIPPED.items() if name != "plain"}
    return record(pivots, **rows)


def test_a_result_with_the_services_association_is_refused_with_what_to_do() -> None:
    done = record(teacher_0__MOT17_09=(100, 50))
    assert Result.of("accuracy-paper", done | {"association": "paper"}).name == "accuracy-paper"
    with pytest.raises(ValueError, match=r"accuracy is not associated as in the paper.*--association paper"):
        Result.of("accuracy", done | {"association": "service"})
    with pytest.raises(ValueError, match="not associated as in the paper"):
        Result.of("accuracy", done | {"weak_share": 0.5})


def test_without_any_run_every_row_says_which_command_would_make_it() -> None:
    text = document(ours())
    assert "beside 0 of 59 rows" in text
    tables = [line for line in text.splitlines() if line.startswith(("| YOLOv5", "| DLA34"))]
    assert len(tables) == 59
    assert all("not run: `atttrack bench score training/recipes/paper/" in line for line in tables)
    assert "0 of 7 sequences" in text


def test_the_commands_are_understood_and_their_recipes_are_there() -> None:
    for row in read_rows():
        options = _parser().parse_args(row.command.split()[3:])
        assert (ROOT / options.subject).is_file(), row.command
        assert options.teacher is None or (ROOT / options.teacher).is_file()
        assert row.k is None or row.k in options.k
        settings = resolve(ROOT / options.subject)
        assert row.mode in ("teacher", "student") or options.teacher or settings["teacher"]


def test_every_row_is_a_setup_and_different_ones_differ() -> None:
    rows = read_rows()
    setups = {(row.setup, row.k, row.dataset) for row in rows}
    twice = 2 + 2 + 6 + 3  # in tables 1 and 2; 3 and 4; 4 and 6; 5 and 6
    assert len(setups) == len(rows) - twice
    assert {row.setup.transfer for row in rows if row.method == "layerwise"} == {"layerwise"}
    assert {row.setup.mapping for row in rows if row.method == "atttrack"} == {"none", "ifm", "efm"}
    assert rows[1].setup == Setup("alone", "yolo-1/4")


def test_scores_are_pooled_over_counts_within_the_papers_dataset() -> None:
    found = ours(teacher_0__MOT17_02=(100, 50), teacher_0__MOT17_09=(300, 30), teacher_0__PETS09_S2L1=(100, 0)).shipped
    of_17, of_15 = (found.scores("teacher", None, found.sequences(dataset)) for dataset in ("MOT17", "MOT15"))
    assert of_17 is not None
    assert of_15 is not None
    assert of_17.mota == pytest.approx(80)
    assert of_15.mota == pytest.approx(92.5)  # with MOT17-09 as ADL-Rundle-6
    assert of_17.idf1 == pytest.approx(50)
    assert found.scores("atttrack", 2, found.sequences("MOT17")) is None


def test_results_count_where_none_of_them_is_right() -> None:
    result = ours(student_0__MOT17_02=(100, 0)).shipped
    wrong = {"boxes": 100, "misses": 100, "false_positives": 300, "switches": 0, "idr": 0.0}
    result.record["rows"].append(result.record["rows"][0] | wrong | {"sequence": "MOT17-04"})
    scores = result.scores("student", None, ["MOT17-02", "MOT17-04"])
    assert scores is not None
    assert scores.idf1 == pytest.approx(100 * 2 * 50 / (200 + 100 + 300))


def test_a_row_shows_both_differences_to_the_teacher_and_both_ratios() -> None:
    speeds = {"576x320": {"runs": [{"mode": "atttrack", "k": 6, "ratio": 2.5}], "conditions": MACHINE}}
    text = document(ours(teacher_0__MOT17_02=(100, 40), atttrack_6__MOT17_02=(100, 45), speeds=speeds))
    line = "| YOLOv5 atttrack IFM K=6 | 43.6 (-18.8) | - | 1.26 | 55.0 (-5.0) | 50.0 | 2.50 | - |"
    assert f"{line} `accuracy-paper`, 1 of 7 |" in text
    assert "| teacher above AttTrack, K=6 | +18.8 | +5.0 holds | - | not run |" in text
    assert "| YOLOv5 atttrack none K=6 | 42.9 (-19.5) | - | 1.26 | - | - | 2.50 |" in text  # the same graph
    assert "| YOLOv5 atttrack EFM K=6 | 45.9 (-16.5) | - | 1.21 | - | - | - | - | not run: `" in text


def test_numbers_of_one_mapping_never_stand_beside_rows_of_another() -> None:
    found = ours(efm(atttrack_6__MOT17_02=(100, 30)), atttrack_6__MOT17_02=(100, 45))
    assert [one.result.name for one in found.everywhere(IFM, 6, "MOT17")] == ["accuracy-paper"]
    assert [one.result.name for one in found.everywhere(EFM, 6, "MOT17")] == ["score-0"]
    assert "| EFM above IFM, K=6 | +2.3 | +15.0 holds (score-0 against accuracy-paper) |" in document(found)


def test_a_student_trained_layerwise_is_neither_the_plain_one_nor_naive_mixing() -> None:
    networks = {name: SHIPPED[name] for name in ("teacher", "plain")}
    trained = {"plain": {"run": "x", "network": "yolo-1/8", "step": 1, "recipe": {"transfer": "layerwise"}}}
    result = record(networks, trained, naive_2__PETS09_S2L1=(100, 40), student_0__PETS09_S2L1=(100, 50))
    assert of_result(result) == {
        Setup("naive", "yolo-1/2", "yolo-1/8", "layerwise"): "naive",
        Setup("alone", "yolo-1/8", transfer="layerwise"): "student",
    }
    found = ours(result, atttrack_2__PETS09_S2L1=(100, 30))
    assert found.find(SMALL, None, "MOT15") is None
    layerwise = next(row for row in read_rows() if (row.method, row.k, row.teacher) == ("layerwise", 2, "YOLOv5"))
    assert found.find(layerwise.setup, 2, "MOT15") is not None


def test_differences_are_over_the_sequences_that_both_have_and_within_one_file_where_possible() -> None:
    other = record(teacher_0__MOT17_02=(100, 0), teacher_0__MOT17_04=(100, 0))
    found = ours(other, teacher_0__MOT17_02=(100, 40), student_0__MOT17_02=(100, 50), student_0__MOT17_09=(100, 0))
    difference = found.compare((TEACHER, None), (SMALL, None), "MOT17")
    assert difference is not None
    assert (difference.mota, difference.sequences) == (pytest.approx(10), ["MOT17-02"])
    assert found.compare((TEACHER, None), (IFM, 2), "MOT17") is None
    larger = record(teacher_0__MOT17_09=(100, 0)) | {"input": "1088x608"}
    assert ours(larger, student_0__MOT17_09=(100, 0)).compare((TEACHER, None), (SMALL, None), "MOT17") is None
    most = found.find(TEACHER, None, "MOT17")
    assert most is not None
    assert most.result.name == "accuracy-paper"


def test_mappings_are_compared_between_trainings_of_equal_length_from_one_start() -> None:
    def trained(steps: int) -> dict[str, Any]:
        recipe = {"start": "small", "steps": steps}
        return {"student": {"run": "x", "network": "yolo-1/8", "step": steps, "recipe": recipe}}

    explicit = efm(atttrack_6__MOT17_02=(100, 30)) | {"trained": trained(800)}
    longer, as_long = (
        record(trained=trained(steps), atttrack_4__MOT17_02=(100, 10), atttrack_6__MOT17_02=(100, errors))
        for steps, errors in ((900, 20), (800, 40))
    )
    text = document(ours(explicit, longer, as_long, atttrack_4__MOT17_02=(100, 5), atttrack_6__MOT17_02=(100, 10)))
    assert "| accuracy falls from K=4 to 6 | +0.3 | +5.0 holds |" in text, "the shipped pair's, in one file"
    assert "| EFM above IFM, K=6 | +2.3 | +10.0 holds (score-0 against score-2) |" in text
    assert "student x (yolo-1/8, 800 steps from small)" in text


def test_every_period_that_was_run_has_a_line_and_bars_are_told_as_they_are() -> None:
    rows = {f"{mode}_{k}__MOT17_02": (100, 40 + k) for mode in ("atttrack", "predicted") for k in range(2, 13)}
    text = document(ours(**rows, naive_6__MOT17_02=(100, 47), teacher_0__MOT17_02=(100, 40)))
    assert [line for line in text.splitlines() if line.startswith("| 12 |")] == ["| 12 | 48.0 | - | - | +0.0 |"]
    assert "| 6 | 54.0 | +1.0 | - | +0.0 |" in text
    assert "at least 3 MOTA above naive mix: +1.0, **not reached**" in text
    assert "within 10 MOTA of its teacher: -6.0, reached" in text


def test_a_claim_holds_ties_or_does_not() -> None:
    assert [verdict(d) for d in (0.5, 0.1, -0.1, -0.5, None)] == [
        *("holds", "tie", "tie", "**does not hold**", "not run")
    ]


def test_the_papers_own_margins_are_those_it_prints() -> None:
    rows = read_rows()
    margins = {claim.about: printed(rows, claim, "MOT17") for claim in claims("ifm")}
    assert margins["AttTrack above naive mix, K=6"] == pytest.approx(5.0)
    assert margins["AttTrack above no-update, K=6"] == pytest.approx(0.2)
    assert margins["EFM above IFM, K=6"] == pytest.approx(2.3)
    assert margins["width 1/2 above width 1/4, alone"] == pytest.approx(5.5)
    assert margins["AttTrack (EFM) above Layerwise, K=2"] is None
    assert all(margin > 0 for margin in margins.values() if margin is not None)
    of_15 = [printed(rows, claim, "MOT15") for claim in claims("efm")]
    assert [round(margin, 1) for margin in of_15 if margin is not None][:3] == [4.5, 6.9, 8.1]


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
        there = [(int(row["table"]), float(row["MOTA"]), float(row["FPS"])) for row in csv.DictReader(file)]
    assert [(row.table, row.mota, row.fps) for row in read_rows()] == there


def test_the_document_is_written_from_all_results_and_a_missing_one_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.json").write_text(json.dumps(record(teacher_0__MOT17_02=(100, 40))))
    (tmp_path / "score-efm.json").write_text(json.dumps(efm(atttrack_2__MOT17_02=(100, 40))))
    output = ["--results", str(tmp_path), "--output", str(tmp_path / "PAPER.md")]
    assert main(["--accuracy", str(tmp_path / "a.json"), *output]) == 0
    text = (tmp_path / "PAPER.md").read_text()
    assert text.count("## Table") == 8
    assert "`score-efm`, 1 of 7" in text
    assert main(["--accuracy", str(tmp_path / "none.json"), *output]) == 2
    assert "none.json" in capsys.readouterr().err
    (tmp_path / "score-efm.json").write_text(json.dumps(efm(atttrack_2__MOT17_02=(100, 40)) | {"half": "all"}))
    assert main(["--accuracy", str(tmp_path / "a.json"), *output]) == 2
    assert "score-efm is of the frames 'all'" in capsys.readouterr().err
    old = record(teacher_0__MOT17_02=(100, 40))
    del old["networks"]
    (tmp_path / "a.json").write_text(json.dumps(old))
    assert main(["--accuracy", str(tmp_path / "a.json"), *output]) == 2
    assert "run benchmarks.accuracy again" in capsys.readouterr().err
