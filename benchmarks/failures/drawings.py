"""Judged frames drawn: people found green, missed red and tinted, false boxes orange and crossed.

On their pictures, which then show whoever was filmed and fall under the licence of the data; or as bare outlines on one
sheet, in which no pixel of the data is.
"""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path as Outline

from benchmarks.failures.judge import JudgedFrame, JudgedSequence, Verdict
from benchmarks.figures import panels, write
from edge.arrays import F32, U8

FOUND, MISSED, FALSE = "#009E73", "#D71E1E", "#E69F00"
GROUND = "#F2F2F2"
TINT = 0.3
COLUMNS, WIDTH_PX = 3, 900
TITLE_PX, LEGEND_PX = 36, 40


def write_outlines(chosen: Sequence[tuple[JudgedSequence, JudgedFrame]], path: Path) -> None:
    """The sheet, COLUMNS frames a row, each at its picture's proportions."""
    rows = max(1, -(-len(chosen) // COLUMNS))
    tallest = max((sequence.size[1] / sequence.size[0] for sequence, _ in chosen), default=0.75)
    figure, grid = panels(WIDTH_PX, LEGEND_PX + rows * (TITLE_PX + tallest * WIDTH_PX / COLUMNS), rows, COLUMNS)
    for panel in grid.flat[len(chosen) :]:
        panel.axis("off")
    for panel, (sequence, frame) in zip(grid.flat, chosen, strict=False):
        _draw(panel, sequence, frame, 0.9)
    _add_legend(figure)
    write(figure, path)


def write_picture(image: U8, sequence: JudgedSequence, frame: JudgedFrame, path: Path) -> None:
    """A frame on its picture (H, W, 3) BGR, which stays as it is."""
    height, width = image.shape[:2]
    figure, [[panel]] = panels(width, height + TITLE_PX + LEGEND_PX)
    panel.imshow(image[:, :, ::-1])
    _draw(panel, sequence, frame, 2.0)
    _add_legend(figure)
    write(figure, path)


def _draw(panel: Axes, sequence: JudgedSequence, frame: JudgedFrame, pen: float) -> None:
    width, height = sequence.size
    right = frame.results.xyxy[frame.verdicts == Verdict.RIGHT]
    missed = frame.people.xyxy[~frame.found]
    false = frame.results.xyxy[frame.verdicts != Verdict.RIGHT]
    panel.add_patch(PathPatch(_outline(missed), facecolor=(MISSED, TINT), edgecolor=MISSED, linewidth=pen))
    panel.add_patch(PathPatch(_outline(right), fill=False, edgecolor=FOUND, linewidth=pen))
    panel.add_patch(PathPatch(_outline(false, crossed=True), fill=False, edgecolor=FALSE, linewidth=pen))
    panel.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[], facecolor=GROUND, aspect="equal", anchor="N")
    since = {-1: "student", 0: "keyframe"}.get(frame.since_keyframe, f"keyframe + {frame.since_keyframe}")
    counts = f"{len(right)} found, {len(missed)} missed, {len(false)} false"
    panel.set_title(f"{sequence.name}, frame {frame.number} ({since})\n{counts}", fontsize=7.5)


def _add_legend(figure: Figure) -> None:
    handles = [
        Patch(fill=False, edgecolor=FOUND, label="found"),
        Patch(facecolor=(MISSED, TINT), edgecolor=MISSED, label="missed"),
        Patch(fill=False, edgecolor=FALSE, hatch="x", label="false"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=8)


def _outline(boxes: F32, crossed: bool = False) -> Outline:
    """All boxes as one path; crossed: with their diagonals."""
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
