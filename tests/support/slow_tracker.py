"""FairMOT's tracker as its description reads, and ByteTrack's step for weak detections: one object per track, loops,
float64, time counted in frames.

The oracle for `edge.tracking.tracker`. It keeps FairMOT's order of steps; ids are given on confirmation and a track
removed in a frame is gone in that frame, as the product has it.
"""

import itertools
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

from edge.arrays import F64
from edge.tracking.detections import Detections
from tests.support.textbook_kalman import TextbookFilter

FORBIDDEN = 1e6


@dataclass(eq=False)
class Track:
    """One identity."""

    kalman: TextbookFilter
    feature: F64
    start_frame: int
    frame: int
    state: str = "tentative"  # tentative, tracked, lost, removed
    id: int = 0
    row: int = -1

    def box(self) -> F64:
        x, y, a, h = self.kalman.mean[:4]
        return np.array([x - a * h / 2, y - h / 2, x + a * h / 2, y + h / 2])


@dataclass
class SlowTracker:
    """One stream at 30 frames per second."""

    buffer: int = 30
    frame: int = 0
    tracks: list[Track] = field(default_factory=list)
    ids: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def update(self, detections: Detections) -> dict[int, tuple[int, F64]]:
        """The row in `detections` and the box of every id that is seen."""
        self.frame += 1
        boxes = detections.xyxy.astype(np.float64)
        features = detections.embeddings.astype(np.float64)
        left = [i for i in range(len(detections)) if detections.scores[i] > np.float32(0.4)]
        weak = [i for i in range(len(detections)) if np.float32(0.2) < detections.scores[i] <= np.float32(0.4)]
        tentative = [track for track in self.tracks if track.state == "tentative"]
        pool = [track for track in self.tracks if track.state != "tentative"]
        for track in pool:
            if track.state != "tracked":
                track.kalman.mean[7] = 0
            track.kalman.predict()

        cost = np.full((len(pool), len(left)), FORBIDDEN)
        measured = np.array([xyah(boxes[row]) for row in left]).reshape(-1, 4)
        for i, track in enumerate(pool):
            for j, motion in enumerate(track.kalman.gating(measured)):
                if motion <= 9.4877:
                    cost[i, j] = 0.98 * max(0.0, 1 - cosine(track.feature, features[left[j]])) + 0.02 * motion
        pool, left = self._match(pool, left, cost, 0.4, boxes, features)

        tracked = [track for track in pool if track.state == "tracked"]
        tracked, left = self._match(tracked, left, iou_costs(tracked, left, boxes), 0.5, boxes, features)
        looks = {track: track.feature for track in tracked}
        tracked, _ = self._match(tracked, weak, iou_costs(tracked, weak, boxes), 0.5, boxes, features)
        for track, feature in looks.items():
            track.feature = feature
        for track in tracked:
            track.state = "lost"
        missed, left = self._match(tentative, left, iou_costs(tentative, left, boxes), 0.7, boxes, features)
        for track in missed:
            track.state = "removed"
        for row in left:
            track = Track(TextbookFilter(xyah(boxes[row])), unit(features[row]), self.frame, self.frame, row=row)
            if self.frame == 1:
                track.state, track.id = "tracked", next(self.ids)
            self.tracks.append(track)
        for track in self.tracks:
            if track.state == "lost" and self.frame - track.frame > self.buffer:
                track.state = "removed"
        self._remove_duplicates()
        self.tracks = [track for track in self.tracks if track.state != "removed"]
        return {track.id: (track.row, track.box()) for track in self.tracks if track.state == "tracked"}

    def _match(
        self, tracks: list[Track], left: list[int], cost: F64, limit: float, boxes: F64, features: F64
    ) -> tuple[list[Track], list[int]]:
        """Pair and update; returns the tracks and rows that stay alone."""
        pairs = extension_pairs(cost, limit)
        for i, j in pairs:
            track, row = tracks[i], left[j]
            track.kalman.update(xyah(boxes[row]))
            track.feature = unit(0.9 * track.feature + 0.1 * unit(features[row]))
            track.state, track.frame, track.row = "tracked", self.frame, row
            track.id = track.id or next(self.ids)
        rows, columns = {i for i, _ in pairs}, {j for _, j in pairs}
        return (
            [track for i, track in enumerate(tracks) if i not in rows],
            [row for j, row in enumerate(left) if j not in columns],
        )

    def _remove_duplicates(self) -> None:
        seen = [track for track in self.tracks if track.frame == self.frame and track.state != "removed"]
        lost = [track for track in self.tracks if track.state == "lost"]
        boxes = [track.box() for track in lost]
        doubles = [(a, b) for a in seen for b, box in zip(lost, boxes, strict=True) if 1 - overlap(a.box(), box) < 0.15]
        for a, b in doubles:
            (b if a.frame - a.start_frame > b.frame - b.start_frame else a).state = "removed"


def extension_pairs(cost: F64, limit: float) -> list[tuple[int, int]]:
    """Linear assignment on the (n+m) extension, rows in order."""
    n, m = cost.shape
    extension = np.full((n + m, n + m), limit / 2)
    extension[:n, :m] = cost
    extension[n:, m:] = 0
    return [(i, j) for i, j in zip(*linear_sum_assignment(extension), strict=True) if i < n and j < m]


def iou_costs(tracks: list[Track], left: list[int], boxes: F64) -> F64:
    cost = [[1 - overlap(box, boxes[row]) for row in left] for box in (track.box() for track in tracks)]
    return np.array(cost, np.float64).reshape(len(tracks), len(left))


def overlap(a: F64, b: F64) -> float:
    """IoU with both end pixels counted."""
    width = min(a[2], b[2]) - max(a[0], b[0]) + 1
    height = min(a[3], b[3]) - max(a[1], b[1]) + 1
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (a, b)]
    return float(width * height / (sum(areas) - width * height))


def xyah(box: F64) -> F64:
    width, height = box[2] - box[0], box[3] - box[1]
    return np.array([box[0] + width / 2, box[1] + height / 2, width / height, height])


def cosine(a: F64, b: F64) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def unit(vector: F64) -> F64:
    norm: F64 = np.linalg.norm(vector)
    return vector / norm
