"""A detector as a teacher: letterboxed pictures in, heatmap, points, boxes, scores and embeddings out.

A detector that takes one picture at a time, or whose answers have no axis of pictures, runs in a Scan over the batch.
"""

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import ModelProto, helper

from engines.signature import BOXES, CLASSES, EMBEDDINGS, HEATMAP, IMAGE, POINTS, SCORES, Signature
from export.adopt.appearance import Appearance, look
from export.adopt.classes import Chosen
from export.adopt.detector import DetectorNetwork, Pixels
from export.adopt.heatmap import draw
from export.adopt.layout import Layout
from export.adopt.nodes import Nodes, model_of, tensor
from export.adopt.objects import ObjectTensors, find


@dataclass(frozen=True, slots=True)
class Adoption:
    """All that was decided of a detector."""

    network: DetectorNetwork
    layout: Layout
    pixels: Pixels
    chosen: Chosen
    """Whose boxes count."""
    suppress_iou: float
    batched: bool
    """Whether it takes several pictures at once."""
    signature: Signature
    appearance: Appearance | None = None
    """None: the teacher's embeddings are zeros."""


def make_teacher(adopted: Adoption) -> ModelProto:
    """The model file's content, with metadata from the signature."""
    nodes, signature = Nodes("teacher"), adopted.signature
    planes = nodes.float(IMAGE)
    found = _found(nodes, adopted, planes) if adopted.batched else _found_in_turn(nodes, adopted, planes)
    boxes, scores = found.boxes, found.scores
    heatmap, points = draw(nodes, boxes, scores, signature.cells)
    if adopted.appearance is None:
        unknown = np.zeros((1, 1, signature.embedding_dim), np.float32)
        embeddings = nodes("Mul", nodes("Unsqueeze", scores, [2]), unknown)
    else:
        embeddings = look(nodes, adopted.appearance, planes, boxes, scores)
    made = {HEATMAP: heatmap, POINTS: points, BOXES: boxes, SCORES: scores, EMBEDDINGS: embeddings}
    if found.classes:
        made[CLASSES] = found.classes
    for name, value in made.items():
        nodes.rename(value, name)
    graph = nodes.graph(
        [tensor(name, dtype, ("batch", *shape[1:])) for name, (shape, dtype) in signature.input_arrays(1).items()],
        [tensor(name, dtype, ("batch", *shape[1:])) for name, (shape, dtype) in signature.output_arrays(1).items()],
    )
    opsets = [*adopted.network.model.opset_import]
    if adopted.appearance is not None:
        opsets += adopted.appearance.network.model.opset_import
    model = model_of(graph, opsets)
    helper.set_model_props(model, signature.to_metadata())
    onnx.checker.check_model(model)
    return model


def _found(nodes: Nodes, adopted: Adoption, planes: str) -> ObjectTensors:
    """What is seen in RGB planes (B, 3, H, W) float32."""
    signature = adopted.signature
    size = signature.width, signature.height
    prefix = "detector."
    picture = adopted.network.prepare(nodes, planes, size, adopted.pixels)
    adopted.network.insert(nodes, prefix, picture)
    return find(
        nodes, adopted.layout, adopted.network, prefix, adopted.chosen, size, signature.peaks, adopted.suppress_iou
    )


def _found_in_turn(nodes: Nodes, adopted: Adoption, planes: str) -> ObjectTensors:
    """As `_found`, one picture after the other."""
    signature, body = adopted.signature, Nodes("one")
    found = _found(body, adopted, body("Unsqueeze", "planes", [0]))
    rows = [
        (found.boxes, tensor("one.boxes", np.float32, (signature.peaks, 4))),
        (found.scores, tensor("one.scores", np.float32, (signature.peaks,))),
        (found.classes, tensor("one.classes", np.int32, (signature.peaks,))),
    ][: 3 if found.classes else 2]
    for value, one in rows:
        body.rename(body("Squeeze", value, [0]), one.name)
    picture = tensor("planes", np.float32, (3, signature.height, signature.width))
    graph = body.graph([picture], [one for _, one in rows])
    return ObjectTensors(*nodes.several("Scan", len(rows), planes, body=graph, num_scan_inputs=1))
