"""The picture of benchmarks.failures: six panels, drawn from its result."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from benchmarks.curves import NAMES

WIDTH_PX, DPI = 900, 100
HEIGHT_PX, SEQUENCE_PX = 430, 18
"""Height of the figure without its sequences, and what each of them adds."""
ALL, KEYFRAME, BETWEEN = "#56B4E9", "#0072B2", "#D55E00"
KINDS = {
    "duplicate": ("second box of someone", "#CC79A7"),
    "partly": ("partly on a person", "#E69F00"),
    "unscored": ("person not counted", "#BBBBBB"),
    "nothing": ("on nothing", "#333333"),
}
ABOVE = {
    "loc": "lower center",
    "bbox_to_anchor": (0.5, 0.98),
    "ncols": 2,
    "frameon": False,
    "handlelength": 1.0,
    "columnspacing": 1.2,
}
"""A legend above its panel, where it covers nothing."""


def plot(result: Mapping[str, Any], path: Path) -> None:
    """Write the picture to `path` (.png or .svg); SVG is written without a date, so that it does not change."""
    matplotlib.rcParams["svg.hashsalt"] = "failures"
    sequences = result["by_sequence"]
    size = (WIDTH_PX / DPI, (HEIGHT_PX + SEQUENCE_PX * max(4, len(sequences))) / DPI)
    with plt.rc_context({"font.size": 8, "axes.titlesize": 9, "legend.fontsize": 7}):
        figure, panels = plt.subplots(2, 3, figsize=size, layout="constrained")
        (height, visibility, age), (sequence, false, switches) = panels
        draw_height(height, result["recall_by_height_in_input_px"])
        draw_visibility(visibility, result["recall_by_visibility"], result["recall_by_edge"]["cut"])
        draw_age(age, result["by_frames_since_keyframe"])
        draw_sequences(sequence, sequences)
        draw_false(false, sequences)
        draw_switches(switches, result["switches_by_frames_unseen"])
        figure.suptitle(title(result), fontsize=10)
        figure.savefig(path, dpi=DPI, metadata={"Date": None} if path.suffix == ".svg" else None)
        plt.close(figure)


def title(result: Mapping[str, Any]) -> str:
    """What was run on what, in one line."""
    period = "" if result["k"] is None else f" K={result['k']}"
    names = [row["sequence"] for row in result["by_sequence"]]
    half = {"all": "all of", "first": "first half of", "second": "second half of"}[result["half"]]
    shown = ", ".join(names) if len(names) <= 3 else f"{len(names)} sequences"
    frames = result["pooled"]["frames"]
    return f"Where {NAMES[result['mode']]}{period} fails at {result['input']}: {half} {shown}, {frames:,} frames"


def draw_height(panel: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    """Recall by height; people of a picture that is scaled down to the input are as much smaller there."""
    _bars(panel, rows, ALL)
    _mark_edges(panel, [f"{row['from']:g}" for row in rows])
    panel.set(xlabel="height of the person, input pixels", ylabel="recall, %")


def draw_visibility(panel: Axes, rows: Sequence[Mapping[str, Any]], cut: Mapping[str, Any]) -> None:
    """Recall by what others leave visible, and of those whom the picture's edge cuts."""
    _bars(panel, [*rows, cut], ALL)
    _mark_edges(panel, [*(f"{100 * row['from']:.0f}" for row in rows), "100"])
    panel.axvline(len(rows) - 0.5, color="0.4", lw=0.8)
    panel.text(len(rows), 97, "cut by\nedge", ha="center", va="top", size=7)
    panel.set(xlabel="visible part of the person, %", ylabel="recall, %")


def draw_age(panel: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    """Recall, and precision as dots, by the distance to the keyframe."""
    _bars(panel, rows, [KEYFRAME if row["since_keyframe"] == 0 else BETWEEN for row in rows], "white")
    panel.plot([_percent(row["precision"]) for row in rows], "kD", ms=4, label="precision")
    panel.set_xticks(range(len(rows)), [_age(row["since_keyframe"]) for row in rows])
    panel.set(xlabel="frames since the keyframe", ylabel="recall, %")
    panel.legend(**ABOVE)


def draw_sequences(panel: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    """Recall, and precision as dots, of each sequence."""
    names = [row["sequence"] for row in rows]
    panel.barh(names, [_percent(row["recall"]) for row in rows], color=ALL)
    panel.plot([_percent(row["precision"]) for row in rows], names, "kD", ms=4, label="precision")
    panel.invert_yaxis()
    panel.set(xlabel="recall, %", xlim=(0, 104))
    panel.legend(**ABOVE)
    panel.grid(axis="x", alpha=0.3)


def draw_false(panel: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    """False boxes of each kind per hundred people, by sequence."""
    names = [row["sequence"] for row in rows]
    left = np.zeros(len(rows))
    for kind, (label, colour) in KINDS.items():
        widths = np.array([100 * row["false"][kind] / max(row["people"], 1) for row in rows])
        panel.barh(names, widths, left=left, color=colour, label=label)
        left += widths
    panel.invert_yaxis()
    panel.set_yticks(range(len(names)), [""] * len(names))
    panel.set(xlabel="false boxes per 100 people")
    panel.legend(**ABOVE)
    panel.grid(axis="x", alpha=0.3)


def draw_switches(panel: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    """Switches by the frames unseen before, at keyframes and between."""
    names = ["in view", *map(_bin, rows[1:])]
    keyframes, between = [row["at_keyframe"] for row in rows], [row["between"] for row in rows]
    panel.bar(names, keyframes, color=KEYFRAME, label="at a keyframe")
    panel.bar(names, between, bottom=keyframes, color=BETWEEN, label="at another frame")
    panel.set(xlabel="frames unseen before the id changed", ylabel="identity switches")
    panel.legend(**ABOVE)
    panel.grid(axis="y", alpha=0.3)


def _bars(panel: Axes, rows: Sequence[Mapping[str, Any]], colour: str | Sequence[str], ink: str = "black") -> None:
    """Recall of each row, with its number of people at the foot of the bar."""
    values = [_percent(row["recall"]) for row in rows]
    panel.bar(range(len(rows)), values, color=colour)
    for place, (row, value) in enumerate(zip(rows, values, strict=True)):
        inside = ink if value > 10 else "black"
        panel.text(place, 2, _short(row["people"]), ha="center", size=6.5, color=inside)
    panel.set_ylim(0, 102)
    panel.set_yticks(range(0, 101, 20))
    panel.grid(axis="y", alpha=0.3)


def _mark_edges(panel: Axes, edges: Sequence[str]) -> None:
    """Ticks between the bars, the first one left of them all."""
    panel.set_xticks([place - 0.5 for place in range(len(edges))], edges)


def _percent(ratio: float | None) -> float:
    return 0.0 if ratio is None else 100 * ratio


def _bin(row: Mapping[str, Any]) -> str:
    """1-5, and 31+ for the last."""
    return f"{row['from']}+" if row["below"] is None else f"{row['from']}-{row['below'] - 1}"


def _age(since_keyframe: int) -> str:
    return "none" if since_keyframe < 0 else str(since_keyframe)


def _short(number: int) -> str:
    """917, 1.4k, 23k."""
    return str(number) if number < 1000 else f"{number / 1000:.1f}k" if number < 9950 else f"{number / 1000:.0f}k"
