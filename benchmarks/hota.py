"""HOTA: how well a tracker detects (DetA) and keeps identities (AssA), averaged over overlap thresholds.

After Luiten et al., "HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking" (IJCV 2020).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.optimize import linear_sum_assignment

from edge.arrays import F64, I64

THRESHOLDS = np.arange(0.05, 0.99, 0.05)  # 19 overlaps, 0.05 to 0.95
_TINY = np.finfo(np.float64).eps
"""An overlap just below a threshold by rounding still counts."""


@dataclass(frozen=True, slots=True)
class Hota:
    """Means over the thresholds, fractions in [0, 1]."""

    hota: float
    deta: float
    assa: float


@dataclass(frozen=True, slots=True)
class HotaCounts:
    """Sums over frames, one entry per threshold; sequences pool by adding."""

    matches: F64  # (19,)
    misses: F64  # (19,)
    false_positives: F64  # (19,)
    association: F64  # (19,) sum over matches of the two identities' agreement over the sequence

    @classmethod
    def pool(cls, counts: Sequence[Self]) -> Self:
        """Sum of several sequences."""
        return cls(
            matches=sum((c.matches for c in counts), np.zeros(len(THRESHOLDS))),
            misses=sum((c.misses for c in counts), np.zeros(len(THRESHOLDS))),
            false_positives=sum((c.false_positives for c in counts), np.zeros(len(THRESHOLDS))),
            association=sum((c.association for c in counts), np.zeros(len(THRESHOLDS))),
        )

    def scores(self) -> Hota:
        """HOTA = sqrt(DetA * AssA) at each threshold, then the mean."""
        deta = self.matches / np.maximum(self.matches + self.misses + self.false_positives, 1)
        assa = self.association / np.maximum(self.matches, 1)
        return Hota(hota=float(np.sqrt(deta * assa).mean()), deta=float(deta.mean()), assa=float(assa.mean()))


def count_hota(truth_ids: Sequence[I64], result_ids: Sequence[I64], overlaps: Sequence[F64]) -> HotaCounts:
    """Count one sequence, given per frame the ids (N,) and (M,) and their overlap (N, M)."""
    truth_rows, truth_boxes = _number(truth_ids)
    result_rows, result_boxes = _number(result_ids)
    frames = list(zip(truth_rows, result_rows, overlaps, strict=True))
    alignment = _global_alignment(frames, truth_boxes, result_boxes)

    matched = np.zeros((len(THRESHOLDS), len(truth_boxes), len(result_boxes)))
    for truth, results, overlap in frames:
        # Identities that go together over the whole sequence are matched first; overlap decides among them.
        rows, columns = linear_sum_assignment(alignment[np.ix_(truth, results)] * overlap, maximize=True)
        good = overlap[rows, columns] >= THRESHOLDS[:, None] - _TINY
        matched[:, truth[rows], results[columns]] += good

    matches = matched.sum(axis=(1, 2))
    jaccard = matched / np.maximum(truth_boxes[:, None] + result_boxes - matched, 1)
    return HotaCounts(
        matches=matches,
        misses=truth_boxes.sum() - matches,
        false_positives=result_boxes.sum() - matches,
        association=(matched * jaccard).sum(axis=(1, 2)),
    )


def _number(ids: Sequence[I64]) -> tuple[list[I64], F64]:
    """Ids as 0..I-1 per frame, and how many boxes each identity has (I,)."""
    unique, counts = np.unique(np.concatenate([np.zeros(0, np.int64), *ids]), return_counts=True)
    return [np.searchsorted(unique, frame).astype(np.int64) for frame in ids], counts.astype(np.float64)


def _global_alignment(frames: Sequence[tuple[I64, I64, F64]], truth_boxes: F64, result_boxes: F64) -> F64:
    """(I, J) how much of two identities' lives is spent together, as a soft Jaccard index."""
    together = np.zeros((len(truth_boxes), len(result_boxes)))
    for truth, results, overlap in frames:
        rivals = overlap.sum(axis=0) + overlap.sum(axis=1)[:, None] - overlap
        together[np.ix_(truth, results)] += np.divide(overlap, rivals, out=np.zeros_like(overlap), where=rivals > _TINY)
    return together / np.maximum(truth_boxes[:, None] + result_boxes - together, 1)
