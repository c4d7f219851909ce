"""A detector as a teacher: letterboxed pictures in, heatmap, points, boxes, scores and embeddings out.

A detector that takes one picture at a time, or whose answers have no axis of pictures, runs in a Scan over the batch.
"""

import logging
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import ModelProto, helper

from engines.signature import BOXES, EMBEDDINGS, HEATMAP, IMAGE, POINTS, SCORES, Signature
from export.adopt.detector import Network, Pixels
from export.adopt.heatmap import draw
from export.adopt.layout import Layout
from export.adopt.nodes import Nodes, model_of, tensor
from export.adopt.objects import find

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Adoption:
    """All that was decided of a detector."""

    network: Network
    layout: Layout
    pixels: Pixels
    classes: list[int]
    """Whose boxes count."""
    suppress_iou: float
    batched: bool
    """Whether it takes several pictures at once."""
    signature: Signature


def make_teacher(adopted: Adoption) -> ModelProto:
    """The model file's content, with metadata from the signature."""
    nodes, signature = Nodes("teacher"), adopted.signature
    planes = nodes.float(IMAGE)
    boxes, scores = _found(nodes, adopted, planes) if adopted.batched else _found_in_turn(nodes, adopted, planes)
    heatmap, points = draw(nodes, boxes, scores, signature.cells)
    unknown = np.zeros((1, 1, signature.embedding_dim), np.float32)
    embeddings = nodes("Mul", nodes("Unsqueeze", scores, [2]), unknown)
    made = {HEATMAP: heatmap, POINTS: points, BOXES: boxes, SCORES: scores, EMBEDDINGS: embeddings}
    for name, value in made.items():
        nodes.rename(value, name)
    graph = nodes.graph(
        [tensor(name, dtype, ("batch", *shape[1:])) for name, (shape, dtype) in signature.input_arrays(1).items()],
        [tensor(name, dtype, ("batch", *shape[1:])) for name, (shape, dtype) in signature.output_arrays(1).items()],
    )
    model = model_of(graph, adopted.network.model.opset_import)
    helper.set_model_props(model, signature.to_metadata())
    onnx.checker.check_model(model)
    return model


def _found(nodes: Nodes, adopted: Adoption, planes: str) -> tuple[str, str]:
    """Boxes (B, N, 4) and scores (B, N) of RGB planes (B, 3, H, W) float32."""
    signature = adopted.signature
    size = signature.width, signature.height
    prefix = "detector."
    picture = adopted.network.prepare(nodes, planes, size, adopted.pixels)
    adopted.network.insert(nodes, prefix, picture)
    return find(
        nodes, adopted.layout, adopted.network, prefix, adopted.classes, size, signature.peaks, adopted.suppress_iou
    )


def _found_in_turn(nodes: Nodes, adopted: Adoption, planes: str) -> tuple[str, str]:
    """As `_found`, one picture after the other."""
    signature, body = adopted.signature, Nodes("one")
    boxes, scores = _found(body, adopted, body("Unsqueeze", "planes", [0]))
    body.rename(body("Squeeze", boxes, [0]), "one.boxes")
    body.rename(body("Squeeze", scores, [0]), "one.scores")
    graph = body.graph(
        [tensor("planes", np.float32, (3, signature.height, signature.width))],
        [
            tensor("one.boxes", np.float32, (signature.peaks, 4)),
            tensor("one.scores", np.float32, (signature.peaks,)),
        ],
    )
    found = nodes.several("Scan", 2, planes, body=graph, num_scan_inputs=1)
    return found[0], found[1]
