"""The host keeps up: in small steps of NumPy, so that the machine's own speed does not count."""

import json
from pathlib import Path

import pytest

from benchmarks.gpu.host import HostTimes, main, measure

MOST_STEPS = 900
"""Of the device thread for a frame of a stream among 64 with 20 people; before lanes were tracked together: 1,850."""


Times = dict[tuple[int, int], HostTimes]


@pytest.fixture(scope="module")
def times() -> Times:
    """By lanes and people, from one run in which they take turns."""
    cases = [(16, 0), (16, 20), (16, 40), (64, 20), (128, 20)]
    return dict(zip(cases, measure(cases, ticks=12), strict=True))


def test_a_frame_of_one_stream_among_many_costs_the_device_thread_little(times: Times) -> None:
    assert times[64, 20].steps < MOST_STEPS, times[64, 20]


@pytest.mark.parametrize(("few", "many"), [(16, 64), (64, 128), (16, 128)])
def test_more_streams_make_no_frame_dearer(times: Times, few: int, many: int) -> None:
    assert times[many, 20].device_thread_ms < 1.3 * times[few, 20].device_thread_ms


def test_nobody_costs_next_to_nothing_and_people_at_most_in_proportion(times: Times) -> None:
    nobody, some, more = (times[16, people].device_thread_ms for people in (0, 20, 40))
    assert nobody < some < more < 2.6 * some


def test_the_command_prints_a_table_and_saves_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--lanes", "2", "--people", "0", "3", "--ticks", "2", "--output", str(tmp_path)]) == 0
    header, nobody, some, _ = capsys.readouterr().out.strip().splitlines()
    saved = json.loads((tmp_path / "host.json").read_text())
    assert [(one["lanes"], one["people"]) for one in saved["results"]] == [(2, 0), (2, 3)]
    assert header.split()[:2] == ["people", "lanes"]
    assert (nobody.split()[:2], some.split()[:2]) == (["0", "2"], ["3", "2"])
    assert "association" in some
