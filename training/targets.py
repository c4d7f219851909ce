"""What the heads should say of one image: FairMOT's targets on the stride-4 map."""

import math
from dataclasses import dataclass

import numpy as np

from edge.arrays import F16, F32, I16, I64

MAX_OBJECTS = 500
MIN_OVERLAP = 0.7
INNER = 0.4
"""Share of a box, from its centre out, whose cells learn the box."""
UNKNOWN = -1
"""Identity of an object that the identity loss ignores."""


@dataclass(frozen=True, slots=True)
class Targets:
    """Supervision of one image; M = MAX_OBJECTS rows, the first `count` of them used."""

    heatmap: F32  # (1, h, w) Gaussians, at each centre's cell exactly as high as its score
    ignore: F32  # (1, h, w) 1 where the heatmap loss does not look
    cells: I64  # (M,) row-major cell of each centre
    offsets: F32  # (M, 2) centre minus cell
    sides: F32  # (M, 4) left, top, right, bottom from the centre, in cells
    ids: I64  # (M,) identity, UNKNOWN where there is none
    mask: F32  # (M,) 1 for used rows
    owners: I16  # (1, h, w) row whose box the cell should name, -1 for none: cells around a centre, within half the box
    looks: F16  # (M, D) appearance to learn, NaN where there is none; D = 0 where nobody's is known


def gaussian_radius(height: float, width: float, min_overlap: float = MIN_OVERLAP) -> float:
    """Radius within which a moved box of this size (cells) still overlaps by `min_overlap`; FairMOT's formula."""
    total, area = height + width, height * width
    r1 = (total + math.sqrt(total**2 - 4 * area * (1 - min_overlap) / (1 + min_overlap))) / 2
    r2 = (2 * total + math.sqrt((2 * total) ** 2 - 16 * (1 - min_overlap) * area)) / 2
    b3 = -2 * min_overlap * total
    r3 = (b3 + math.sqrt(b3**2 - 16 * min_overlap * (min_overlap - 1) * area)) / 2
    return min(r1, r2, r3)


def gaussian(radius: int) -> F32:
    """(2r+1, 2r+1) kernel with sigma (2r+1)/6 and peak 1."""
    sigma = (2 * radius + 1) / 6
    line = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * sigma * sigma))
    kernel = np.outer(line, line)
    kernel[kernel < np.finfo(np.float64).eps] = 0
    return kernel.astype(np.float32)


def draw_gaussian(heatmap: F32, x: int, y: int, radius: int, peak: float = 1.0) -> None:
    """Composite a Gaussian of height `peak` into heatmap (h, w) by maximum, cropped at the borders."""
    kernel = gaussian(radius) * np.float32(peak)
    h, w = heatmap.shape
    left, right = max(0, x - radius), min(w, x + radius + 1)
    top, bottom = max(0, y - radius), min(h, y + radius + 1)
    window = heatmap[top:bottom, left:right]
    np.maximum(
        window, kernel[top - y + radius : bottom - y + radius, left - x + radius : right - x + radius], out=window
    )


def make_targets(
    xyxy: F32,
    ids: I64,
    ignore_xyxy: F32,
    cells: tuple[int, int],
    scores: F32 | None = None,
    looks: F16 | None = None,
) -> Targets:
    """Targets of one image from its boxes.

    xyxy (n, 4): persons in cells, unclipped; ids (n,); ignore_xyxy (k, 4): regions without labels, in cells;
    cells: (h, w) of the map; scores (n,): how sure the network should be of each, 1 unless given; looks (n, D).
    """
    h, w = cells
    scores = np.ones(len(xyxy), np.float32) if scores is None else scores
    looks = np.zeros((len(xyxy), 0), np.float16) if looks is None else looks
    out = Targets(
        heatmap=np.zeros((1, h, w), np.float32),
        ignore=np.zeros((1, h, w), np.float32),
        cells=np.zeros(MAX_OBJECTS, np.int64),
        offsets=np.zeros((MAX_OBJECTS, 2), np.float32),
        sides=np.zeros((MAX_OBJECTS, 4), np.float32),
        ids=np.full(MAX_OBJECTS, UNKNOWN, np.int64),
        mask=np.zeros(MAX_OBJECTS, np.float32),
        owners=np.full((1, h, w), -1, np.int16),
        looks=np.full((MAX_OBJECTS, looks.shape[1]), np.nan, np.float16),
    )
    for left, top, right, bottom in ignore_xyxy:
        x1, y1 = max(0, math.floor(left)), max(0, math.floor(top))
        out.ignore[0, y1 : max(y1, math.ceil(bottom)), x1 : max(x1, math.ceil(right))] = 1
    row = 0
    for (left, top, right, bottom), identity, score, look in zip(xyxy, ids, scores, looks, strict=True):
        if right <= left or bottom <= top or row == MAX_OBJECTS:
            continue
        cx = min(max((left + right) / 2, 0), w - 1)
        cy = min(max((top + bottom) / 2, 0), h - 1)
        x, y = int(cx), int(cy)
        radius = max(0, int(gaussian_radius(math.ceil(bottom - top), math.ceil(right - left))))
        draw_gaussian(out.heatmap[0], x, y, radius, float(score))
        out.ignore[0, y, x] = 0
        out.cells[row] = y * w + x
        out.offsets[row] = cx - x, cy - y
        out.sides[row] = cx - left, cy - top, right - cx, bottom - cy
        out.ids[row] = identity
        out.mask[row] = 1
        out.looks[row] = look
        row += 1
    _own(out, h, w, row)
    return out


def _own(targets: Targets, h: int, w: int, rows: int) -> None:
    """Fill in `owners`: the largest boxes first, so that who is small or behind somebody keeps some cells."""
    left, top, right, bottom = targets.sides[:rows].T
    area = (left + right) * (top + bottom)
    for row in np.argsort(-area, kind="stable"):
        y, x = divmod(int(targets.cells[row]), w)
        left, top, right, bottom = INNER * targets.sides[row]
        targets.owners[
            0,
            max(0, math.ceil(y - top)) : min(h, math.floor(y + bottom) + 1),
            max(0, math.ceil(x - left)) : min(w, math.floor(x + right) + 1),
        ] = row
    for row in range(rows):
        targets.owners[0].flat[targets.cells[row]] = row
