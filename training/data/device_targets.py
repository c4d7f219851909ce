"""`training.targets` in torch, for a batch at once: the same numbers, computed on the device."""

import torch
from torch import Tensor
from torch.nn import functional

from training.targets import MAX_OBJECTS, MIN_OVERLAP, UNKNOWN

AT_ONCE = 16
"""Objects whose Gaussians are drawn together, a bound on memory."""


def make_batch_targets(
    xyxy: Tensor, ids: Tensor, valid: Tensor, ignore_xyxy: Tensor, cells: tuple[int, int]
) -> dict[str, Tensor]:
    """The fields of `Targets`, each with the batch in front.

    xyxy (B, N, 4) float32 in cells, ids (B, N) int64, valid (B, N) bool: which rows are persons to learn; ignore_xyxy
    (B, K, 4) in cells, NaN where unused; cells: (h, w) of the map.
    """
    valid = valid & (xyxy[..., 2:] > xyxy[..., :2]).all(2)
    first = torch.argsort((~valid).byte(), dim=1, stable=True)[:, :MAX_OBJECTS]  # rows to learn, in their order
    valid, ids = valid.gather(1, first), ids.gather(1, first)
    xyxy = xyxy.gather(1, first[..., None].expand(-1, -1, 4))
    height, width = cells
    low, high = xyxy[..., :2], xyxy[..., 2:]
    x, y = ((low + high) / 2).unbind(2)
    centre = torch.stack((x.clamp(0, width - 1), y.clamp(0, height - 1)), 2)
    cell = centre.long()
    radius = gaussian_radii((high - low).ceil().double()).long().clamp_min(0)
    place = cell[..., 1] * width + cell[..., 0]
    ignore = _rectangles(ignore_xyxy, cells)
    at_centre = torch.zeros(ignore.shape, device=xyxy.device).flatten(1)
    at_centre = at_centre.scatter_reduce(1, place, valid.float(), "amax").view_as(ignore)
    used = valid[..., None]
    return {
        "heatmap": _gaussians(cell, radius, valid, cells)[:, None],
        "ignore": (ignore * (1 - at_centre))[:, None],
        "cells": _padded(place * valid),
        "offsets": _padded((centre - cell) * used),
        "sides": _padded(torch.cat((centre - low, high - centre), 2) * used),
        "ids": _padded(ids.masked_fill(~valid, UNKNOWN), UNKNOWN),
        "mask": _padded(valid.float()),
    }


def gaussian_radii(sides: Tensor) -> Tensor:
    """`gaussian_radius` for (..., 2) width and height, float64."""
    total, area = sides.sum(-1), sides.prod(-1)
    r1 = (total + (total.square() - 4 * area * (1 - MIN_OVERLAP) / (1 + MIN_OVERLAP)).sqrt()) / 2
    r2 = (2 * total + ((2 * total).square() - 16 * (1 - MIN_OVERLAP) * area).sqrt()) / 2
    b3 = -2 * MIN_OVERLAP * total
    r3 = (b3 + (b3.square() - 16 * MIN_OVERLAP * (MIN_OVERLAP - 1) * area).sqrt()) / 2
    return torch.minimum(torch.minimum(r1, r2), r3)


def _gaussians(cell: Tensor, radius: Tensor, valid: Tensor, cells: tuple[int, int]) -> Tensor:
    """(B, h, w) the highest of the Gaussians of radius (B, N) at cell (B, N, 2)."""
    height, width = cells
    heatmap = torch.zeros((len(cell), height, width), device=cell.device)
    spread = (2 * radius + 1).double() / 6
    for start in range(0, cell.shape[1], AT_ONCE):
        some = slice(start, start + AT_ONCE)
        lines = []
        for axis, length in ((1, height), (0, width)):
            away = torch.arange(length, device=cell.device) - cell[:, some, axis, None]
            line = torch.exp(-away.square() / (2 * spread[:, some, None].square()))
            lines.append((line * (away.abs() <= radius[:, some, None])).float())
        blobs = lines[0][..., None] * (lines[1] * valid[:, some, None])[:, :, None]  # (B, some, h, w)
        heatmap = torch.maximum(heatmap, blobs.amax(1))
    return heatmap


def _rectangles(xyxy: Tensor, cells: tuple[int, int]) -> Tensor:
    """(B, h, w) 1 in every cell that one of the rectangles (B, K, 4) touches."""
    covered = []
    for axis, length in ((1, cells[0]), (0, cells[1])):
        place = torch.arange(length, device=xyxy.device)
        covered.append((place >= xyxy[..., axis, None].floor()) & (place < xyxy[..., axis + 2, None].ceil()))
    rows, columns = (side.float() for side in covered)  # (B, K, h), (B, K, w)
    return (rows.mT @ columns).clamp_max(1)


def _padded(rows: Tensor, fill: int = 0) -> Tensor:
    """(B, n, ...) as (B, MAX_OBJECTS, ...)."""
    return functional.pad(rows, (0, 0) * (rows.dim() - 2) + (0, MAX_OBJECTS - rows.shape[1]), value=fill)
