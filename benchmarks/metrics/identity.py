"""IDF1: how much of everybody's life is told under one identity.

After Ristani et al., "Performance Measures and a Data Set for Multi-Target, Multi-Camera Tracking" (2016).
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from benchmarks.metrics.overlaps import MATCH_IOU, ROUNDING, Overlaps


@dataclass(frozen=True, slots=True)
class IdentityCounts:
    """Counts of one sequence; those of several add up."""

    right: int
    """Frames in which a person is found under the one identity that fits that person best."""
    boxes: int
    """Ground truth boxes."""
    results: int
    """Result boxes."""

    @property
    def idf1(self) -> float:
        """Harmonic mean of `idp` and `idr`."""
        return 2 * self.right / max(self.boxes + self.results, 1)

    @property
    def idp(self) -> float:
        """Share of the results under the right identity."""
        return self.right / max(self.results, 1)

    @property
    def idr(self) -> float:
        """Share of the truth found under the right identity."""
        return self.right / max(self.boxes, 1)


def count_identity(sequence: Overlaps) -> IdentityCounts:
    """Pair true and found identities one to one over the whole sequence, so that most frames agree."""
    together = np.zeros((len(sequence.truth_boxes), len(sequence.result_boxes)))
    for truth, results, overlap in sequence.frames:
        together[np.ix_(truth, results)] += overlap >= MATCH_IOU - ROUNDING
    rows, columns = linear_sum_assignment(together, maximize=True)
    return IdentityCounts(
        right=int(together[rows, columns].sum()),
        boxes=int(sequence.truth_boxes.sum()),
        results=int(sequence.result_boxes.sum()),
    )
