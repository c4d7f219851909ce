"""Raw head maps to objects: the part of the graph that runs behind the heads in training, export and service alike."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from engines.signature import STRIDE

PEAKS = 300
"""Detections per image unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """The N likeliest centres of each image."""

    heatmap: Tensor  # (B, 1, h, w) in [0, 1], before peak filtering
    points: Tensor  # (B, N, 2) centres in cells
    boxes: Tensor  # (B, N, 4) xyxy, input pixels
    scores: Tensor  # (B, N) descending
    embeddings: Tensor  # (B, N, D) unit length


def decode(maps: dict[str, Tensor], peaks: int) -> Decoded:
    """Sigmoid, 3x3 peak test, top `peaks`, then offset, extent and embedding at those cells (FairMOT's decoding)."""
    heatmap = torch.sigmoid(maps["hm"].float())
    width = heatmap.shape[3]
    is_peak = functional.max_pool2d(heatmap, 3, 1, 1) == heatmap
    scores, cells = torch.topk((heatmap * is_peak).flatten(1), peaks)  # (B, N)
    corner = torch.stack(column_row(cells, width), 2).to(heatmap.dtype)
    points = corner + gather_cells(maps["reg"].float(), cells)
    sides = gather_cells(maps["wh"].float(), cells)
    boxes = torch.cat((points - sides[..., :2], points + sides[..., 2:]), 2) * STRIDE
    embeddings = unit(gather_cells(maps["id"].float(), at_width(cells, width, maps["id"].shape[3])))
    return Decoded(heatmap, points, boxes, scores, embeddings)


def column_row(cells: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """x and y of row-major cells of a map `width` wide, without %, which does not export where widths are open."""
    rows = cells // width
    return cells - rows * width, rows


def at_width(cells: Tensor, width: int, coarser: int) -> Tensor:
    """Row-major cells of a map `width` wide as those of a map `coarser` wide that covers the same picture."""
    step = width // coarser
    if step == 1:
        return cells
    x, y = column_row(cells, width)
    return y // step * coarser + x // step


def gather_cells(feature: Tensor, cells: Tensor) -> Tensor:
    """(B, C, h, w) at row-major cells (B, N) -> (B, N, C)."""
    index = cells.unsqueeze(1).expand(-1, feature.shape[1], -1)
    return feature.flatten(2).gather(2, index).transpose(1, 2)


def unit(features: Tensor) -> Tensor:
    """Last axis scaled to length 1."""
    return features / features.square().sum(-1, keepdim=True).clamp_min(1e-12).sqrt()
