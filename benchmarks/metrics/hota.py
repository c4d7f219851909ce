"""HOTA: how well a tracker detects (DetA) and keeps identities (AssA), averaged over overlap thresholds.

After Luiten et al., "HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking" (IJCV 2020).
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from benchmarks.metrics.overlaps import ROUNDING, Overlaps
from edge.arrays import F64

THRESHOLDS = np.arange(0.05, 0.99, 0.05)  # 19 overlaps, 0.05 to 0.95


@dataclass(frozen=True, slots=True)
class HotaCounts:
    """Counts of one sequence, one entry per threshold; those of several add up."""

    matches: F64  # (19,)
    misses: F64  # (19,)
    false_positives: F64  # (19,)
    association: F64  # (19,) sum over matches: how far the two identities agree over the sequence, 0 to 1

    @property
    def hota(self) -> float:
        """sqrt(DetA * AssA) at each threshold, then the mean."""
        return float(np.sqrt(self._deta() * self._assa()).mean())

    @property
    def deta(self) -> float:
        """Detection alone."""
        return float(self._deta().mean())

    @property
    def assa(self) -> float:
        """Association alone."""
        return float(self._assa().mean())

    def _deta(self) -> F64:
        share: F64 = self.matches / np.maximum(self.matches + self.misses + self.false_positives, 1)
        return share

    def _assa(self) -> F64:
        mean: F64 = self.association / np.maximum(self.matches, 1)
        return mean


def count_hota(sequence: Overlaps) -> HotaCounts:
    """Match each frame so that identities which go together over the whole sequence come first."""
    truth_boxes, result_boxes = sequence.truth_boxes, sequence.result_boxes
    alignment = _alignment(sequence)
    matched = np.zeros((len(THRESHOLDS), len(truth_boxes), len(result_boxes)))
    for truth, results, overlap in sequence.frames:
        rows, columns = linear_sum_assignment(alignment[np.ix_(truth, results)] * overlap, maximize=True)
        matched[:, truth[rows], results[columns]] += overlap[rows, columns] >= THRESHOLDS[:, None] - ROUNDING
    matches = matched.sum(axis=(1, 2))
    agreement = matched / np.maximum(truth_boxes[:, None] + result_boxes - matched, 1)
    return HotaCounts(
        matches=matches,
        misses=truth_boxes.sum() - matches,
        false_positives=result_boxes.sum() - matches,
        association=(matched * agreement).sum(axis=(1, 2)),
    )


def _alignment(sequence: Overlaps) -> F64:
    """(I, J) how much of two identities' lives is spent together, as a soft Jaccard index."""
    truth_boxes, result_boxes = sequence.truth_boxes, sequence.result_boxes
    together = np.zeros((len(truth_boxes), len(result_boxes)))
    for truth, results, overlap in sequence.frames:
        rivals = overlap.sum(axis=0) + overlap.sum(axis=1)[:, None] - overlap
        together[np.ix_(truth, results)] += np.divide(
            overlap, rivals, out=np.zeros_like(overlap), where=rivals > ROUNDING
        )
    return together / np.maximum(truth_boxes[:, None] + result_boxes - together, 1)
