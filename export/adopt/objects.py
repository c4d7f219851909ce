"""From a detector's outputs to the N surest boxes of each picture, as nodes of the graph."""

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from export.adopt.classes import Chosen
from export.adopt.detector import DetectorNetwork
from export.adopt.heatmap import LEAST_SCORE
from export.adopt.layout import Layout, Part, grid
from export.adopt.nodes import Nodes


@dataclass(frozen=True, slots=True)
class ObjectTensors:
    """Names of tensors."""

    boxes: str  # (B, N, 4) xyxy, input pixels
    scores: str  # (B, N), descending; rows of score 0 are nobody's
    classes: str = ""  # (B, N) int32, places in the names that were chosen; "" where there is but one


def find(
    nodes: Nodes,
    layout: Layout,
    network: DetectorNetwork,
    outputs: str,
    chosen: Chosen,
    size: tuple[int, int],
    peaks: int,
    suppress_iou: float,
) -> ObjectTensors:
    """The surest objects, as many as `peaks`.

    outputs: what the names of the detector's outputs begin with; chosen: whose boxes count; size: width and height of
    the input; suppress_iou: of a class's boxes that overlap by more, one remains where the detector leaves several; 1:
    all.
    """
    reader = _PartReader(nodes, layout, outputs)
    boxes = _corners(nodes, layout, network, reader(layout.boxes), size)
    scores, classes = _score(nodes, layout, reader, chosen)
    if not layout.suppresses and suppress_iou < 1:
        scores = _suppressed(nodes, boxes, scores, classes, len(chosen), peaks, suppress_iou)
    return _surest(nodes, ObjectTensors(boxes, scores, classes), peaks)


class _PartReader:
    """Parts of the outputs as (B, M, columns) float32."""

    def __init__(self, nodes: Nodes, layout: Layout, prefix: str) -> None:
        self._nodes, self._layout, self._prefix = nodes, layout, prefix
        self._tables: dict[str, str] = {}

    def __call__(self, part: Part) -> str:
        table = self._tables.get(part.output)
        if table is None:
            table = self._tables[part.output] = self._table(part.output)
        if part.first == 0 and part.end is None:
            return table
        return self._nodes("Slice", table, [part.first], [part.end or np.iinfo(np.int64).max], [2])

    def _table(self, output: str) -> str:
        nodes, value = self._nodes, self._nodes.float(self._prefix + output)
        match self._layout.axes:
            case "columns first":
                return nodes("Transpose", value, perm=[0, 2, 1])
            case "SSD":
                return nodes("Reshape", value, [1, -1, 7])
            case "no batch":
                value = nodes("Unsqueeze", value, [0])
        return nodes("Unsqueeze", value, [2]) if output in self._layout.flat else value


def _corners(nodes: Nodes, layout: Layout, network: DetectorNetwork, boxes: str, size: tuple[int, int]) -> str:
    """(B, M, 4) xyxy in input pixels."""
    if layout.form == "corners, y first":
        boxes = nodes("Gather", boxes, [1, 0, 3, 2], axis=2)
    if layout.form == "centre and sides":
        centre, sides = nodes.several("Split", 2, boxes, axis=2, num_outputs=2)
        if layout.unit == "cells":
            corner, stride = grid(network, layout.strides)
            centre, sides = (
                nodes("Mul", nodes("Add", centre, corner), stride),
                nodes("Mul", nodes("Exp", sides), stride),
            )
        half = nodes("Mul", sides, 0.5)
        boxes = nodes("Concat", nodes("Sub", centre, half), nodes("Add", centre, half), axis=2)
    x, y = size if layout.unit == "shares" else (size[0] / network.width, size[1] / network.height)
    return boxes if (x, y) == (1, 1) else nodes("Mul", boxes, np.array([x, y, x, y], np.float32))


def _score(nodes: Nodes, layout: Layout, reader: _PartReader, chosen: Chosen) -> tuple[str, str]:
    """(B, M) the best score of the classes that count, and (B, M) which that is, a place in the names that were chosen;
    "" where there is but one name.
    """
    scores, numbers = reader(layout.scores), np.array(chosen.numbers, np.int64)
    if layout.likelihood == "sigmoid":
        scores = nodes("Sigmoid", scores)
    if layout.likelihood == "softmax":
        scores = nodes("Softmax", scores, axis=2)
    if layout.label is None:
        scores = fits = scores if layout.classes == 1 else nodes("Gather", scores, numbers, axis=2)
    else:
        fits = nodes.float(nodes("Equal", nodes.cast(nodes("Round", reader(layout.label)), 7), numbers))
        scores = nodes("Mul", scores, nodes("ReduceMax", fits, [2], keepdims=1))
    if layout.objectness is not None:
        sure = reader(layout.objectness)
        scores = nodes("Mul", scores, nodes("Sigmoid", sure) if layout.likelihood == "sigmoid" else sure)
    if layout.picture is not None:
        scores = nodes("Mul", scores, nodes.float(nodes("GreaterOrEqual", reader(layout.picture), 0.0)))
    best = nodes("ReduceMax", scores, [2], keepdims=0)
    if len(chosen) == 1:
        return best, ""
    which = nodes("ArgMax", fits, axis=2, keepdims=0)
    return best, nodes("Gather", np.array(chosen.places, np.int64), which)


def _suppressed(nodes: Nodes, boxes: str, scores: str, classes: str, count: int, peaks: int, iou: float) -> str:
    """(B, M) the scores, 0 for those whose box overlaps a surer one of its class, of `count`, by more than `iou`."""
    by_class = nodes("Unsqueeze", scores, [1])  # (B, count, M)
    if classes:
        every = np.arange(count).reshape(1, count, 1)
        by_class = nodes("Mul", by_class, nodes.float(nodes("Equal", nodes("Unsqueeze", classes, [1]), every)))
    chosen = nodes("NonMaxSuppression", boxes, by_class, [peaks], iou, LEAST_SCORE)  # (K, 3)
    places = nodes("Gather", chosen, [0, 2], axis=1)
    ones = nodes("Expand", 1.0, nodes("Shape", chosen, end=1))
    nobody = nodes("Mul", scores, 0.0)
    return nodes("Mul", scores, nodes("ScatterND", nobody, places, ones))


def _surest(nodes: Nodes, found: ObjectTensors, peaks: int) -> ObjectTensors:
    """The `peaks` best rows, filled up with empty ones."""
    scores, rows = nodes.several("TopK", 2, nodes("Pad", found.scores, [0, 0, 0, peaks]), [peaks], axis=1)
    boxes = nodes("Pad", found.boxes, [0, 0, 0, 0, peaks, 0])
    every = nodes("Tile", nodes("Unsqueeze", rows, [2]), [1, 1, 4])
    boxes = nodes("GatherElements", boxes, every, axis=1)
    if not found.classes:
        return ObjectTensors(boxes, scores)
    classes = nodes("GatherElements", nodes("Pad", found.classes, [0, 0, 0, peaks]), rows, axis=1)
    return ObjectTensors(boxes, scores, nodes.cast(classes, TensorProto.INT32))
