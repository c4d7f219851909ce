"""Boxes in their three formats, and overlap. Arrays in, arrays out; dtype (float32 or float64) is kept.

| format | columns                                  |
|--------|------------------------------------------|
| xyxy   | left, top, right, bottom                 |
| xywh   | left, top, width, height                 |
| xyah   | centre x, centre y, width/height, height |

The pixel space (source, input, cells) is the caller's; both arguments of `iou_matrix` must be in the same one.
"""

from typing import TypeVar

import numpy as np

from edge.arrays import F32, F64, Bool

Boxes = TypeVar("Boxes", F32, F64)


def xyxy_to_xywh(xyxy: Boxes) -> Boxes:
    """(N, 4) xyxy as xywh."""
    xywh = xyxy.copy()
    xywh[:, 2:] -= xyxy[:, :2]
    return xywh


def xywh_to_xyxy(xywh: Boxes) -> Boxes:
    """(N, 4) xywh as xyxy."""
    xyxy = xywh.copy()
    xyxy[:, 2:] += xywh[:, :2]
    return xyxy


def xyxy_to_xyah(xyxy: Boxes) -> Boxes:
    """(N, 4) xyxy as xyah. Heights must not be zero."""
    xyah = np.empty_like(xyxy)
    xyah[:, :2] = (xyxy[:, :2] + xyxy[:, 2:]) / 2
    sides = xyxy[:, 2:] - xyxy[:, :2]
    xyah[:, 2] = sides[:, 0] / sides[:, 1]
    xyah[:, 3] = sides[:, 1]
    return xyah


def xyah_to_xyxy(xyah: Boxes) -> Boxes:
    """(N, 4) xyah as xyxy."""
    half = xyah[:, 2:] / 2
    half[:, 0] *= xyah[:, 3]
    xyxy = np.empty_like(xyah)
    np.subtract(xyah[:, :2], half, out=xyxy[:, :2])
    np.add(xyah[:, :2], half, out=xyxy[:, 2:])
    return xyxy


def iou_matrix(a: Boxes, b: Boxes, pixel: float = 0.0) -> Boxes:
    """(..., N, M) intersection over union of the boxes `a` (..., N, 4) and `b` (..., M, 4), both xyxy; 0 where both
    areas are 0.

    `pixel=1` counts a box from pixel to pixel, both ends included (width = right - left + 1), as FairMOT's tracker
    does; 0, the default, takes the coordinates as real numbers, as the MOTChallenge evaluation does.
    """
    # One axis at a time: planes (N, M) are several times faster than one array (N, M, 2).
    a_left, a_top, a_right, a_bottom = (a[..., side, None] for side in range(4))
    b_left, b_top, b_right, b_bottom = (b[..., None, :, side] for side in range(4))
    width = _shared(a_left, a_right, b_left, b_right, pixel)
    height = _shared(a_top, a_bottom, b_top, b_bottom, pixel)
    overlap: Boxes = np.multiply(width, height, out=width)
    union: Boxes = np.add(_areas(a, pixel)[..., None], _areas(b, pixel)[..., None, :], out=height)
    union -= overlap
    union[union <= 0] = 1  # two empty boxes: 0 / 1
    overlap /= union
    return overlap


def suppress(xyxy: Boxes, limit: float) -> Bool:
    """(N,) which of the boxes (N, 4), best first, are no second box of somebody: none better overlaps by over `limit`.

    What was suppressed suppresses nothing itself (greedy non-maximum suppression).
    """
    kept = np.ones(len(xyxy), np.bool_)
    if limit >= 1:
        return kept
    close = iou_matrix(xyxy, xyxy) > limit
    np.fill_diagonal(close, False)
    for row in np.flatnonzero(close.any(axis=1)):
        if kept[row]:
            kept[row + 1 :] &= ~close[row, row + 1 :]
    return kept


def _shared(a_start: Boxes, a_end: Boxes, b_start: Boxes, b_end: Boxes, pixel: float) -> Boxes:
    """(..., N, M) length that the intervals of a column `a` and a row `b` have in common."""
    length: Boxes = np.minimum(a_end, b_end)
    length -= np.maximum(a_start, b_start)
    if pixel:
        length += pixel
    np.maximum(length, 0, out=length)
    return length


def _areas(xyxy: Boxes, pixel: float) -> Boxes:
    """(..., N) width times height."""
    sides = xyxy[..., 2:] - xyxy[..., :2]
    if pixel:
        sides += pixel
    areas: Boxes = sides[..., 0] * sides[..., 1]
    return areas
