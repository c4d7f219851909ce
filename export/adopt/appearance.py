"""What people look like, by a network of its own on their crops, inside the teacher's graph.

Crops are cut from the letterboxed input; only of those who score high enough to matter, so that an empty street costs
next to nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edge.arrays import U8
from export.adopt.detector import Array, DetectorNetwork, Pixels
from export.adopt.errors import AdoptError
from export.adopt.heatmap import LEAST_SCORE
from export.adopt.nodes import Nodes, tensor

PREFIX = "appearance."


@dataclass(frozen=True, slots=True)
class Appearance:
    """A network from a person's crop to numbers that are alike for the same person."""

    network: DetectorNetwork
    output: str
    dim: int
    """How many numbers."""
    pixels: Pixels


def recognise_appearance(network: DetectorNetwork, pixels: Pixels) -> Appearance:
    """What the network says of a grey crop. Raises AdoptError, which names the output, where that is no embedding."""
    grey: U8 = np.full((1, 3, network.height, network.width), 128, np.uint8)
    outputs: Mapping[str, Array] = network.opened()(grey, pixels)
    fitting = {name: one for name, one in outputs.items() if one.size > 1 and one.size == max(one.shape)}
    if len(fitting) != 1:
        told = ", ".join(f"{name!r} {tuple(one.shape)}" for name, one in outputs.items())
        raise AdoptError(
            f"{network.path}: expected one output (1, D), the numbers that say what a person looks like; it has "
            f"{told}. Export it without its classifier"
        )
    ((output, numbers),) = fitting.items()
    return Appearance(network, output, numbers.size, pixels)


def look(nodes: Nodes, appearance: Appearance, planes: str, boxes: str, scores: str) -> str:
    """Embeddings (B, N, D) of unit length, zeros for who scores too low.

    planes (B, 3, H, W) RGB, 0 to 255; boxes (B, N, 4) xyxy in input pixels; scores (B, N), descending.
    """
    network = appearance.network
    # The first row is looked at even where it is nobody: runtimes dislike batches of none.
    first = nodes("Equal", nodes("CumSum", nodes("Add", nodes("Mul", scores, 0.0), 1.0), 1), 1.0)
    seen = nodes("Or", nodes("Greater", scores, LEAST_SCORE), first)
    places = nodes("Transpose", nodes("NonZero", seen), perm=[1, 0])  # (K, 2) picture and row
    crops = nodes(
        "RoiAlign",
        planes,
        nodes("GatherND", boxes, places),
        nodes("Squeeze", nodes("Slice", places, [0], [1], [1]), [1]),
        output_height=network.height,
        output_width=network.width,
        sampling_ratio=2,
        coordinate_transformation_mode="half_pixel",
    )
    numbers = _numbers(nodes, appearance, crops) if network.batched else _numbers_in_turn(nodes, appearance, crops)
    length = nodes("Sqrt", nodes("ReduceSum", nodes("Mul", numbers, numbers), [1], keepdims=1))
    unit = nodes("Div", numbers, nodes("Max", length, 1e-6))
    nothing = nodes("Mul", nodes("Unsqueeze", scores, [2]), np.zeros((1, 1, appearance.dim), np.float32))
    return nodes("ScatterND", nothing, places, unit)


def _numbers(nodes: Nodes, appearance: Appearance, crops: str) -> str:
    """(K, D) what the network says of crops (K, 3, h, w)."""
    network = appearance.network
    picture = network.prepare(nodes, crops, (network.width, network.height), appearance.pixels)
    network.insert(nodes, PREFIX, picture)
    return nodes("Reshape", nodes.float(PREFIX + appearance.output), [-1, appearance.dim])


def _numbers_in_turn(nodes: Nodes, appearance: Appearance, crops: str) -> str:
    """As `_numbers`, one crop after the other."""
    body = Nodes("crop")
    body.rename(body("Squeeze", _numbers(body, appearance, body("Unsqueeze", "planes", [0])), [0]), "crop.numbers")
    graph = body.graph(
        [tensor("planes", np.float32, (3, appearance.network.height, appearance.network.width))],
        [tensor("crop.numbers", np.float32, (appearance.dim,))],
    )
    return nodes("Scan", crops, body=graph, num_scan_inputs=1)
