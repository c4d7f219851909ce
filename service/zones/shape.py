"""The grid that zones live on, and which corners make a shape on it."""

from collections.abc import Sequence

import numpy as np

from edge.arrays import F64, I64, Bool

GRID = 1 << 20
"""Grid steps across the picture, each way. Coordinates snapped to it are whole numbers of at most 20 bits, so that
every orientation (a sum of two products of differences) is exact in float64. Of a picture 4096 px wide, a step is
1/256 px."""

Corners = Sequence[tuple[float, float]]


class ShapeError(ValueError):
    """Corners that make no polygon or line; the message says what to do."""


def snap(points: object) -> F64:
    """Return points (..., 2), parts of the picture, as whole grid steps; what lies outside comes to its border."""
    return np.rint(np.clip(np.asarray(points, np.float64), 0, 1) * GRID)


def orientation(a: F64, b: F64, p: F64) -> F64:
    """Return twice the signed area of a, b, p (..., 2): > 0 where p is to the right of a -> b, y growing downwards."""
    ab, ap = b - a, p - a
    area: F64 = ab[..., 0] * ap[..., 1] - ab[..., 1] * ap[..., 0]
    return area


def check_line(points: Corners) -> None:
    """Raise ShapeError unless start and end differ."""
    start, end = snap(points)
    if (start == end).all():
        raise ShapeError("a line needs two different points")


def check_polygon(points: Corners) -> None:
    """Raise ShapeError unless the corners (at least 3) make a polygon whose edges meet at their ends only."""
    starts = snap(points)
    ends = np.roll(starts, -1, axis=0)
    count = len(starts)
    if count < 3:
        raise ShapeError(f"a polygon needs at least 3 corners, got {count}")
    repeated = (starts == ends).all(axis=1).nonzero()[0]
    if len(repeated):
        first = int(repeated[0])
        raise ShapeError(f"corners {first + 1} and {(first + 1) % count + 1} are the same point; leave one out")
    if (orientation(starts[0], starts, ends) == 0).all():
        raise ShapeError("all corners lie on one line; move one aside")
    i, j = np.triu_indices(count, k=1)
    neighbours = (j - i == 1) | ((i == 0) & (j == count - 1))
    touching = np.where(neighbours, _folded(starts, ends, i, j), _touching(starts, ends, i, j)).nonzero()[0]
    if len(touching):
        one, other = int(i[touching[0]]) + 1, int(j[touching[0]]) + 1
        raise ShapeError(
            f"the edges that begin at corners {one} and {other} cross or touch; move a corner, or make two zones"
        )


def _touching(starts: F64, ends: F64, i: I64, j: I64) -> Bool:
    """Whether edges i and j (P,) have a point in common."""
    a, b, c, d = starts[i], ends[i], starts[j], ends[j]
    sides = np.sign(np.stack([orientation(a, b, c), orientation(a, b, d), orientation(c, d, a), orientation(c, d, b)]))
    apart = (sides[0] * sides[1] > 0) | (sides[2] * sides[3] > 0)
    boxes_apart = (np.maximum(a, b) < np.minimum(c, d)).any(axis=1) | (np.maximum(c, d) < np.minimum(a, b)).any(axis=1)
    touching: Bool = ~apart & ~boxes_apart
    return touching


def _folded(starts: F64, ends: F64, i: I64, j: I64) -> Bool:
    """Whether neighbouring edges i and j (P,) lie on each other: the outline turns back on itself."""
    along_i, along_j = ends[i] - starts[i], ends[j] - starts[j]
    straight = along_i[:, 0] * along_j[:, 1] == along_i[:, 1] * along_j[:, 0]
    folded: Bool = straight & ((along_i * along_j).sum(axis=1) < 0)
    return folded
