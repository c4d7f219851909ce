"""The picture of benchmarks.failures: six panels, drawn from its result."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import pyplot

from benchmarks.arms import NAMES
from benchmarks.figures import panels, write

WIDTH_PX, HEIGHT_PX, SEQUENCE_PX = 900, 430, 18
"""The figure without its sequences, and what each of them adds to its height."""
ALL, KEYFRAME, BETWEEN = "#56B4E9", "#0072B2", "#D55E00"
KINDS = {
    "duplicate": ("second box of someone", "#CC79A7"),
    "partly": ("partly on a person", "#E69F00"),
    "unscored": ("person not counted", "#BBBBBB"),
    "nothing": ("on nothing", "#333333"),
}
PLACE = {"loc": "lower center", "bbox_to_anchor": (0.5, 0.98), "ncols": 2, "frameon": False}
ABOVE = PLACE | {"handlelength": 1.0, "columnspacing": 1.2}
"""A legend above its panel, where it covers nothing."""


def plot(result: Mapping[str, Any], path: Path) -> None:
    """Write the picture as PNG."""
    sequences = result["by_sequence"]
    with pyplot.rc_context({"font.size": 8, "axes.titlesize": 9, "legend.fontsize": 7}):
        figure, grid = panels(WIDTH_PX, HEIGHT_PX + SEQUENCE_PX * max(4, len(sequences)), 2, 3)
        (height, visibility, age), (sequence, false, switches) = grid
        _draw_height(height, result["recall_by_height_in_input_px"])
        _draw_visibility(visibility, result["recall_by_visibility"], result["recall_by_edge"]["cut"])
        _draw_age(age, result["by_frames_since_keyframe"])
        _draw_sequences(sequence, sequences)
        _draw_false(false, sequences)
        _draw_switches(switches, result["switches_by_frames_unseen"])
        figure.suptitle(_title(result), fontsize=10)
        write(figure, path)


def _title(result: Mapping[str, Any]) -> str:
    period = "" if result["k"] is None else f" K={result['k']}"
    names = [row["sequence"] for row in result["by_sequence"]]
    half = {"all": "all of", "first": "first half of", "second": "second half of"}[result["half"]]
    shown = ", ".join(names) if len(names) <= 3 else f"{len(names)} sequences"
    frames = result["pooled"]["frames"]
    return f"Where {NAMES[result['mode']]}{period} fails at {result['input']}: {half} {shown}, {frames:,} frames"


def _draw_height(panel: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """Recall by height; people of a picture that is scaled down to the input are as much smaller there."""
    _bars(panel, rows, ALL)
    _mark_edges(panel, [f"{row['from']:g}" for row in rows])
    panel.set(xlabel="height of the person, input pixels", ylabel="recall, %")


def _draw_visibility(panel: Any, rows: Sequence[Mapping[str, Any]], cut: Mapping[str, Any]) -> None:
    """Recall by what others leave visible, and of those whom the picture's edge cuts."""
    _bars(panel, [*rows, cut], ALL)
    _mark_edges(panel, [*(f"{100 * row['from']:.0f}" for row in rows), "100"])
    panel.axvline(len(rows) - 0.5, color="0.4", lw=0.8)
    panel.text(len(rows), 97, "cut by\nedge", ha="center", va="top", size=7)
    panel.set(xlabel="visible part of the person, %", ylabel="recall, %")


def _draw_age(panel: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """Recall, and precision as dots, by the distance to the keyframe."""
    _bars(panel, rows, [KEYFRAME if row["since_keyframe"] == 0 else BETWEEN for row in rows], "white")
    panel.plot([_percent(row["precision"]) for row in rows], "kD", ms=4, label="precision")
    ages = ["none" if row["since_keyframe"] < 0 else str(row["since_keyframe"]) for row in rows]
    panel.set_xticks(range(len(rows)), ages)
    panel.set(xlabel="frames since the keyframe", ylabel="recall, %")
    panel.legend(**ABOVE)


def _draw_sequences(panel: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """Recall, and precision as dots, of each sequence."""
    names = [row["sequence"] for row in rows]
    panel.barh(names, [_percent(row["recall"]) for row in rows], color=ALL)
    panel.plot([_percent(row["precision"]) for row in rows], names, "kD", ms=4, label="precision")
    panel.invert_yaxis()
    panel.set(xlabel="recall, %", xlim=(0, 104))
    panel.legend(**ABOVE)
    panel.grid(axis="x", alpha=0.3)


def _draw_false(panel: Any, rows: Sequence[Mapping[str, Any]]) -> None:
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


def _draw_switches(panel: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """Switches by the frames unseen before, at keyframes and between."""
    bins = [f"{row['from']}+" if row["below"] is None else f"{row['from']}-{row['below'] - 1}" for row in rows[1:]]
    keyframes, between = [row["at_keyframe"] for row in rows], [row["between"] for row in rows]
    panel.bar(["in view", *bins], keyframes, color=KEYFRAME, label="at a keyframe")
    panel.bar(["in view", *bins], between, bottom=keyframes, color=BETWEEN, label="at another frame")
    panel.set(xlabel="frames unseen before the id changed", ylabel="identity switches")
    panel.legend(**ABOVE)
    panel.grid(axis="y", alpha=0.3)


def _bars(panel: Any, rows: Sequence[Mapping[str, Any]], colour: str | Sequence[str], ink: str = "black") -> None:
    """Recall of each row, with its number of people (917, 1.4k, 23k) at the foot of the bar."""
    values = [_percent(row["recall"]) for row in rows]
    panel.bar(range(len(rows)), values, color=colour)
    for place, (row, value) in enumerate(zip(rows, values, strict=True)):
        n = row["people"]
        short = str(n) if n < 1000 else f"{n / 1000:.1f}k" if n < 9950 else f"{n / 1000:.0f}k"
        panel.text(place, 2, short, ha="center", size=6.5, color=ink if value > 10 else "black")
    panel.set_ylim(0, 102)
    panel.set_yticks(range(0, 101, 20))
    panel.grid(axis="y", alpha=0.3)


def _mark_edges(panel: Any, edges: Sequence[str]) -> None:
    """Ticks between the bars, the first one left of them all."""
    panel.set_xticks([place - 0.5 for place in range(len(edges))], edges)


def _percent(ratio: float | None) -> float:
    return 0.0 if ratio is None else 100 * ratio
