"""Accuracy over speed: one curve per mode, one point per K, from results of benchmarks.fps and benchmarks.accuracy.

    atttrack bench curves

Reads benchmarks/results/fps-576x320.json and accuracy.json, measures nothing. Up and to the right is better. Frame
skipping (`predicted`) and each mode have the points that both files have.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

from benchmarks.arms import ARMS
from benchmarks.command import command, one_line
from benchmarks.conditions import RESULTS
from benchmarks.scores import POOLED

METRICS = {"mota": "MOTA, %", "idf1": "IDF1, %", "hota": "HOTA, %"}
WIDTH_PX, HEIGHT_PX, DPI = 1000, 430, 100
LOOKS = {
    "teacher": ("teacher alone", "#000000"),
    "student": ("student alone", "#D55E00"),
    "naive": ("naive mix", "#E69F00"),
    "no-update": ("AttTrack, heatmap not moved", "#009E73"),
    "atttrack": ("AttTrack", "#0072B2"),
    "second": ("AttTrack, every 2nd frame", "#56B4E9"),
    "third": ("AttTrack, every 3rd frame", "#F0E442"),
    "adaptive": ("AttTrack, adaptive", "#7F7F7F"),
    "predicted": ("frames skipped, Kalman only", "#CC79A7"),
}
"""Label and colour of each mode; told apart by people with any kind of colour blindness."""
TICKS = (5, 10, 20, 30, 50, 100, 200, 300, 500)
SHOWN_BELOW = 12.0
"""Points below the worst of the others at which frame skipping leaves the panel."""
LABELLED = {"atttrack": (-4, 8), "predicted": (-4, -14)}
"""Modes whose first and last K are written beside the point, and where; in pixels."""


@dataclass(frozen=True, slots=True)
class Point:
    """One mode at one K; K is 1 where it means nothing."""

    mode: str
    k: int
    fps: float
    accuracy: float  # percent


def join(
    fps: Mapping[str, Any], accuracy: Mapping[str, Any], metric: str, sequence: str = POOLED
) -> dict[str, list[Point]]:
    """Points of each mode by K. Raises ValueError where the results are of different networks or share no point."""
    if fps["size"] != accuracy["input"]:
        raise ValueError(f"speed was measured at {fps['size']}, accuracy at {accuracy['input']}")
    speeds, scores = fps["conditions"]["models"], accuracy["conditions"]["models"]
    if different := [name for name in speeds.keys() & scores.keys() if speeds[name] != scores[name]]:
        raise ValueError(f"speed and accuracy were measured with different files {', '.join(sorted(different))}")
    rates = {(run["mode"], run["k"]): run["fps"] for run in fps["runs"]}
    curves: dict[str, list[Point]] = {}
    for row in accuracy["rows"]:
        key = (row["mode"], row["k"] or 1)
        if row["sequence"] == sequence and key in rates:
            curves.setdefault(row["mode"], []).append(Point(*key, rates[key], 100 * row[metric]))
    if not curves:
        raise ValueError(f"no mode and K has both speed and accuracy on {sequence}")
    return {str(mode): sorted(curves[mode], key=lambda point: point.k) for mode in ARMS if mode in curves}


def draw(metrics: Mapping[str, Mapping[str, Sequence[Point]]], title: str, path: Path) -> None:
    """One panel per metric, WIDTH_PX wide, as PNG."""
    size = (WIDTH_PX / DPI, HEIGHT_PX / DPI)
    figure, [axes] = pyplot.subplots(1, len(metrics), figsize=size, layout="constrained", squeeze=False)
    for panel, (metric, curves) in zip(axes, metrics.items(), strict=True):
        for mode, points in curves.items():
            label, colour = LOOKS[mode]
            x, y = [point.fps for point in points], [point.accuracy for point in points]
            alone = len(points) == 1
            panel.plot(x, y, "*" if alone else "o-", ms=13 if alone else 5, color=colour, label=label)
            for point in (points[0], points[-1]) if mode in LABELLED and not alone else ():
                where = {"textcoords": "offset points", "size": 9, "color": colour}
                panel.annotate(f"K={point.k}", (point.fps, point.accuracy), LABELLED[mode], **where)
        panel.set_ylim(bottom=_floor(curves))
        panel.set(xscale="log", xlabel="frames per second", ylabel=METRICS[metric])
        rates = [point.fps for points in curves.values() for point in points]
        ticks = [tick for tick in TICKS if min(rates) * 0.9 <= tick <= max(rates) * 1.1]
        panel.set_xticks(ticks, [str(tick) for tick in ticks])
        panel.set_xticks([], minor=True)
        panel.grid(alpha=0.3)
    axes[0].legend(fontsize=9)
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=DPI)
    pyplot.close(figure)


def _floor(curves: Mapping[str, Sequence[Point]]) -> float | None:
    """Where frame skipping falls far below all others, it leaves the panel rather than squeeze them."""
    others = [point.accuracy for mode, points in curves.items() if mode != "predicted" for point in points]
    skipping = [point.accuracy for point in curves.get("predicted", ())]
    return min(others) - SHOWN_BELOW if others and skipping and min(skipping) < min(others) - SHOWN_BELOW else None


@one_line("curves")
def main(arguments: Sequence[str] | None = None) -> int:
    """Join and draw."""
    parser = command("curves", __doc__)
    parser.add_argument("--fps", type=Path, default=RESULTS / "fps-576x320.json", help="result of atttrack bench fps")
    parser.add_argument(
        "--accuracy", type=Path, default=RESULTS / "accuracy.json", help="result of atttrack bench accuracy"
    )
    parser.add_argument("--metrics", nargs="+", choices=METRICS, default=["mota", "idf1"], help="to draw")
    parser.add_argument("--sequence", default=POOLED, help="default: all of them pooled")
    parser.add_argument("--output", type=Path, default=RESULTS / "curves.png", help="picture to write")
    options = parser.parse_args(arguments)
    fps, accuracy = json.loads(options.fps.read_text()), json.loads(options.accuracy.read_text())
    metrics = {metric: join(fps, accuracy, metric, options.sequence) for metric in options.metrics}
    sequences = dict.fromkeys(row["sequence"] for row in accuracy["rows"] if row["sequence"] != POOLED)
    shown = ", ".join(sequences) if len(sequences) < 4 else f"{len(sequences)} sequences, pooled"
    shown = shown if options.sequence == POOLED else options.sequence
    machine = fps["conditions"]
    title = (
        f"{fps['size']}, {machine['cores']} cores of {machine['cpu']}; accuracy on {shown} ({accuracy['half']} "
        f"half), speed on a {'drawn scene' if fps['source'].startswith('synthetic') else Path(fps['source']).name}"
    )
    draw(metrics, title, options.output)
    print(options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
