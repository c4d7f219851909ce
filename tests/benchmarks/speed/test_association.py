"""The association benchmark: it runs, its numbers add up, its targets can fail."""

import json
from pathlib import Path

import pytest

from benchmarks.speed.association import OURS, Racer, Spread, main, missed_targets


def test_a_missed_target_is_named() -> None:
    fast, slow, theirs = (
        Racer(name, "", 50, 48.0, Spread(9, 9), Spread(ms, ms), 1.0)
        for name, ms in ((OURS, 0.2), (OURS, 0.6), ("other", 0.6))
    )
    assert missed_targets([fast, theirs]) == []
    assert missed_targets([fast, slow]) == ["50 people: 0.600 ms of the core per frame, should be below 0.5 ms"]


def test_the_table_and_the_file_have_a_row_for_each_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "association.json"
    arguments = ["--people", "0", "5", "--frames", "5", "--peers", "--json", str(path)]
    assert main(arguments) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in printed[2:4]] == [[OURS, "0"], [OURS, "5"]]
    report = json.loads(path.read_text())
    assert [result["people"] for result in report["results"]] == [0, 5]
    assert "cpu" in report["conditions"]


def test_bad_arguments_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--frames", "0"])
    assert "--frames must be at least 1" in capsys.readouterr().err
