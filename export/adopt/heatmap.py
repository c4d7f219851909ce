"""The teacher's heatmap of a detector that has none: drawn from its boxes, inside the graph.

The Gaussians are those of `training.targets`, which students' priors are made of: at each centre's cell as high as the
score, higher ones above lower ones.
"""

import numpy as np

from engines.signature import STRIDE
from export.adopt.nodes import Nodes
from training.targets import MIN_OVERLAP

LEAST_SCORE = 0.05
"""What scores lower is not drawn, and has no appearance: nobody goes by it."""


def draw(nodes: Nodes, boxes: str, scores: str, cells: tuple[int, int]) -> tuple[str, str]:
    """Names of the heatmap (B, 1, h, w) and of the centres (B, N, 2) in cells, which lie inside the map.

    boxes (B, N, 4) xyxy in input pixels; scores (B, N), descending; cells: (h, w) of the map.
    """
    h, w = cells
    left, top, right, bottom = nodes.several("Split", 4, nodes("Div", boxes, float(STRIDE)), axis=2, num_outputs=4)
    columns, rows = nodes("Sub", right, left), nodes("Sub", bottom, top)  # (B, N, 1) as all below
    centre_x = nodes("Clip", nodes("Mul", nodes("Add", left, right), 0.5), 0.0, float(w - 1))
    centre_y = nodes("Clip", nodes("Mul", nodes("Add", top, bottom), 0.5), 0.0, float(h - 1))
    points = nodes("Concat", centre_x, centre_y, axis=2)

    real = nodes("And", nodes("Greater", columns, 0.0), nodes("Greater", rows, 0.0))
    sure = nodes("Greater", nodes("Unsqueeze", scores, [2]), LEAST_SCORE)
    drawn = nodes.float(nodes("And", real, sure))
    heights = nodes("Mul", nodes("Unsqueeze", scores, [2]), drawn)
    radius = _radius(nodes, nodes("Ceil", rows), nodes("Ceil", columns))
    # Only as many rows as the fullest picture has: a hundred empty ones would cost as much as a network.
    counts = nodes("ReduceSum", nodes.float(sure), [1], keepdims=0)  # (B, 1)
    most = nodes("Max", nodes("ReduceMax", counts, keepdims=0), 1.0)
    end = nodes("Unsqueeze", nodes.cast(most, 7), [0])

    def first(value: str) -> str:
        return nodes("Slice", value, [0], end, [1])

    radius, heights = first(radius), first(heights)
    across = _bell(nodes, first(centre_x), radius, w)
    down = nodes("Mul", _bell(nodes, first(centre_y), radius, h), heights)
    each = nodes("Mul", nodes("Unsqueeze", down, [3]), nodes("Unsqueeze", across, [2]))  # (B, n, h, w)
    return nodes("ReduceMax", each, [1], keepdims=1), points


def _bell(nodes: Nodes, centre: str, radius: str, length: int) -> str:
    """(B, n, length) a Gaussian along one axis, cropped at `radius` (B, n, 1) from the cell of `centre` (B, n, 1)."""
    away = nodes("Sub", np.arange(length, dtype=np.float32), nodes("Floor", centre))
    sigma = nodes("Div", nodes("Add", nodes("Mul", radius, 2.0), 1.0), 6.0)
    share = nodes("Div", away, sigma)
    bell = nodes("Exp", nodes("Mul", nodes("Mul", share, share), -0.5))
    return nodes("Mul", bell, nodes.float(nodes("LessOrEqual", nodes("Abs", away), radius)))


def _radius(nodes: Nodes, height: str, width: str) -> str:
    """`training.targets.gaussian_radius` of boxes in cells, rounded down to whole cells, (B, N, 1)."""
    total, area = nodes("Max", nodes("Add", height, width), 0.0), nodes("Max", nodes("Mul", height, width), 0.0)
    square = nodes("Mul", total, total)
    three = []
    for a, b, c in (  # a r^2 + b r + c = 0: both boxes beside each other, one inside the other, and the reverse
        (2.0, 1.0, 4 * (1 - MIN_OVERLAP) / (1 + MIN_OVERLAP)),
        (2.0, 2.0, 16 * (1 - MIN_OVERLAP)),
        (2.0, -2 * MIN_OVERLAP, 16 * MIN_OVERLAP * (MIN_OVERLAP - 1)),
    ):
        under = nodes("Sub", nodes("Mul", square, b * b), nodes("Mul", area, c))
        root = nodes("Sqrt", nodes("Max", under, 0.0))
        three.append(nodes("Div", nodes("Add", nodes("Mul", total, b), root), a))
    return nodes("Max", nodes("Floor", nodes("Min", *three)), 0.0)
