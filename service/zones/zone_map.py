"""ZoneMap: the zones of one stream as arrays of edges, and where points lie to all of them at once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from edge.arrays import F32, F64, I64, Bool
from service.zones.shape import GRID, orientation, snap
from service.zones.zone import Anchor, Line, Polygon

ANCHORS: tuple[Anchor, ...] = ("foot", "centre")


@dataclass(frozen=True, slots=True)
class ZoneMap:
    """Polygons first, lines after them, each kind in the order given. Coordinates are grid steps, whole numbers."""

    polygons: tuple[Polygon, ...]  # Z of them
    lines: tuple[Line, ...]  # L of them
    starts: F64  # (E + L, 2) first points of all edges: those of the polygons one after the other, then the lines
    ends: F64  # (E + L, 2)
    edge_anchor: I64  # (E + L,) row of ANCHORS
    first_edge: I64  # (Z,) where each polygon's edges begin

    @classmethod
    def of(cls, zones: Iterable[Polygon | Line]) -> Self:
        """Return the arrays of `zones`."""
        given = tuple(zones)
        polygons = tuple(zone for zone in given if isinstance(zone, Polygon))
        lines = tuple(zone for zone in given if isinstance(zone, Line))
        outlines = [snap(zone.points) for zone in polygons]
        segments = [snap(zone.points) for zone in lines]
        sizes = [*map(len, outlines), *(1 for _ in lines)]
        anchors = [ANCHORS.index(zone.anchor) for zone in (*polygons, *lines)]
        return cls(
            polygons=polygons,
            lines=lines,
            starts=_stacked([*outlines, *(segment[:1] for segment in segments)]),
            ends=_stacked([*(np.roll(outline, -1, axis=0) for outline in outlines), *(s[1:] for s in segments)]),
            edge_anchor=np.repeat(np.array(anchors, np.int64), sizes),
            first_edge=np.cumsum([0, *sizes])[: len(polygons)].astype(np.int64),
        )

    def locate(self, points: F64, size: tuple[int, int]) -> tuple[Bool, F64]:
        """Where `points` (N, A, 2) of a picture of `size` (width, height) are.

        Returns (N, Z) whether they lie in each polygon or on its border, which is exact, and (N, Z + L) the squared
        distance from each polygon's border, and from each line, in square pixels.
        """
        # x and y apart, (N, E + L) each, relative to where the edge starts: half the time of arrays (N, E + L, 2)
        x = points[:, :, 0].take(self.edge_anchor, axis=1) - self.starts[:, 0]
        y = points[:, :, 1].take(self.edge_anchor, axis=1) - self.starts[:, 1]
        edge_x, edge_y = (self.ends - self.starts).T
        squared = _squared_distance(x, y, edge_x, edge_y, size)
        if not len(self.polygons):
            return np.zeros((len(points), 0), np.bool_), squared
        edges = len(self.starts) - len(self.lines)
        nearest = np.minimum.reduceat(squared[:, :edges], self.first_edge, axis=1)
        inside = self._inside(x[:, :edges], y[:, :edges], edge_x[:edges], edge_y[:edges])
        return inside, np.concatenate((nearest, squared[:, edges:]), axis=1)

    def _inside(self, x: F64, y: F64, edge_x: F64, edge_y: F64) -> Bool:
        """Even and odd: going right from a point inside, one passes an odd number of edges."""
        side = edge_x * y - edge_y * x
        above_start, above_end = y < 0, y < edge_y
        passed = (above_start != above_end) & ((side > 0) == above_end)
        on_border = (side == 0) & (x * (x - edge_x) + y * (y - edge_y) <= 0)
        odd = np.logical_xor.reduceat(passed, self.first_edge, axis=1)
        inside: Bool = odd | np.logical_or.reduceat(on_border, self.first_edge, axis=1)
        return inside

    def takes(self, classes: Sequence[str]) -> Bool:
        """(C, Z + L) which zone counts which of these classes."""
        zones = (*self.polygons, *self.lines)
        taken = [[not zone.classes or name in zone.classes for zone in zones] for name in classes]
        return np.array(taken, np.bool_).reshape(len(classes), len(zones))

    def crossings(self, before: F64, now: F64) -> I64:
        """(N, L) how the way from `before` to `now` (N, A, 2) crosses each line: 1 forward, -1 backward, 0 not; exact.

        Both of its points belong to a line: who walks along the edge of the picture, where feet are clipped, crosses a
        line that ends there. A place on the line is to its left, so a path that only touches it does not cross.
        """
        edges = len(self.starts) - len(self.lines)
        a, b, anchor = self.starts[edges:], self.ends[edges:], self.edge_anchor[edges:]
        before, now = before[:, anchor], now[:, anchor]
        was_right, is_right = orientation(a, b, before) > 0, orientation(a, b, now) > 0
        if (was_right == is_right).all():
            return np.zeros(is_right.shape, np.int64)
        left, right = np.where(is_right[..., None], before, now), np.where(is_right[..., None], now, before)
        ends_apart = np.sign(orientation(left, right, a)) * np.sign(orientation(left, right, b)) <= 0
        met = (was_right != is_right) & ends_apart
        return np.where(met, np.where(is_right, 1, -1), 0)


def anchor_points(xyxy: F32, size: tuple[int, int]) -> F64:
    """(N, A, 2) the points of boxes (N, 4), source pixels, that may count, in grid steps; A as in ANCHORS."""
    middle_x = (xyxy[:, 0].astype(np.float64) + xyxy[:, 2]) / 2
    middle_y = (xyxy[:, 1].astype(np.float64) + xyxy[:, 3]) / 2
    foot, centre = np.stack((middle_x, xyxy[:, 3]), axis=1), np.stack((middle_x, middle_y), axis=1)
    return snap(np.stack((foot, centre), axis=1) / size)


def _squared_distance(x: F64, y: F64, edge_x: F64, edge_y: F64, size: tuple[int, int]) -> F64:
    """(N, E) between edges (E,) and points (N, E) relative to their starts; from grid steps to square pixels."""
    step_x, step_y = size[0] / GRID, size[1] / GRID
    x, y, edge_x, edge_y = x * step_x, y * step_y, edge_x * step_x, edge_y * step_y
    share = np.clip((x * edge_x + y * edge_y) / (edge_x * edge_x + edge_y * edge_y), 0, 1)
    x -= share * edge_x
    y -= share * edge_y
    squared: F64 = x * x + y * y
    return squared


def _stacked(parts: Sequence[F64]) -> F64:
    return np.concatenate(parts) if parts else np.zeros((0, 2))
