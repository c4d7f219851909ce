"""MOTA and IDF1 by the rules of FairMOT's evaluator: a cross-check of those of MOTChallenge, which are our numbers.

Three things differ. A result that overlaps a distractor is removed even where it fits a pedestrian better. Frames
without any result are not scored, so that their misses are forgiven. And matches are py-motmetrics': whoever a person
was matched with last, however long ago, stays matched while the overlap allows; for the others as many matches as
possible, then the largest overlaps.
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from benchmarks.identity import count_identity
from benchmarks.overlaps import DISTRACTORS, MATCH_IOU, Overlaps, iou, lay_over, pedestrians, per_frame
from edge.arrays import F64, I64, Bool
from edge.tracking.mot_format import MotBoxes

FORBIDDEN = 1e4
"""Distance of a pair that overlaps too little; more than all other distances of a frame together."""


@dataclass(frozen=True, slots=True)
class FairMotCounts:
    """Counts of one sequence; those of several add up."""

    boxes: int
    """Ground truth boxes in frames that have results."""
    results: int
    misses: int
    false_positives: int
    switches: int
    right: int
    """As in IdentityCounts."""

    @property
    def mota(self) -> float:
        """1 - errors / boxes."""
        return 1 - (self.misses + self.false_positives + self.switches) / max(self.boxes, 1)

    @property
    def idf1(self) -> float:
        """As in IdentityCounts."""
        return 2 * self.right / max(self.boxes + self.results, 1)

    def as_record(self) -> dict[str, Any]:
        """Short, for files; ratios are fractions."""
        counts = {field.name: getattr(self, field.name) for field in fields(self)}
        return {"mota": round(self.mota, 5), "idf1": round(self.idf1, 5)} | counts


def count_fairmot(truth: MotBoxes, results: MotBoxes, first: int, last: int) -> FairMotCounts:
    """Score results over those of the frames first..last, both included, that have any."""
    sequence = _lay_over(truth, results, first, last)
    identity = count_identity(sequence)
    matches, switches = _match(sequence)
    return FairMotCounts(
        boxes=identity.boxes,
        results=identity.results,
        misses=identity.boxes - matches,
        false_positives=identity.results - matches,
        switches=switches,
        right=identity.right,
    )


def _lay_over(truth: MotBoxes, results: MotBoxes, first: int, last: int) -> Overlaps:
    both = zip(per_frame(truth, first, last), per_frame(results, first, last), strict=True)
    return lay_over(
        (pedestrians(everyone), seen.where(~_ignored(everyone, seen))) for everyone, seen in both if len(seen)
    )


def _ignored(everyone: MotBoxes, seen: MotBoxes) -> Bool:
    """(M,) which results of one frame match a distractor, when distractors alone compete for them."""
    distractors = everyone.where(np.isin(everyone.classes, DISTRACTORS) | (everyone.visibility < 0))
    mask = np.zeros(len(seen), bool)
    mask[_nearest(iou(distractors, seen))[1]] = True
    return mask


def _match(sequence: Overlaps) -> tuple[int, int]:
    """Matches and identity switches."""
    last: dict[int, int] = {}  # person -> identity of the last match ever
    matches = switches = 0
    for truth, results, overlap in sequence.frames:
        column = {identity: j for j, identity in enumerate(results.tolist())}
        free = overlap.copy()
        for i, person in enumerate(truth.tolist()):
            j = column.get(last.get(person, -1))
            if j is not None and free[i, j] >= MATCH_IOU:
                matches += 1
                free[i, :] = free[:, j] = 0
        for i, j in zip(*_nearest(free), strict=True):
            person, identity = int(truth[i]), int(results[j])
            matches += 1
            switches += last.get(person, identity) != identity
            last[person] = identity
    return matches, switches


def _nearest(overlap: F64) -> tuple[I64, I64]:
    """Rows and columns of as many pairs with IoU >= 0.5 as possible, and among those the closest."""
    distance = np.where(overlap >= MATCH_IOU, 1 - overlap, FORBIDDEN)
    rows, columns = linear_sum_assignment(distance)
    good = distance[rows, columns] < FORBIDDEN
    return rows[good], columns[good]
