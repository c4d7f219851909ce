from dataclasses import replace
from typing import Any

import pytest

from edge.pipeline.config import PipelineSettings, check_period, parse_size


def test_the_defaults_are_the_papers() -> None:
    settings = PipelineSettings()
    assert (settings.mode, settings.k, settings.tracker.score_threshold) == ("atttrack", 6, 0.4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mode": "fast"}, "mode must be one of teacher, student, naive, no-update, atttrack, got 'fast'"),
        ({"k": 0}, "k must be 1 to 1000 frames, got 0"),
        ({"k": 1001}, "k must be 1 to 1000"),
        ({"max_lanes": 0}, "max_lanes must be 1 to 256"),
    ],
)
def test_a_value_without_sense_is_refused_by_name(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(PipelineSettings(), **change)


def test_periods_have_bounds() -> None:
    check_period(1)
    check_period(1000)


@pytest.mark.parametrize("text", ["", "x", "576", "576x", "x320", "576x320x3", "a x b", "-576x320", "5.5x3", "²x³"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a size looks like 576x320"):
        parse_size(text)


def test_a_size_is_width_times_height() -> None:
    assert parse_size("576x320") == parse_size("576X320") == (576, 320)
