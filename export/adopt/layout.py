"""How a detector says what it sees: recognised by the shapes of its outputs, confirmed by their values on a picture.

| layout | outputs (M rows, C classes) |
|---|---|
| YOLOv5 | (1, M, 5+C): centre, sides, objectness, classes; three rows a cell of strides 8 to 32 (or 64) |
| YOLOX | (1, M, 5+C), one row a cell; boxes as they are, or offsets in the grid |
| YOLOv8 | (1, 4+C, M): centre, sides, classes; without suppression, as the two above |
| rows of six | (1, M, 6): corners, score, class; YOLOv10 and later |
| rows of classes | (1, M, 4+C): centre, sides, classes; RT-DETR as Ultralytics exports it |
| DETR | boxes (1, M, 4) and a likelihood of each class (1, M, C): `dets`/`labels`, `pred_boxes`/`pred_logits` |
| boxes, labels, scores | (1, M, 4), (1, M), (1, M), with or without the first axis or labels: D-FINE, torchvision |
| SSD | (1, 1, M, 7) or (M, 7): picture, class, score, corners |
| YOLOv7 | (M, 7): picture, corners, class, score, where the export suppresses |
| OpenVINO | (M, 5): corners, score; and labels (M,), where there are several classes; MMDetection's, too |
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from export.adopt.detector import (
    BGR_AS_THEY_ARE,
    RGB_AS_IMAGENET,
    RGB_AS_THEY_ARE,
    RGB_TO_ONE,
    Array,
    DetectorNetwork,
    Pixels,
)
from export.adopt.errors import AdoptError

Form = Literal["centre and sides", "corners", "corners, y first"]
Unit = Literal["pixels", "shares", "cells"]
Likelihood = Literal["as they are", "sigmoid", "softmax"]
Axes = Literal["rows", "columns first", "no batch", "SSD"]

STRIDES = ((8, 16, 32), (8, 16, 32, 64), (4, 8, 16, 32))
FEW = 1000
"""A detector that suppresses answers with no more rows."""


@dataclass(frozen=True, slots=True)
class Part:
    """Columns of an output, seen as (B, M, columns)."""

    output: str
    first: int = 0
    end: int | None = None
    """None: to the last."""

    def of(self, table: Array) -> Array:
        """These columns of the output's table (M, columns)."""
        return table[:, self.first : self.end]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where boxes and scores are in a detector's outputs, and what their numbers mean."""

    name: str
    boxes: Part
    scores: Part
    """Of each class, or of the one in `label`."""
    pixels: Pixels
    """What networks of this kind usually want."""
    objectness: Part | None = None
    """What the scores are multiplied by."""
    label: Part | None = None
    picture: Part | None = None
    """SSD's number of the picture; negative: the row is empty."""
    form: Form = "centre and sides"
    unit: Unit = "pixels"
    likelihood: Likelihood = "as they are"
    axes: Axes = "rows"
    suppresses: bool = False
    """Whether the detector keeps to one box an object by itself."""
    flat: tuple[str, ...] = ()
    """Outputs without an axis of columns."""
    strides: tuple[int, ...] = ()
    """Of the grid whose cells are the rows, one each."""
    classes: int = 1
    """How many there are; 0 where only labels say."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """Output -> how it was read, for people."""

    def table(self, output: Array) -> Array:
        """An output's array as (M, columns)."""
        if self.axes == "columns first":
            return np.swapaxes(output[0], 0, 1)
        if self.axes == "SSD":
            return output.reshape(-1, 7)
        rows = output if self.axes == "no batch" else output[0]
        return rows[:, None] if rows.ndim == 1 else rows


def recognise(network: DetectorNetwork, answer: Callable[[Pixels], Mapping[str, Array]]) -> Layout:
    """The layout of a detector, by what it answers to a picture.

    answer: outputs for pixels as a layout wants them; asked again where the layout wants others than were guessed.
    Raises AdoptError that names the output that did not fit.
    """
    raw = RGB_AS_THEY_ARE if network.element == 2 else None  # uint8: nothing to scale
    outputs = dict(answer(raw or RGB_TO_ONE))
    layout = _by_shape(network, outputs)
    layout = replace(layout, pixels=raw or layout.pixels)
    if layout.pixels != (raw or RGB_TO_ONE):
        outputs = dict(answer(layout.pixels))
    return _confirmed(layout, network, outputs)


def _by_shape(network: DetectorNetwork, outputs: Mapping[str, Array]) -> Layout:
    """The layout that has outputs of such shapes."""
    for attempt in (_triple, _pair, _fives, _single):
        layout = attempt(network, outputs)
        if layout is not None:
            return layout
    raise AdoptError(
        f"{network.path}: no known detector answers with {_shapes(outputs)}. Expected are boxes with scores in one "
        "output or beside each other, see docs/ADOPT.md; export the network with its decoding"
    )


def _triple(network: DetectorNetwork, outputs: Mapping[str, Array]) -> Layout | None:
    """Boxes and scores apart, and labels where there are several classes."""
    boxes = _only(outputs, lambda one: one.ndim in (2, 3) and one.shape[-1] == 4)
    if boxes is None:
        return None
    rows = outputs[boxes].shape[:-1]
    flat = [name for name, one in outputs.items() if one.shape == rows]
    labels = [name for name in flat if outputs[name].dtype.kind in "iu" or "class" in name or "label" in name]
    scores = [name for name in flat if name not in labels and outputs[name].dtype.kind == "f"]
    if len(labels) > 1 or len(scores) != 1:
        return None
    y_first = boxes.startswith("detection_boxes")  # TensorFlow's
    return Layout(
        "boxes, labels, scores" if labels else "boxes, scores",
        Part(boxes),
        Part(scores[0]),
        RGB_TO_ONE,
        label=Part(labels[0]) if labels else None,
        form="corners, y first" if y_first else "corners",
        axes="rows" if len(rows) == 2 else "no batch",
        suppresses=True,
        classes=0 if labels else 1,
    )


def _pair(network: DetectorNetwork, outputs: Mapping[str, Array]) -> Layout | None:
    """DETR's boxes, and a number for each class."""
    boxes = _only(outputs, lambda one: one.ndim == 3 and one.shape[2] == 4, prefer=("box", "dets"))
    if boxes is None:
        return None
    rows = outputs[boxes].shape[1]
    scores = _only(
        {name: one for name, one in outputs.items() if name != boxes},
        lambda one: one.ndim == 3 and one.shape[1] == rows and one.dtype.kind == "f",
        prefer=("logit", "label", "score", "class"),
    )
    if scores is None:
        return None
    return Layout(
        "DETR" if rows <= FEW else "boxes and scores",
        Part(boxes),
        Part(scores),
        RGB_AS_IMAGENET if rows <= FEW and outputs[scores].shape[2] != 80 else RGB_TO_ONE,  # 80: RT-DETR and its heirs
        suppresses=rows <= FEW,
        classes=outputs[scores].shape[2],
    )


def _fives(network: DetectorNetwork, outputs: Mapping[str, Array]) -> Layout | None:
    """OpenVINO's (M, 5), and MMDetection's (1, M, 5)."""
    boxes = _only(
        outputs, lambda one: one.shape[-1:] == (5,) and (one.ndim == 2 or (one.ndim == 3 and one.shape[1] <= FEW))
    )
    if boxes is None:
        return None
    batch = outputs[boxes].ndim == 3
    label = _only(outputs, lambda one: one.shape == outputs[boxes].shape[:-1])
    if batch and label is None:
        return None  # a YOLO of one class has five numbers a row, too
    return Layout(
        "MMDetection" if batch else "OpenVINO",
        Part(boxes, 0, 4),
        Part(boxes, 4, 5),
        RGB_AS_IMAGENET if batch else BGR_AS_THEY_ARE,
        label=Part(label) if label else None,
        form="corners",
        axes="rows" if batch else "no batch",
        suppresses=True,
        classes=0 if label else 1,
    )


def _single(network: DetectorNetwork, outputs: Mapping[str, Array]) -> Layout | None:
    """Everything in the rows of one output."""
    sevens = _only(
        outputs, lambda one: one.shape[-1:] == (7,) and (one.ndim == 2 or one.shape[:-2] == (1,) * (one.ndim - 2))
    )
    if sevens is not None and (outputs[sevens].ndim != 3 or outputs[sevens].shape[1] not in _rows(network)):
        ssd = Layout(
            "SSD",
            Part(sevens, 3, 7),
            Part(sevens, 2, 3),
            BGR_AS_THEY_ARE,
            label=Part(sevens, 1, 2),
            picture=Part(sevens, 0, 1),
            form="corners",
            unit="shares",
            axes="SSD",
            suppresses=True,
            classes=0,
        )
        thirds = outputs[sevens].reshape(-1, 7)[:, 2]
        if not len(thirds) or thirds.max() <= 2:
            return ssd
        # No score, so it is a corner in pixels.
        boxes, scores, label = Part(sevens, 1, 5), Part(sevens, 6, 7), Part(sevens, 5, 6)
        return replace(ssd, name="YOLOv7", boxes=boxes, scores=scores, pixels=RGB_TO_ONE, label=label, unit="pixels")
    name = _only(outputs, lambda one: one.ndim == 3 and one.shape[0] == 1 and min(one.shape[1:]) >= 5)
    if name is None:
        return None
    rows, columns = outputs[name].shape[1:]
    known = _rows(network)
    columns_first = columns in known or (rows not in known and rows < columns)
    if columns_first:
        rows, columns = columns, rows
    kind, strides = known.get(rows, ("", ()))
    if columns_first:
        return Layout("YOLOv8", Part(name, 0, 4), Part(name, 4), RGB_TO_ONE, axes="columns first", classes=columns - 4)
    if kind == "" and columns == 6:
        parts = Part(name, 0, 4), Part(name, 4, 5)
        label = Part(name, 5, 6)
        return Layout("rows of six", *parts, RGB_TO_ONE, label=label, form="corners", suppresses=True, classes=0)
    if kind == "" and columns > 5:
        with_objectness = len(network.names) == columns - 5
        if not with_objectness and rows <= FEW:
            classes = columns - 4
            return Layout(
                "rows of classes", Part(name, 0, 4), Part(name, 4), RGB_TO_ONE, suppresses=True, classes=classes
            )
    if columns < 6 or (kind == "" and rows <= FEW):
        return None
    return Layout(
        "YOLOX" if kind == "one a cell" else "YOLOv5",
        Part(name, 0, 4),
        Part(name, 5),
        BGR_AS_THEY_ARE if kind == "one a cell" else RGB_TO_ONE,
        objectness=Part(name, 4, 5),
        strides=strides if kind == "one a cell" else (),
        classes=columns - 5,
    )


def _rows(network: DetectorNetwork) -> dict[int, tuple[str, tuple[int, ...]]]:
    """Numbers of rows that grids over the picture have -> rows a cell, and the grids' strides."""
    found: dict[int, tuple[str, tuple[int, ...]]] = {}
    for strides in STRIDES:
        cells = sum(-(-network.width // stride) * -(-network.height // stride) for stride in strides)
        found |= {3 * cells: ("three a cell", strides), cells: ("one a cell", strides)}
    return found


def _confirmed(layout: Layout, network: DetectorNetwork, outputs: Mapping[str, Array]) -> Layout:
    """The layout with what only values tell; raises AdoptError where they are none that it can have."""
    boxes = layout.boxes.of(layout.table(outputs[layout.boxes.output])).astype(np.float64)
    scores = layout.scores.of(layout.table(outputs[layout.scores.output])).astype(np.float64)
    if layout.picture is not None:
        real = layout.picture.of(layout.table(outputs[layout.picture.output]))[:, 0] >= 0
        boxes, scores = boxes[real], scores[real]
    name = layout.boxes.output
    if not np.isfinite(boxes).all() or not np.isfinite(scores).all():
        raise AdoptError(
            f"{network.path}: output {name!r} has numbers that are none on the test picture; the network wants other "
            "pixels (--mean, --std), or is damaged"
        )
    layout = _with_likelihood(layout, network, outputs, scores)
    if layout.label is not None:
        boxes = boxes[scores[:, 0] > 0]  # the rest only fills the array
    layout = _with_boxes(layout, network, boxes)
    told = f"{layout.name}: boxes as {layout.form}, in {layout.unit}"
    ranges = {"as they are": "scores as they are", "sigmoid": "scores by sigmoid", "softmax": "scores by softmax"}
    notes = {name: told}
    score_note = ranges[layout.likelihood] + (f" of {layout.classes} classes" if layout.classes > 1 else "")
    notes[layout.scores.output] = f"{told}; {score_note}" if layout.scores.output == name else score_note
    if layout.label is not None and layout.label.output not in notes:
        notes[layout.label.output] = "the class of each box"
    notes |= {other: "not needed" for other in outputs if other not in notes}
    flat = [other for other, one in outputs.items() if one.ndim == (1 if layout.axes == "no batch" else 2)]
    return replace(layout, flat=tuple(flat) if layout.axes in ("rows", "no batch") else (), notes=notes)


def _with_likelihood(
    layout: Layout, network: DetectorNetwork, outputs: Mapping[str, Array], scores: npt.NDArray[np.float64]
) -> Layout:
    """Whether scores are likelihoods, or become such by sigmoid or softmax."""
    name = layout.scores.output
    parts = [scores]
    if layout.objectness is not None:
        parts.append(layout.objectness.of(layout.table(outputs[layout.objectness.output])))
    if all(not part.size or (part.min() >= -1e-3 and part.max() <= 1.001) for part in parts):
        return layout
    if layout.label is not None:
        raise AdoptError(
            f"{network.path}: output {name!r} should have scores of 0 to 1, it has {scores.min():.3g} to "
            f"{scores.max():.3g}; export the network with its decoding"
        )
    # DETR's last class is "nobody"; its softmax is sure of it nearly everywhere, a sigmoid of nothing.
    nobody = scores.shape[1] > 1 and np.mean((scores[:, -1] > 0) & (scores.argmax(1) == scores.shape[1] - 1)) > 0.5
    return replace(layout, likelihood="softmax" if nobody and layout.suppresses else "sigmoid")


def _with_boxes(layout: Layout, network: DetectorNetwork, boxes: npt.NDArray[np.float64]) -> Layout:
    """What the four numbers of a box are."""
    name = layout.boxes.output
    if not len(boxes):
        return layout
    if layout.strides:
        return _in_grid(layout, network, boxes)
    corners = bool((boxes[:, 2] >= boxes[:, 0]).all() and (boxes[:, 3] >= boxes[:, 1]).all())
    if layout.name in ("DETR", "boxes and scores", "rows of classes") and corners and len(boxes) > 1:
        layout = replace(layout, form="corners")
    if layout.form != "centre and sides" and not corners and layout.form != "corners, y first":
        bad = int(np.flatnonzero((boxes[:, 2] < boxes[:, 0]) | (boxes[:, 3] < boxes[:, 1]))[0])
        raise AdoptError(
            f"{network.path}: output {name!r} should have boxes as left, top, right, bottom; row {bad} is "
            f"{np.round(boxes[bad], 3).tolist()}. Export the network with its decoding"
        )
    if layout.form == "centre and sides" and (boxes[:, 2:] < -1e-3).any():
        bad = int(np.flatnonzero((boxes[:, 2:] < -1e-3).any(1))[0])
        raise AdoptError(
            f"{network.path}: output {name!r} should have boxes as centre, width, height; row {bad} is "
            f"{np.round(boxes[bad], 3).tolist()}, of negative size. Export the network with its decoding"
        )
    return replace(layout, unit="shares" if np.abs(boxes).max() <= 2 else "pixels")


def _in_grid(layout: Layout, network: DetectorNetwork, boxes: npt.NDArray[np.float64]) -> Layout:
    """YOLOX: centres that lie near their row's cell are decoded, small numbers are offsets from it."""
    corner, stride = grid(network, layout.strides)
    near = np.abs(boxes[:, :2] / stride - corner - 0.5).max(1) < 4
    offset = np.abs(boxes[:, :2]).max(1) < 4
    if near.mean() > max(0.5, offset.mean()):
        return replace(layout, unit="pixels")
    if offset.mean() > 0.5 and np.abs(boxes[:, 2:]).max() < 12:
        return replace(layout, unit="cells")
    raise AdoptError(
        f"{network.path}: output {layout.boxes.output!r} has a row for each cell of the strides {layout.strides}, "
        f"whose centre should lie there; {near.mean():.0%} do in pixels, {offset.mean():.0%} as offsets. Export the "
        "network with its decoding"
    )


def grid(network: DetectorNetwork, strides: tuple[int, ...]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """(M, 2) column and row of every cell, and (M, 1) its stride, level after level, row by row."""
    corners, of = [], []
    for stride in strides:
        columns, rows = -(-network.width // stride), -(-network.height // stride)
        y, x = np.divmod(np.arange(rows * columns), columns)
        corners.append(np.stack((x, y), 1).astype(np.float32))
        of.append(np.full((len(x), 1), stride, np.float32))
    return np.concatenate(corners), np.concatenate(of)


def _only(outputs: Mapping[str, Array], fits: Callable[[Array], Any], prefer: tuple[str, ...] = ()) -> str | None:
    """The name of the output that fits; of several the one whose name has a preferred word, else the first."""
    found = [name for name, one in outputs.items() if fits(one)]
    named = [name for name in found if any(word in name.lower() for word in prefer)]
    return next(iter(named or found), None)


def _shapes(outputs: Mapping[str, Array]) -> str:
    return ", ".join(f"{name!r} {one.dtype} {tuple(one.shape)}" for name, one in outputs.items())
