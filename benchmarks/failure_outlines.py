"""The frames in which most went wrong as bare outlines on one sheet: no pixel of the data is in it."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path as Outline

from benchmarks.failure_frames import JudgedFrame, JudgedSequence, Verdict
from benchmarks.failure_pictures import FALSE, FOUND, MISSED, Colour, describe
from edge.arrays import F32

COLUMNS, WIDTH_PX, DPI = 3, 900, 100
TITLE_PX, LEGEND_PX = 36, 40
GROUND = "#F2F2F2"


def plot_outlines(chosen: Sequence[tuple[JudgedSequence, JudgedFrame]], path: Path) -> None:
    """Write the sheet to `path` (.png or .svg), COLUMNS frames a row, each at its picture's proportions."""
    matplotlib.rcParams["svg.hashsalt"] = "failures"
    rows = max(1, -(-len(chosen) // COLUMNS))
    tallest = max((sequence.size[1] / sequence.size[0] for sequence, _ in chosen), default=0.75)
    height = LEGEND_PX + rows * (TITLE_PX + tallest * WIDTH_PX / COLUMNS)
    figure, panels = plt.subplots(
        rows, COLUMNS, figsize=(WIDTH_PX / DPI, height / DPI), layout="constrained", squeeze=False
    )
    for panel in panels.flat[len(chosen) :]:
        panel.axis("off")
    for panel, (sequence, frame) in zip(panels.flat, chosen, strict=False):
        _draw(panel, sequence, frame)
    handles = [
        Patch(fill=False, edgecolor=_rgb(FOUND), label="found"),
        Patch(facecolor=_tinted(MISSED), edgecolor=_rgb(MISSED), label="missed"),
        Patch(fill=False, edgecolor=_rgb(FALSE), hatch="x", label="false"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=8)
    figure.savefig(path, dpi=DPI, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)


def _draw(panel: Axes, sequence: JudgedSequence, frame: JudgedFrame) -> None:
    width, height = sequence.size
    right = frame.results.xyxy[frame.verdicts == Verdict.RIGHT]
    missed = frame.people.xyxy[~frame.found]
    false = frame.results.xyxy[frame.verdicts != Verdict.RIGHT]
    for boxes, colour, fill, lines, crossed in (
        (missed, MISSED, True, 0.8, False),
        (right, FOUND, False, 0.9, False),
        (false, FALSE, False, 0.9, True),
    ):
        face = _tinted(colour) if fill else "none"
        panel.add_patch(PathPatch(_outline(boxes, crossed), facecolor=face, edgecolor=_rgb(colour), linewidth=lines))
    panel.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[], facecolor=GROUND, aspect="equal", anchor="N")
    counts = f"{len(right)} found, {len(missed)} missed, {len(false)} false"
    panel.set_title(f"{sequence.name}, {describe(frame)}\n{counts}", fontsize=7.5)


def _outline(boxes: F32, crossed: bool) -> Outline:
    """All boxes as one path, which keeps SVG small; crossed: with their diagonals."""
    move, line, close = int(Outline.MOVETO), int(Outline.LINETO), int(Outline.CLOSEPOLY)
    points: list[tuple[float, float]] = []
    codes: list[int] = []
    for left, top, right, bottom in boxes.round(1).tolist():
        points += [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
        codes += [move, line, line, line, close]
        if crossed:
            points += [(left, top), (right, bottom), (left, bottom), (right, top)]
            codes += [move, line, move, line]
    return Outline(points or [(0.0, 0.0)], codes or [move])


def _rgb(colour: Colour) -> tuple[float, float, float]:
    blue, green, red = colour
    return red / 255, green / 255, blue / 255


def _tinted(colour: Colour) -> tuple[float, float, float, float]:
    return (*_rgb(colour), 0.18)
