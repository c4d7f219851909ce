"""How far tracks agree with the teacher's own: CLEAR MOT (Bernardin 2008) and IDF1 (Ristani 2016), counted.

`benchmarks.scores` has them by TrackEval, which whoever adapts need not have; tests hold the two against each other.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from edge.arrays import F32, F64, I64
from edge.tracking.assignment import assign
from edge.tracking.boxes import iou_matrix

MATCH_IOU = 0.5
FORMER = 1000.0
"""What it is worth to keep to who was matched before: more than any overlap."""


@dataclass(frozen=True, slots=True)
class Boxes:
    """The tracks of one frame."""

    ids: I64  # (n,)
    xyxy: F32  # (n, 4) source pixels


@dataclass(frozen=True, slots=True)
class Agreement:
    """Counts over the frames of one stretch, or several pooled."""

    boxes: int = 0
    """Of the teacher."""
    found: int = 0
    """Boxes of ours that match one of the teacher's."""
    ours: int = 0
    switches: int = 0
    same: int = 0
    """Boxes that match under the best pairing of identities."""
    by_distance: Counter[tuple[int, str]] = field(default_factory=Counter)
    """(frames since the keyframe, 'boxes', 'found' or 'ours') -> how many."""

    @property
    def mota(self) -> float:
        """1 - (misses + false boxes + switches) / boxes; 1 where there is nobody and nobody was found."""
        wrong = self.boxes - self.found + self.ours - self.found + self.switches
        return 1 - wrong / max(self.boxes, 1)

    @property
    def idf1(self) -> float:
        """Share of boxes under the right identity, of the mean of both; 1 where there is nobody."""
        return 2 * self.same / (self.boxes + self.ours) if self.boxes + self.ours else 1.0

    def agreed(self, since: int) -> float:
        """F1 of boxes so many frames after the keyframe."""
        boxes, found, ours = (self.by_distance[since, name] for name in ("boxes", "found", "ours"))
        return 2 * found / (boxes + ours) if boxes + ours else 1.0


def compare(theirs: Sequence[Boxes], ours: Sequence[Boxes], since_teacher: Sequence[int]) -> Agreement:
    """Of one stretch, frame by frame."""
    last: dict[int, int] = {}  # the teacher's identity -> ours that it was matched with last
    before: dict[int, int] = {}  # of these, in the frame before
    together: Counter[tuple[int, int]] = Counter()
    counts: Counter[str] = Counter()
    by_distance: Counter[tuple[int, str]] = Counter()
    for truth, mine, since in zip(theirs, ours, since_teacher, strict=True):
        overlap = iou_matrix(truth.xyxy, mine.xyxy).astype(np.float64)
        near = overlap >= MATCH_IOU
        for row, column in np.argwhere(near):
            together[int(truth.ids[row]), int(mine.ids[column])] += 1
        former = np.array([[before.get(int(a)) == int(b) for b in mine.ids] for a in truth.ids], np.float64)
        gain = np.where(near, overlap + FORMER * former.reshape(overlap.shape), -np.inf)
        rows, columns = assign(-gain, 0.0)
        before = {int(truth.ids[row]): int(mine.ids[column]) for row, column in zip(rows, columns, strict=True)}
        counts["switches"] += sum(last.get(a, b) != b for a, b in before.items())
        last |= before
        for name, number in (("boxes", len(truth.ids)), ("found", len(rows)), ("ours", len(mine.ids))):
            counts[name] += number
            by_distance[since, name] += number
    return Agreement(counts["boxes"], counts["found"], counts["ours"], counts["switches"], _same(together), by_distance)


def pooled(agreements: Iterable[Agreement]) -> Agreement:
    """All together."""
    total, by_distance = np.zeros(5, np.int64), Counter[tuple[int, str]]()
    for one in agreements:
        total += (one.boxes, one.found, one.ours, one.switches, one.same)
        by_distance.update(one.by_distance)
    boxes, found, ours, switches, same = total.tolist()
    return Agreement(boxes, found, ours, switches, same, by_distance)


def _same(together: Counter[tuple[int, int]]) -> int:
    """Frames that identities have together under the best pairing."""
    if not together:
        return 0
    numbers: tuple[dict[int, int], dict[int, int]] = ({}, {})
    for pair in together:
        for known, identity in zip(numbers, pair, strict=True):
            known.setdefault(identity, len(known))
    counts: F64 = np.zeros((len(numbers[0]), len(numbers[1])))
    for (a, b), count in together.items():
        counts[numbers[0][a], numbers[1][b]] = count
    rows, columns = assign(-counts, 0.0)
    return int(counts[rows, columns].sum())
