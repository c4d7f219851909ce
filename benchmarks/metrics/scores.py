"""Scores of a tracker's output against ground truth: MOTA, IDF1 and HOTA, counted by TrackEval.

Every frame of the range counts, also one without any output; a match needs IoU >= 0.5 (HOTA: a range of thresholds).
"""

from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any

from benchmarks.metrics.overlaps import Overlaps, measure_overlaps
from edge.tracking.mot_format import MotBoxes

POOLED = "pooled"
"""Name of the row over all sequences: counts are summed, ratios are never averaged."""


@dataclass(frozen=True, slots=True)
class MotScores:
    """What was counted in one sequence, or in several pooled. Ratios are fractions."""

    mota: float
    """1 - errors / boxes; negative when there are more errors than boxes."""
    idf1: float
    idp: float
    idr: float
    hota: float
    deta: float
    assa: float
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
    counts: tuple[Mapping[str, Any], ...] = field(repr=False)
    """TrackEval's own, of `_metrics`, which can be pooled."""

    @classmethod
    def of(cls, clear: Mapping[str, Any], identity: Mapping[str, Any], hota: Mapping[str, Any]) -> "MotScores":
        """From TrackEval's words."""
        return cls(
            mota=float(clear["MOTA"]),
            idf1=float(identity["IDF1"]),
            idp=float(identity["IDP"]),
            idr=float(identity["IDR"]),
            hota=float(hota["HOTA"].mean()),
            deta=float(hota["DetA"].mean()),
            assa=float(hota["AssA"].mean()),
            boxes=int(clear["CLR_TP"] + clear["CLR_FN"]),
            identities=int(clear["MT"] + clear["PT"] + clear["ML"]),
            misses=int(clear["CLR_FN"]),
            false_positives=int(clear["CLR_FP"]),
            switches=int(clear["IDSW"]),
            fragmentations=int(clear["Frag"]),
            mostly_tracked=int(clear["MT"]),
            mostly_lost=int(clear["ML"]),
            counts=(clear, identity, hota),
        )

    def as_record(self) -> dict[str, Any]:
        """Flat and short, for files."""
        return {f.name: round(getattr(self, f.name), 5) for f in fields(self) if f.name != "counts"}


def compare(truth: MotBoxes, results: MotBoxes, first: int, last: int) -> MotScores:
    """Score results over frames first..last, both included."""
    overlaps = _for_trackeval(measure_overlaps(truth, results, first, last))
    return MotScores.of(*(metric.eval_sequence(overlaps) for metric in _metrics()))


def with_pooled(scores: Mapping[str, MotScores]) -> dict[str, MotScores]:
    """The sequences' scores, and POOLED over them all."""
    of_metric = [{name: one.counts[i] for name, one in scores.items()} for i in range(len(_metrics()))]
    pooled = (metric.combine_sequences(of) for metric, of in zip(_metrics(), of_metric, strict=True))
    return {**scores, POOLED: MotScores.of(*pooled)}


@cache
def _metrics() -> tuple[Any, ...]:
    """CLEAR MOT (Bernardin 2008), identity (Ristani 2016) and HOTA (Luiten 2020)."""
    try:
        with redirect_stdout(None):  # it tells which of its datasets lack a package
            from trackeval.metrics import CLEAR, HOTA, Identity
    except ModuleNotFoundError as error:
        raise ValueError(
            f"{error.name} is missing; pip install --no-deps -r requirements/alone.txt brings it"
        ) from None
    quiet = {"PRINT_CONFIG": False}
    return CLEAR(quiet), Identity(quiet), HOTA()


def _for_trackeval(sequence: Overlaps) -> dict[str, Any]:
    people, found, overlaps = zip(*sequence.frames, strict=True) if sequence.frames else ((), (), ())
    return {
        "num_timesteps": len(people),
        "gt_ids": people,
        "tracker_ids": found,
        "similarity_scores": overlaps,
        "num_gt_ids": len(sequence.truth_boxes),
        "num_tracker_ids": len(sequence.result_boxes),
        "num_gt_dets": int(sequence.truth_boxes.sum()),
        "num_tracker_dets": int(sequence.result_boxes.sum()),
    }
