"""The gate: a loss fails, a hiccup does not, and other networks are not compared."""

import json
from pathlib import Path

import pytest

from benchmarks.speed.check import Ratios, check, judge, main
from tests.support.tiny_pair import write_tiny_pair

STORED = {"rate": 3.0, "cost": 0.2}


def ratios(rate: float = 3.0, cost: float = 0.2) -> Ratios:
    return {"rate": rate, "cost": cost}


def test_nothing_measured_is_nothing_lost() -> None:
    assert judge({}, STORED) == []


@pytest.mark.parametrize(
    ("found", "lost"),
    [
        (ratios(), []),
        (ratios(rate=2.75, cost=0.25), []),
        (ratios(rate=6.0, cost=0.05), []),
        (ratios(rate=2.65), ["rate"]),
        (ratios(cost=0.27), ["cost"]),
    ],
)
def test_only_a_clear_change_for_the_worse_is_a_loss(found: Ratios, lost: list[str]) -> None:
    assert judge(found, STORED) == lost


def test_a_ratio_that_was_never_stored_cannot_be_judged() -> None:
    with pytest.raises(ValueError, match="no stored ratio for cost; run with --store"):
        judge(ratios(), {"rate": 3.0})


def test_a_hiccup_passes_and_a_loss_that_stays_does_not(capsys: pytest.CaptureFixture[str]) -> None:
    runs = iter([ratios(rate=1.0), ratios(cost=1.0)])
    assert check(lambda: next(runs), STORED) == 0
    assert check(lambda: ratios(rate=2.0), STORED) == 1
    assert "LOST: rate" in capsys.readouterr().err


def test_store_and_compare_with_the_real_pipeline(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_tiny_pair(tmp_path)
    arguments = ["--models", str(tmp_path), "--pair", "tiny", "--size", "320x192", "--repeats", "1", "--frames", "2"]
    arguments += ["--stored", str(tmp_path / "check.json")]
    assert main(arguments) == 2  # nothing stored yet
    assert main([*arguments, "--store"]) == 0
    assert main(arguments) in (0, 1)  # the ratios of so short a run are noise
    stored = json.loads((tmp_path / "check.json").read_text())
    assert len(stored["ratios"]) == 8
    stored["conditions"]["models"] = {}
    (tmp_path / "check.json").write_text(json.dumps(stored))
    assert main(arguments) == 2
    assert "other model files" in capsys.readouterr().err
