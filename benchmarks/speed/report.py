"""What `benchmarks.fps` makes of its blocks: rates, their law, tables, and whether two runs agree."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from benchmarks.arms import has_period
from benchmarks.conditions import percentiles
from benchmarks.speed.blocks import Setting, TimedBlock, relative_error, undisturbed
from edge.pipeline.modes import MODES

AGREE_WITHIN = 0.03
"""Two runs on one machine differ by less in every rate over that of the teacher alone."""
MUST_EQUAL = ("source", "size", "pair", "frames", "turns_per_block", "threads", "device")
"""Runs that differ in one of these are not comparable."""
SHOWN = (("teacher", 1), ("atttrack", 2), ("atttrack", 4), ("atttrack", 6), ("atttrack", 12), ("student", 1))
STAGES = ("teacher", "student", "letterbox", "extrapolate", "association", "keep", "wait", "rest")
"""`rest` is what no stopwatch covers: the schedule, the results' way out."""


@dataclass(frozen=True, slots=True)
class SpeedLaw:
    """What frame rate a pair should have at keyframe period K, and what the pipeline adds to it.

        1/FPS_K = (1/K)/FPS_T + (1 - 1/K)/FPS_S + c (1 - 1/K)

    FPS_T and FPS_S are the rates of the teacher alone and of the plain student alone; c is what a student frame costs
    more than the student: moving the heatmap, the prior's input, and whatever waits.
    """

    fps_teacher: float
    fps_student: float
    c_ms: float
    """Milliseconds per student frame."""

    def fps(self, k: int) -> float:
        """The rate at period `k`."""
        student = 1 - 1 / k
        return 1 / (1 / k / self.fps_teacher + student / self.fps_student + student * self.c_ms / 1e3)

    def worst_residual(self, fps: Mapping[int, float]) -> float:
        """Largest relative difference between measured rates (by K) and the law; 0 for no measurement."""
        return max((abs(measured / self.fps(k) - 1) for k, measured in fps.items()), default=0.0)


def fit(fps: Mapping[int, float], fps_teacher: float, fps_student: float) -> SpeedLaw:
    """The c that comes closest to the measured rates (by K) in the sense of least squares over the times per frame.

    Periods of 1 have no student frame and say nothing; without any other c is 0.
    """
    shares = {k: 1 - 1 / k for k in fps}
    rests = {k: 1 / rate - 1 / k / fps_teacher - shares[k] / fps_student for k, rate in fps.items()}
    square = sum(share * share for share in shares.values())
    c_s = sum(shares[k] * rests[k] for k in fps) / square if square else 0.0
    return SpeedLaw(fps_teacher, fps_student, 1e3 * c_s)


def report(reference: Setting, settings: Sequence[Setting]) -> dict[str, Any]:
    """Rates by arm and period, and the law of each arm that has a teacher and a student.

    A rate is the undisturbed ratio times the undisturbed rate of the teacher alone.
    """
    rates = [block.fps for block in reference.blocks]
    fps_1 = undisturbed(rates)
    runs = [_run(reference, fps_1, [rate / fps_1 for rate in rates])]
    runs += [_run(setting, fps_1, setting.ratios) for setting in settings]
    result: dict[str, Any] = {"fps_teacher": round(fps_1, 3), "laws": {}, "runs": runs}
    result["reference_drift"] = round(max(rates) / min(rates), 3)
    student = next((run["fps"] for run in runs if run["mode"] == "student"), None)
    if student is not None:
        result["fps_student"] = student
        for arm in dict.fromkeys(run["mode"] for run in runs if run["mode"] in MODES and has_period(run["mode"])):
            fps = {run["k"]: run["fps"] for run in runs if run["mode"] == arm}
            law = fit(fps, fps_1, student)
            result["laws"][arm] = {"c_ms": round(law.c_ms, 4), "worst_residual": round(law.worst_residual(fps), 4)}
    return result


def _run(setting: Setting, fps_1: float, ratios: Sequence[float]) -> dict[str, Any]:
    low, middle, high = np.percentile(ratios, (25, 50, 75)).tolist()
    stages = setting.blocks[0].stages_ms
    return {
        "mode": setting.arm,
        "k": setting.k,
        "latency_ms": _latencies(setting.blocks),
        "stages_ms_per_frame": {name: round(median(b.stages_ms[name] for b in setting.blocks), 4) for name in stages},
        "fps": round(fps_1 * undisturbed(ratios), 3),
        "ratio": round(undisturbed(ratios), 4),
        "ratio_quartiles": [round(low, 4), round(middle, 4), round(high, 4)],
        "ratio_error": round(relative_error(ratios), 4),
        "fps_of_repeats": [round(fps_1 * ratio, 3) for ratio in ratios],
    }


def _latencies(blocks: Sequence[TimedBlock]) -> dict[str, dict[str, float]]:
    """Percentiles over all blocks, by kind of frame."""
    found = {}
    for kind in blocks[0].latencies_ms:
        values = [value for block in blocks for value in block.latencies_ms[kind]]
        if values:
            found[kind] = percentiles(values) | {"count": len(values)}
    return found


def worst_law(result: Mapping[str, Any]) -> float:
    """Largest relative difference between a measured rate and its law."""
    return max((law["worst_residual"] for law in result["laws"].values()), default=0.0)


def table(result: Mapping[str, Any]) -> str:
    """For the terminal."""
    head = f"{'mode':<10}{'K':>4}{'FPS':>9}{'x FPS_1':>9}{'quartiles':>16}"
    lines = [head + f"{'keyframe p50/p95 ms':>22}{'other p50/p95':>18}"]
    for run in result["runs"]:
        latency = run["latency_ms"]
        kinds = [latency.get("teacher"), latency.get("student") or latency.get("predicted")]
        cells = [f"{kind['p50']:.2f} / {kind['p95']:.2f}" if kind else "-" for kind in kinds]
        spread = "{:.3f}..{:.3f}".format(*run["ratio_quartiles"][::2])
        line = f"{run['mode']:<10}{run['k']:>4}{run['fps']:>9.2f}{run['ratio']:>9.3f}{spread:>16}"
        lines.append(line + f"{cells[0]:>22}{cells[1]:>18}")
    for mode, law in result["laws"].items():
        of_law = f"c = {law['c_ms']:.3f} ms a student frame, law off by {law['worst_residual']:.1%} at most"
        lines.append(f"{mode}: {of_law}")
    worst = max(result["runs"], key=lambda run: run["ratio_error"])
    lines.append(f"least certain ratio: {worst['mode']} K={worst['k']}, standard error {worst['ratio_error']:.1%}")
    lines.append(f"the teacher alone drifted by a factor of {result['reference_drift']} during the run")
    return "\n".join([*lines, "", *_stage_lines(result)])


def stages(run: Mapping[str, Any]) -> dict[str, float]:
    """Milliseconds by stage, averaged over keyframes and the others: what it takes times how often it is needed."""
    keyframes = {"teacher": 1.0, "student": 0.0}.get(run["mode"], 1 / run["k"])
    shares = {"teacher": keyframes, "keep": keyframes, "student": 1 - keyframes, "extrapolate": 1 - keyframes}
    ms = {name: value * shares.get(name, 1.0) for name, value in run["stages_ms_per_frame"].items()}
    ms["rest"] = max(0.0, 1e3 / run["fps"] - sum(ms.values()))
    return {name: ms.get(name, 0.0) for name in STAGES}


def _stage_lines(result: Mapping[str, Any]) -> Iterator[str]:
    """Where a frame's time goes, as in docs/PERFORMANCE.md."""
    yield f"| input | run | ms a frame | {' | '.join(STAGES)} |"
    yield "|---|---|---|" + "---|" * len(STAGES)
    runs = {(run["mode"], run["k"]): run for run in result["runs"]}
    for mode, k in (key for key in SHOWN if key in runs):
        ms = stages(runs[mode, k])
        label = f"AttTrack K={k}" if mode == "atttrack" else f"{mode} alone"
        cells = " | ".join(f"{value:.2f}" for value in ms.values())
        yield f"| {result['size']} | {label} | {sum(ms.values()):.1f} | {cells} |"


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[tuple[str, int], float]:
    """Relative difference of the two runs' ratios, by mode and period, of those that both have.

    Raises ValueError where the runs are not of one thing, or have nothing in common.
    """
    for name in MUST_EQUAL:
        if ours.get(name) != theirs.get(name):
            raise ValueError(f"these runs differ in {name}: {ours.get(name)} and {theirs.get(name)}")
    if ours["conditions"]["models"] != theirs["conditions"]["models"]:
        raise ValueError("these runs are of different model files")
    mine, other = ({(run["mode"], run["k"]): run["ratio"] for run in result["runs"]} for result in (ours, theirs))
    shared = [key for key in mine if key in other and key[0] != "teacher"]
    if not shared:
        raise ValueError("these runs have no mode and period in common")
    return {key: abs(mine[key] / other[key] - 1) for key in shared}
