"""CLEAR MOT: misses, false positives and identity switches, of which MOTA is made.

After Bernardin and Stiefelhagen, "Evaluating Multiple Object Tracking Performance: The CLEAR MOT Metrics" (2008), with
MOTChallenge's rule for whom to match: whoever was matched in the frame before stays matched while the overlap allows.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from benchmarks.metrics.overlaps import MATCH_IOU, ROUNDING, Overlaps
from edge.arrays import I64

NOBODY = -1
STAYS = 1000.0
"""Outweighs every overlap."""


@dataclass(frozen=True, slots=True)
class ClearCounts:
    """Counts of one sequence; those of several add up."""

    boxes: int
    """Ground truth boxes."""
    identities: int
    """Ground truth identities."""
    misses: int
    false_positives: int
    switches: int
    """Matches with another identity than at the last match."""
    fragmentations: int
    """Times that a person is found again after having been lost."""
    mostly_tracked: int
    """Identities found in more than 80% of their frames."""
    mostly_lost: int
    """Identities found in less than 20% of their frames."""

    @property
    def mota(self) -> float:
        """1 - errors / boxes; negative when there are more errors than boxes."""
        return 1 - (self.misses + self.false_positives + self.switches) / max(self.boxes, 1)


def count_clear(sequence: Overlaps) -> ClearCounts:
    """Go through the frames and match, remembering matches."""
    people = len(sequence.truth_boxes)
    before = np.zeros(people, bool)  # found in the last frame that had both truth and results
    last = np.full(people, NOBODY)  # last match ever
    matches, found_again = np.zeros(people), np.zeros(people)
    switches = 0
    for (truth, results, _), (rows, columns) in zip(sequence.frames, match(sequence), strict=True):
        if not len(truth) or not len(results):
            continue
        person, identity = truth[rows], results[columns]
        switches += _count_changes(last[person], identity)
        found_again[person] += ~before[person]
        matches[person] += 1
        last[person] = identity
        before[:] = False
        before[person] = True
    share = matches / sequence.truth_boxes
    return ClearCounts(
        boxes=int(sequence.truth_boxes.sum()),
        identities=people,
        misses=int(sequence.truth_boxes.sum() - matches.sum()),
        false_positives=int(sequence.result_boxes.sum() - matches.sum()),
        switches=switches,
        fragmentations=int((found_again[found_again > 0] - 1).sum()),
        mostly_tracked=int((share > 0.8).sum()),
        mostly_lost=int((share < 0.2).sum()),
    )


def match(sequence: Overlaps) -> Iterator[tuple[I64, I64]]:
    """Per frame: rows of the truth (n,) and of the results (n,) that belong together."""
    before = np.full(len(sequence.truth_boxes), NOBODY)  # match in the last frame that had both truth and results
    for truth, results, overlap in sequence.frames:
        if not len(truth) or not len(results):
            yield np.zeros(0, np.int64), np.zeros(0, np.int64)
            continue  # an empty frame leaves the memory as it is
        score = overlap + STAYS * (before[truth][:, None] == results)
        score[overlap < MATCH_IOU - ROUNDING] = 0
        rows, columns = linear_sum_assignment(score, maximize=True)
        good = score[rows, columns] > 0
        before[:] = NOBODY
        before[truth[rows[good]]] = results[columns[good]]
        yield rows[good], columns[good]


def _count_changes(last: I64, now: I64) -> int:
    return int(((last != NOBODY) & (last != now)).sum())
