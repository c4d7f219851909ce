"""The association benchmark: it runs, its numbers add up, its targets can fail."""

import json
from pathlib import Path

import pytest

from benchmarks.speed.association import CrowdTimes, main, measure, missed_targets


def test_nobody_is_measured_too() -> None:
    result = measure(0, frames=3)
    assert result.tracks == 0
    for ms in (result.wall_ms, result.core_ms):
        assert 0 < ms["p50"] <= ms["p95"] <= ms["p99"]


def test_nearly_everybody_is_tracked_while_the_clock_runs() -> None:
    assert 15 < measure(20, frames=30).tracks <= 20


def test_a_missed_target_is_named() -> None:
    fast, slow = (CrowdTimes(50, 48.0, {"p50": 9.0}, {"p50": ms}) for ms in (0.2, 0.6))
    assert missed_targets([fast]) == []
    assert missed_targets([fast, slow]) == ["50 people: 0.600 ms of the core per frame, should be below 0.5 ms"]


@pytest.mark.parametrize("option", ["--output", "--json"])
def test_the_table_and_the_file_have_a_row_for_each_size(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    """`--json`, as the option was called once, names the file itself."""
    path = tmp_path / "association.json"
    where = tmp_path if option == "--output" else path
    assert main(["--people", "0", "5", "--frames", "5", option, str(where)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed[2:4]] == ["0", "5"]
    report = json.loads(path.read_text())
    assert [result["people"] for result in report["results"]] == [0, 5]
    assert "cpu" in report["conditions"]


def test_bad_arguments_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--frames", "0"])
    assert "--frames must be at least 1" in capsys.readouterr().err
