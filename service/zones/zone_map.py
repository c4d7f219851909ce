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

    def distances_px(self, points: F64, size: tuple[int, int]) -> F64:
        """(N, Z + L) from each zone's border, or line, to `points` (N, A, 2) in a picture of `size` (width, height)."""
        step_px = np.array(size) / GRID
        along = (self.ends - self.starts) * step_px
        to_point = (points[:, self.edge_anchor] - self.starts) * step_px
        length2 = np.maximum(np.einsum("ec,ec->e", along, along), 1e-12)
        share = np.clip(np.einsum("nec,ec->ne", to_point, along) / length2, 0, 1)
        off = to_point - share[..., None] * along
        squared = np.einsum("nec,nec->ne", off, off)
        edges = squared.shape[1] - len(self.lines)
        if len(self.polygons):
            nearest = np.minimum.reduceat(squared[:, :edges], self.first_edge, axis=1)
            squared = np.concatenate((nearest, squared[:, edges:]), axis=1)
        distances: F64 = np.sqrt(squared)
        return distances

    def inside(self, points: F64) -> Bool:
        """(N, Z) whether `points` (N, A, 2) lie in each polygon or on its border; exact."""
        edges = len(self.starts) - len(self.lines)
        if not edges:
            return np.zeros((len(points), 0), np.bool_)
        a, b, p = self.starts[:edges], self.ends[:edges], points[:, self.edge_anchor[:edges]]
        side = orientation(a, b, p)
        above_a, above_b = p[..., 1] < a[:, 1], p[..., 1] < b[:, 1]
        passed = (above_a != above_b) & ((side > 0) == above_b)  # going right from p, one passes the edge
        on_border = (side == 0) & (((a - p) * (b - p)).sum(axis=-1) <= 0)
        odd = np.logical_xor.reduceat(passed, self.first_edge, axis=1)
        found: Bool = odd | np.logical_or.reduceat(on_border, self.first_edge, axis=1)
        return found

    def crossings(self, before: F64, now: F64) -> I64:
        """(N, L) how the way from `before` to `now` (N, A, 2) crosses each line: 1 forward, -1 backward, 0 not; exact.

        Half open: a point on the line is to its left, and of a line's own two points only the end belongs to it, so a
        path that touches the line, or passes through where two lines join, is not counted twice.
        """
        edges = len(self.starts) - len(self.lines)
        a, b, anchor = self.starts[edges:], self.ends[edges:], self.edge_anchor[edges:]
        before, now = before[:, anchor], now[:, anchor]
        was_right, is_right = orientation(a, b, before) > 0, orientation(a, b, now) > 0
        left, right = np.where(is_right[..., None], before, now), np.where(is_right[..., None], now, before)
        met = (was_right != is_right) & ((orientation(left, right, a) > 0) != (orientation(left, right, b) > 0))
        return np.where(met, np.where(is_right, 1, -1), 0)


def anchor_points(xyxy: F32, size: tuple[int, int]) -> F64:
    """(N, A, 2) the points of boxes (N, 4), source pixels, that may count, in grid steps; A as in ANCHORS."""
    middle_x = (xyxy[:, 0].astype(np.float64) + xyxy[:, 2]) / 2
    middle_y = (xyxy[:, 1].astype(np.float64) + xyxy[:, 3]) / 2
    foot, centre = np.stack((middle_x, xyxy[:, 3]), axis=1), np.stack((middle_x, middle_y), axis=1)
    return snap(np.stack((foot, centre), axis=1) / size)


def _stacked(parts: Sequence[F64]) -> F64:
    return np.concatenate(parts) if parts else np.zeros((0, 2))
