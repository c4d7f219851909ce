"""The benchmark end to end with the tiny pair: what it writes, not how fast it is."""

import json
import math
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from benchmarks.fps import main, read_frames
from benchmarks.speed.blocks import Bench, PairedBlock, Player, Setting, TimedBlock, measure, ping_pong, relative_error
from benchmarks.speed.report import differences, report, stages
from edge.pipeline.backend import open_backend
from edge.sources.base import Frame
from tests.support.tiny_pair import write_tiny_pair


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_tiny_pair(folder)
    return folder


def _arguments(models: Path, results: Path, *more: str) -> list[str]:
    source = "synthetic://?seed=1&people=3&width=320&height=192"
    fixed = ["--source", source, "--models", str(models), "--pair", "tiny", "--size", "320x192", "--threads", "1"]
    short = ["--frames", "6", "--turns", "1", "--repeats", "2", "--error", "inf"]
    return [*fixed, *short, "--output", str(results), *more]


def test_rates_laws_and_conditions_are_written(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = _arguments(models, tmp_path, "--k", "1", "2", "3", "--name", "short", "--law-within", "1e9")
    assert main(arguments) == 0
    result = json.loads((tmp_path / "short.json").read_text())
    assert {(run["mode"], run["k"]) for run in result["runs"]} == {
        *(("teacher", 1), ("student", 1)),
        *((mode, k) for mode in ("naive", "no-update", "atttrack", "second", "third", "predicted") for k in (1, 2, 3)),
        ("adaptive", 1),
    }
    assert set(result["laws"]) == {"naive", "no-update", "atttrack"}
    assert result["largest_error_wanted"] is None
    for run in result["runs"][1:]:
        assert len(run["fps_of_repeats"]) == 2
        assert run["fps"] > 0
        counts = {kind: found["count"] for kind, found in run["latency_ms"].items()}
        if run["k"] == 3:  # turns are of whole periods
            between = {"predicted": "pp", "third": "pp", "second": "ps"}.get(run["mode"], "ss")
            looks = {"student": between.count("s"), "predicted": between.count("p"), "teacher": 1}
            assert counts == {kind: each * counts["teacher"] for kind, each in looks.items() if each}
    assert result["conditions"]["models"].keys() == {
        f"tiny-{role}-320x192.onnx" for role in ("teacher", "student", "student-plain")
    }
    assert result["conditions"]["runtime"]["engines"].keys() == {"teacher", "student", "plain"}
    printed = capsys.readouterr().out
    assert "atttrack: c = " in printed
    assert "| 320x192 | teacher alone |" in printed
    assert main(["--show", str(tmp_path / "short.json")]) == 0
    assert capsys.readouterr().out.strip() in printed


def test_a_stage_counts_as_often_as_it_is_needed_and_the_sum_is_the_frame() -> None:
    ms = {"letterbox": 1.0, "extrapolate": 0.5, "teacher": 30.0, "student": 6.0, "wait": 0.0, "association": 1.0}
    found = stages({"mode": "atttrack", "k": 6, "fps": 1000 / 14, "stages_ms_per_frame": ms})
    assert found["teacher"] == pytest.approx(5)
    assert found["student"] == pytest.approx(5)
    assert found["letterbox"] == 1
    assert found["rest"] == pytest.approx(14 - 5 - 5 - 1 - 1 - 0.5 * 5 / 6)
    assert sum(found.values()) == pytest.approx(14)
    assert stages({"mode": "student", "k": 1, "fps": 100.0, "stages_ms_per_frame": ms})["teacher"] == 0


def test_blocks_that_were_disturbed_do_not_count() -> None:
    """Others made two of five blocks slower, and light frames more so."""
    teacher = [TimedBlock(fps, {"teacher": [1.0]}, {"wait": 0.0}) for fps in (10.0, 10.0, 8.0, 9.0, 10.0)]
    student = Setting("student", 1, teacher, [4.0, 3.0, 3.6, 4.0, 4.0])
    result = report(Setting("teacher", 1, teacher), [student])
    assert [(run["fps"], run["ratio"]) for run in result["runs"]] == [(10.0, 1.0), (40.0, 4.0)]
    assert result["runs"][1]["ratio_quartiles"] == [3.6, 4.0, 4.0]


def test_a_law_that_does_not_hold_ends_with_1(models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = _arguments(models, tmp_path, "--k", "1", "2", "--modes", "atttrack", "--law-within", "-1")
    assert main(arguments) == 1
    assert "the law is off by" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--pair", "none"], "no model file none-teacher"),
        (["--source", "nothing.mp4"], "nothing.mp4"),
        (["--frames", "1"], "--frames must be at least 2, got 1"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: list[str], message: str
) -> None:
    assert main(_arguments(models, tmp_path, *change)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def _result(ratio: float, **changed: object) -> dict[str, object]:
    runs = [{"mode": "teacher", "k": 1, "ratio": 1.0}, {"mode": "atttrack", "k": 6, "ratio": ratio}]
    return {"runs": runs, "conditions": {"models": {"a": "1"}}, "size": "576x320"} | changed


@pytest.mark.parametrize(("ratio", "code"), [(2.92, 0), (3.0, 0), (3.07, 0), (3.1, 1), (2.8, 1)])
def test_two_runs_agree_when_no_ratio_differs_by_more_than_three_percent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], ratio: float, code: int
) -> None:
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    first.write_text(json.dumps(_result(ratio)))
    second.write_text(json.dumps(_result(2.99)))
    assert main(["--compare", str(first), str(second)]) == code
    assert f"{1 - code} of 1 ratios" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"size": "1088x608"}, "differ in size"),
        ({"conditions": {"models": {"a": "2"}}}, "different model files"),
        ({"runs": []}, "nothing|no mode and period"),
    ],
)
def test_runs_of_different_things_are_not_compared(changed: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        differences(_result(3.0), _result(3.0, **changed))


def test_a_machine_that_halves_its_speed_changes_no_ratio() -> None:
    slow = MachineThatSlowsDown({("teacher", 1): 20.0, ("student", 1): 80.0, ("atttrack", 6): 50.0})
    reference, settings = measure(slow, ["student", "atttrack"], [6], 8, 9)
    result = report(reference, settings)
    ratios = {run["mode"]: run["ratio"] for run in result["runs"]}
    assert ratios["student"] == pytest.approx(4, rel=0.01)
    assert ratios["atttrack"] == pytest.approx(2.5, rel=0.01)
    assert result["reference_drift"] == pytest.approx(2, rel=0.1)


@pytest.mark.parametrize(("error", "blocks_of_noisy"), [(math.inf, 5), (0.1, 20), (0.0, 20)])
def test_only_ratios_that_are_not_certain_are_measured_on_and_not_without_end(
    error: float, blocks_of_noisy: int
) -> None:
    noise = MachineWithNoise({"student": 0.0, "naive": 4.0})
    reference, settings = measure(noise, ["student", "naive"], [6], 8, 5, error)
    assert {setting.arm: len(setting.ratios) for setting in settings} == {"student": 5, "naive": blocks_of_noisy}
    assert len(reference.blocks) == 5 + blocks_of_noisy


def test_measuring_ends_with_the_round_that_makes_the_ratio_certain() -> None:
    (setting,) = measure(MachineWithNoise({"naive": 1.0}), ["naive"], [6], 8, 5, 0.04)[1]
    assert 5 < len(setting.ratios) < 20
    assert relative_error(setting.ratios) <= 0.04 < relative_error(setting.ratios[:-1])


class MachineWithNoise:
    """Takes the place of a Bench; each arm's ratio is up to `noise` above or below 5."""

    def __init__(self, noise: dict[str, float]) -> None:
        self._noise, self._rng = noise, np.random.default_rng(1)

    def block(self, arm: str, k: int, turns: int) -> PairedBlock:
        block = TimedBlock(20.0, {"teacher": [1.0]}, {"wait": 0.0})
        return PairedBlock(block, block, 5 + self._noise[arm] * self._rng.uniform(-1, 1))


class MachineThatSlowsDown:
    """Takes the place of a Bench; its speed falls to a half over the run."""

    def __init__(self, fps: dict[tuple[str, int], float]) -> None:
        self.fps, self.calls = fps, 0

    def block(self, arm: str, k: int, turns: int) -> PairedBlock:
        speed = 2 ** (-self.calls / 18)
        self.calls += 1
        teacher, other = (
            TimedBlock(self.fps[one] * speed, {"teacher": [1.0]}, {"wait": 0.0}) for one in (("teacher", 1), (arm, k))
        )
        return PairedBlock(teacher, other, other.fps / teacher.fps)


def test_each_turn_is_compared_with_the_teachers_before_it_and_one_that_was_held_up_does_not_count(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds_per_frame = iter([0.1, 0.02, 0.2, 0.04, 0.1, 0.5])  # teacher and student in turn; the last was held up
    turn = Player.turn

    def scripted(player: Player) -> float:
        turn(player)
        return next(seconds_per_frame)

    monkeypatch.setattr(Player, "turn", scripted)
    frames = read_frames("synthetic://?seed=1&people=3&width=320&height=192", 6)
    found = Bench(open_backend(models, (320, 192), "cpu", pair="tiny", threads=1), frames).block("student", 1, 3)
    assert found.ratio == pytest.approx(5)
    assert found.block.latencies_ms["student"]
    assert found.reference.latencies_ms["teacher"]


def test_frames_go_to_and_fro_while_time_goes_on() -> None:
    frames = [Frame(np.zeros((2, 2, 3), np.uint8), i, time_s, 0.0, "media") for i, time_s in enumerate((5.0, 5.1, 5.3))]
    frames = [replace(frame, pts=frame.index) for frame in frames]
    played = list(islice(ping_pong(frames), 8))
    assert [frame.pts for frame in played] == [0, 1, 2, 1, 0, 1, 2, 1]
    assert [frame.time_s for frame in played] == pytest.approx([5.0, 5.1, 5.3, 5.5, 5.6, 5.7, 5.9, 6.1])
    assert [frame.index for frame in played] == list(range(8))
