from argparse import ArgumentParser
from dataclasses import replace
from typing import Any

import pytest

from edge.pipeline.config import LaneSettings, PipelineSettings, parse_size
from engines.signature import size_name


def test_the_defaults_are_the_papers() -> None:
    assert PipelineSettings().lane == LaneSettings() == LaneSettings(k=6, mode="atttrack", threshold=0.4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mode": "fast"}, "mode must be one of teacher, student, naive, no-update, atttrack, got 'fast'"),
        ({"identity": ""}, "identity must be one of keep, reset, got ''"),
        ({"k": 0}, "k must be 1 to 1000, got 0"),
        ({"k": 1001}, "k must be 1 to 1000"),
        ({"threshold": -0.1}, "threshold must be 0 to 1"),
        ({"threshold": 1.1}, "threshold must be 0 to 1"),
        ({"threshold": float("nan")}, "threshold must be 0 to 1, got nan"),
    ],
)
def test_a_lane_with_a_value_without_sense_is_refused_by_name(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(LaneSettings(), **change)


@pytest.mark.parametrize("change", [{"k": 1}, {"k": 1000}, {"threshold": 0}, {"threshold": 1}])
def test_limits_themselves_are_allowed(change: dict[str, Any]) -> None:
    assert replace(LaneSettings(), **change) != LaneSettings()


def test_a_pipeline_has_at_least_one_lane() -> None:
    with pytest.raises(ValueError, match="max_lanes must be 1 to 256, got 0"):
        PipelineSettings(max_lanes=0)


@pytest.mark.parametrize("text", ["", "x", "576", "576x", "x320", "576x320x3", "a x b", "-576x320", "5.5x3", "²x³"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a size looks like 576x320"):
        parse_size(text)


def test_a_size_is_width_times_height() -> None:
    assert parse_size("576x320") == parse_size("576X320") == (576, 320)
    assert size_name(parse_size("0576x320")) == "576x320"
    assert size_name(None) == ""


def test_a_command_line_says_what_a_size_looks_like(capsys: pytest.CaptureFixture[str]) -> None:
    parser = ArgumentParser()
    parser.add_argument("--size", type=parse_size)
    with pytest.raises(SystemExit):
        parser.parse_args(["--size", "big"])
    assert "argument --size: a size looks like 576x320, got 'big'" in capsys.readouterr().err
