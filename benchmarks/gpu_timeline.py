"""The picture of `benchmarks.gpu_check`'s timeline."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt

COLOURS = {"submit": "#0072B2", "wait": "#BBBBBB", "track": "#E69F00"}
"""Told apart by people with any kind of colour blindness."""


def draw(spans: Sequence[tuple[int, str, float, float]], path: Path) -> Path:
    """Write bars over time, one line per tick, to `path`. spans: (tick, what, begin in ms, end in ms)."""
    figure, axes = plt.subplots(figsize=(9, 4), layout="constrained")
    for tick, what, begin, end in spans:
        axes.barh(tick, end - begin, left=begin, color=COLOURS[what], height=0.8)
    for what, colour in COLOURS.items():
        axes.barh(0, 0, color=colour, label=what)
    axes.set(xlabel="ms", ylabel="tick", ylim=(spans[-1][0] + 0.6, spans[0][0] - 0.6))
    axes.legend(loc="lower left")
    figure.savefig(path, dpi=130)
    plt.close(figure)
    return path
