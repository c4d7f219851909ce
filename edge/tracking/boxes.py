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

from edge.arrays import F32, F64, I64, Bool

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


def paired_iou(a: Boxes, b: Boxes, pixel: float = 0.0) -> Boxes:
    """(P,) what `iou_matrix` says of each of the boxes `a` (P, 4) and the one of `b` (P, 4) beside it."""
    return iou_matrix(a[:, None], b[:, None], pixel)[:, 0, 0]


def suppress(xyxy: Boxes, limit: float, lanes: I64 | None = None) -> Bool:
    """(N,) which of the boxes (N, 4), best first, are no second box of somebody: none better overlaps by over `limit`.

    What was suppressed suppresses nothing itself (greedy non-maximum suppression). Boxes of different `lanes` (N,) do
    not overlap; without, all are of one. Corners within +-1e6.
    """
    kept = np.ones(len(xyxy), np.bool_)
    if limit >= 1:
        return kept
    one, other = _neighbours(xyxy, limit, lanes)
    close = paired_iou(xyxy[one], xyxy[other]) > limit
    better, worse = np.minimum(one[close], other[close]), np.maximum(one[close], other[close])
    order = np.lexsort((worse, better))
    for first, second in zip(better[order].tolist(), worse[order].tolist(), strict=True):
        if kept[first]:
            kept[second] = False
    return kept


def _neighbours(xyxy: Boxes, limit: float, lanes: I64 | None) -> tuple[I64, I64]:
    """Rows of the pairs whose IoU may be over `limit`: of N boxes in a crowd some N, not N^2.

    Two intervals share more than `limit` of their union only where the left ends are closer than 1 - `limit` of the
    length of the one that begins first.
    """
    left = xyxy[:, 0].astype(np.float64)
    if lanes is not None:
        left += lanes * 1e7
    order = np.argsort(left)
    begins = left[order]
    reach = (1 - limit) * np.maximum(xyxy[order, 2] - xyxy[order, 0], 0) + 1e-2  # rounding of float32 included
    counts = np.searchsorted(begins, begins + reach, "right") - np.arange(len(begins)) - 1
    one = np.repeat(np.arange(len(begins)), counts)
    other = np.arange(len(one)) - np.repeat(counts.cumsum() - counts, counts) + one + 1
    return order[one], order[other]


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
