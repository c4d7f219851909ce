"""Presence: what is remembered of each track about the zones, as one struct of arrays."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from edge.arrays import F64, I32, I64, Bool
from service.zones.zone_map import ANCHORS

_ROWS = ("ids", "classes", "points", "seen_s", "inside", "judged", "since_s", "pending")


@dataclass(slots=True)
class Presence:
    """The tracks of one stream, in order of their ids. Arrays may be written in place."""

    ids: I64  # (N,)
    classes: I32  # (N,) places in the pair's classes
    points: F64  # (N, A, 2) where each anchor was when last observed, grid steps
    seen_s: F64  # (N,) when it was last observed
    inside: Bool  # (N, Z) whether it counts as inside
    judged: Bool  # (N, Z) whether it was ever compared with the zone
    since_s: F64  # (N, Z) when it came in, where inside
    pending: I64  # (N, L) crossings, forward less backward, since it was last away from the line

    @classmethod
    def empty(cls, polygons: int, lines: int, tracks: int = 0) -> Self:
        """Rows of nothing known yet; ids are 0."""
        return cls(
            ids=np.zeros(tracks, np.int64),
            classes=np.zeros(tracks, np.int32),
            points=np.zeros((tracks, len(ANCHORS), 2)),
            seen_s=np.zeros(tracks),
            inside=np.zeros((tracks, polygons), np.bool_),
            judged=np.zeros((tracks, polygons), np.bool_),
            since_s=np.zeros((tracks, polygons)),
            pending=np.zeros((tracks, lines), np.int64),
        )

    def __len__(self) -> int:
        return len(self.ids)

    def find(self, ids: I64) -> tuple[I64, Bool]:
        """(M,) row of each of `ids`, and whether it is known; the row of an unknown one means nothing."""
        if not len(self):
            return np.zeros(len(ids), np.int64), np.zeros(len(ids), np.bool_)
        rows = np.minimum(np.searchsorted(self.ids, ids), len(self) - 1)
        return rows, self.ids[rows] == ids

    def rows(self, ids: I64, classes: I32, points: F64) -> I64:
        """(M,) row of each of `ids`; those not known yet are added, of `classes` (M,), at `points` (M, A, 2)."""
        rows, known = self.find(ids)
        if known.all():
            return rows
        new = Presence.empty(self.inside.shape[1], self.pending.shape[1], int((~known).sum()))
        new.ids, new.classes, new.points = ids[~known], classes[~known], points[~known]
        order = np.argsort(np.concatenate((self.ids, new.ids)))
        for name in _ROWS:
            setattr(self, name, np.concatenate((getattr(self, name), getattr(new, name)))[order])
        return self.find(ids)[0]

    def keep(self, kept: Bool) -> None:
        """Forget the tracks where `kept` (N,) is False."""
        for name in _ROWS:
            setattr(self, name, getattr(self, name)[kept])

    def start_anew(self) -> None:
        """Let everybody who is inside come in again, and every line be uncrossed."""
        self.inside[:] = self.judged[:] = False
        self.pending[:] = 0

    def rezone(self, polygons: list[int], lines: list[int]) -> None:
        """Rearrange the columns: which old one each new zone continues, -1 for a zone that is new."""
        for name, columns in (("inside", polygons), ("judged", polygons), ("since_s", polygons), ("pending", lines)):
            old = getattr(self, name)
            padded = np.concatenate((old, np.zeros((len(self), 1), old.dtype)), axis=1)  # the last one is for -1
            setattr(self, name, padded[:, columns])
