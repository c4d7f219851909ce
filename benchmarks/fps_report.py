"""What `benchmarks.fps` makes of its blocks: rates, laws, tables, and whether two runs agree."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.fps_blocks import Block, Setting
from benchmarks.frame_skipping import has_period
from benchmarks.scatter import relative_error, undisturbed
from benchmarks.speed_law import fit

AGREE_WITHIN = 0.03
"""Two runs on one machine differ by less in every rate over that of the teacher alone."""
MUST_EQUAL = ("source", "size", "pair", "frames", "turns_per_block", "threads", "device")
"""Runs that differ in one of these are not comparable."""


def report(reference: Setting, settings: Sequence[Setting]) -> dict[str, Any]:
    """Rates by arm and period, and the law of each arm that has a teacher and a student; see `from_blocks`."""
    rates = [block.fps for block in reference.blocks]
    ratios = [[rate / undisturbed(rates) for rate in rates], *(setting.ratios for setting in settings)]
    runs = [
        {"mode": setting.arm, "k": setting.k}
        | {"latency_ms": _latencies(setting.blocks), "stages_ms_per_frame": _stages(setting.blocks)}
        for setting in (reference, *settings)
    ]
    return from_blocks(rates, ratios, runs)


def again(result: Mapping[str, Any]) -> dict[str, Any]:
    """What `report` says of a stored result's blocks today; an earlier one may have weighed them otherwise."""
    rates = result["runs"][0]["fps_of_repeats"]
    ratios = [[rate / undisturbed(rates) for rate in rates]]
    ratios += [[fps / result["fps_teacher"] for fps in run["fps_of_repeats"]] for run in result["runs"][1:]]
    return dict(result) | from_blocks(rates, ratios, result["runs"])


def from_blocks(
    rates: Sequence[float], ratios: Sequence[Sequence[float]], runs: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """`rates` of the teacher's blocks, `ratios` of each run's; the first of the `runs` is the teacher alone.

    A rate is the undisturbed ratio times the undisturbed rate of the teacher alone.
    """
    fps_1 = undisturbed(rates)
    told = [dict(run) | _run(fps_1, of_run) for run, of_run in zip(runs, ratios, strict=True)]
    result: dict[str, Any] = {"fps_teacher": round(fps_1, 3), "laws": {}, "runs": told}
    result["reference_drift"] = round(max(rates) / min(rates), 3)
    student = next((run["fps"] for run in told if run["mode"] == "student"), None)
    if student is not None:
        result["fps_student"] = student
        for arm in dict.fromkeys(run["mode"] for run in told if has_period(run["mode"])):
            if arm != "predicted":
                fps = {run["k"]: run["fps"] for run in told if run["mode"] == arm}
                law = fit(fps, fps_1, student)
                worst = round(law.worst_residual(fps), 4)
                result["laws"][arm] = {"c_ms": round(law.c_ms, 4), "worst_residual": worst}
    return result


def _run(fps_1: float, ratios: Sequence[float]) -> dict[str, Any]:
    low, middle, high = np.percentile(ratios, (25, 50, 75)).tolist()
    return {
        "fps": round(fps_1 * high, 3),
        "ratio": round(high, 4),
        "ratio_quartiles": [round(low, 4), round(middle, 4), round(high, 4)],
        "ratio_error": round(relative_error(ratios), 4),
        "fps_of_repeats": [round(fps_1 * ratio, 3) for ratio in ratios],
    }


def _latencies(blocks: Sequence[Block]) -> dict[str, dict[str, float]]:
    """Percentiles over all blocks, by kind of frame."""
    found = {}
    for kind in blocks[0].latencies_ms:
        values = [value for block in blocks for value in block.latencies_ms[kind]]
        if values:
            p50, p95, p99 = (round(value, 3) for value in np.percentile(values, (50, 95, 99)).tolist())
            found[kind] = {"p50": p50, "p95": p95, "p99": p99, "count": len(values)}
    return found


def _stages(blocks: Sequence[Block]) -> dict[str, float]:
    return {name: round(median(block.stages_ms[name] for block in blocks), 4) for name in blocks[0].stages_ms}


def worst_law(result: Mapping[str, Any]) -> float:
    """Largest relative difference between a measured rate and its law."""
    return max((law["worst_residual"] for law in result["laws"].values()), default=0.0)


def table(result: Mapping[str, Any]) -> str:
    """For the terminal."""
    lines = [
        f"{'mode':<10}{'K':>4}{'FPS':>9}{'x FPS_1':>9}{'quartiles':>16}{'keyframe p50/p95 ms':>22}{'other p50/p95':>18}"
    ]
    for run in result["runs"]:
        latency = run["latency_ms"]
        kinds = [latency.get("teacher"), latency.get("student") or latency.get("predicted")]
        cells = [f"{kind['p50']:.2f} / {kind['p95']:.2f}" if kind else "-" for kind in kinds]
        spread = "{:.3f}..{:.3f}".format(*run["ratio_quartiles"][::2])
        lines.append(
            f"{run['mode']:<10}{run['k']:>4}{run['fps']:>9.2f}{run['ratio']:>9.3f}{spread:>16}"
            f"{cells[0]:>22}{cells[1]:>18}"
        )
    for mode, law in result["laws"].items():
        lines.append(
            f"{mode}: c = {law['c_ms']:.3f} ms a student frame, law off by {law['worst_residual']:.1%} at most"
        )
    worst = max(result["runs"], key=lambda run: run["ratio_error"])
    lines.append(f"least certain ratio: {worst['mode']} K={worst['k']}, standard error {worst['ratio_error']:.1%}")
    lines.append(f"the teacher alone drifted by a factor of {result['reference_drift']} during the run")
    return "\n".join(lines)


def write_csv(result: Mapping[str, Any], path: Path) -> None:
    """One line per arm and period."""
    kinds = ("teacher", "student", "predicted")
    stages = list(result["runs"][0]["stages_ms_per_frame"])
    head = ["mode", "k", "fps", "ratio", "ratio_q1", "ratio_q2", "ratio_q3"]
    head += [f"{kind}_{p}_ms" for kind in kinds for p in ("p50", "p95", "p99")] + [f"{name}_ms" for name in stages]
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(head)
        for run in result["runs"]:
            latencies = [run["latency_ms"].get(kind, {}).get(p, "") for kind in kinds for p in ("p50", "p95", "p99")]
            numbers = [run["mode"], run["k"], run["fps"], run["ratio"], *run["ratio_quartiles"]]
            writer.writerow([*numbers, *latencies, *(run["stages_ms_per_frame"][name] for name in stages)])


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
