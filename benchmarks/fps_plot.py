"""The picture of `benchmarks.fps`: rate against K, measured and as the law has it."""

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from benchmarks.speed_law import SpeedLaw

COLOURS = {
    "atttrack": "#0072B2",
    "no-update": "#009E73",
    "naive": "#E69F00",
    "predicted": "#CC79A7",
    "teacher": "#000000",
    "student": "#D55E00",
}
"""Told apart by people with any kind of colour blindness."""


def plot(result: dict[str, Any], path: Path) -> None:
    """Write the picture of a result of `benchmarks.fps` to `path` (.png or .svg)."""
    figure, axes = plt.subplots(figsize=(7, 4.6), layout="constrained")
    runs = result["runs"]
    for mode, law in result["laws"].items():
        points = sorted((run["k"], run["fps"], run["fps_of_repeats"]) for run in runs if run["mode"] == mode)
        periods, rates = [point[0] for point in points], [point[1] for point in points]
        quartiles = [np.percentile(repeats, (25, 75)) for _, _, repeats in points]
        below = [max(rate - low, 0) for rate, (low, _) in zip(rates, quartiles, strict=True)]
        above = [max(high - rate, 0) for rate, (_, high) in zip(rates, quartiles, strict=True)]
        colour = COLOURS[mode]
        axes.errorbar(periods, rates, (below, above), fmt="o", ms=4, capsize=2, color=colour)
        expected = SpeedLaw(result["fps_teacher"], result["fps_student"], law["c_ms"])
        label = f"{mode}; law with c = {law['c_ms']:.2f} ms, off by {law['worst_residual']:.1%} at most"
        axes.set_xticks(periods)
        axes.plot(periods, [expected.fps(k) for k in periods], color=colour, lw=1, label=label)
    for name, style in (("teacher", ":"), ("student", "--")):
        axes.axhline(result[f"fps_{name}"], color="0.4", ls=style, lw=1, label=f"{name} alone")
    axes.set(xlabel="keyframe period K", ylabel="frames per second (bars: quartiles)", ylim=(0, None))
    machine = result["conditions"]
    axes.set_title(f"{result['size']}, {machine['cores']} cores of {machine['cpu']}", fontsize=10)
    axes.grid(alpha=0.25)
    figure.legend(fontsize=8, loc="outside lower center", ncols=2)
    figure.savefig(path, dpi=130, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)
