"""Scores of a tracker's output against ground truth: MOTA, IDF1 and HOTA by the rules of MOTChallenge (TrackEval).

Every frame of the range counts, also one without any output; a match needs IoU >= 0.5 (HOTA: a range of thresholds).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from benchmarks.metrics.clear import ClearCounts, count_clear
from benchmarks.metrics.hota import HotaCounts, count_hota
from benchmarks.metrics.identity import IdentityCounts, count_identity
from benchmarks.metrics.overlaps import measure_overlaps
from edge.tracking.mot_format import MotBoxes

POOLED = "pooled"
"""Name of the row over all sequences: counts are summed, ratios are never averaged."""

Counts = TypeVar("Counts", ClearCounts, IdentityCounts, HotaCounts)


@dataclass(frozen=True, slots=True)
class MotScores:
    """Everything counted in one sequence, or in several pooled."""

    clear: ClearCounts
    identity: IdentityCounts
    hota: HotaCounts

    def as_record(self) -> dict[str, Any]:
        """Flat and short, for files; ratios are fractions."""
        counts = {field.name: getattr(self.clear, field.name) for field in fields(self.clear)}
        return {
            "mota": round(self.clear.mota, 5),
            "idf1": round(self.identity.idf1, 5),
            "idp": round(self.identity.idp, 5),
            "idr": round(self.identity.idr, 5),
            "hota": round(self.hota.hota, 5),
            "deta": round(self.hota.deta, 5),
            "assa": round(self.hota.assa, 5),
            **counts,
        }


def compare(truth: MotBoxes, results: MotBoxes, first: int, last: int) -> MotScores:
    """Score results over frames first..last, both included."""
    sequence = measure_overlaps(truth, results, first, last)
    return MotScores(count_clear(sequence), count_identity(sequence), count_hota(sequence))


def with_pooled(scores: Mapping[str, MotScores]) -> dict[str, MotScores]:
    """The sequences' scores, and POOLED over them all."""
    pooled = MotScores(
        _sum([s.clear for s in scores.values()]),
        _sum([s.identity for s in scores.values()]),
        _sum([s.hota for s in scores.values()]),
    )
    return {**scores, POOLED: pooled}


def _sum(counts: Sequence[Counts]) -> Counts:
    """Field by field; at least one."""
    kind = type(counts[0])
    return kind(*(sum(getattr(c, field.name) for c in counts) for field in fields(kind)))
