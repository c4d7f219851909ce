"""Scores of a tracker's output against ground truth: MOTA, IDF1 and HOTA, counted by TrackEval.

Every frame of the range counts, also one without any output; a match needs IoU >= 0.5 (HOTA: a range of thresholds).
"""

from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field, fields
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from edge.arrays import F64, I64, Bool
from edge.tracking.boxes import iou_matrix, xywh_to_xyxy
from edge.tracking.mot_format import PEDESTRIAN, MotBoxes

POOLED = "pooled"
"""Name of the row over all sequences: counts are summed, ratios are never averaged."""
MATCH_IOU = 0.5
"""Least overlap of a match."""
ROUNDING = float(np.finfo(np.float64).eps)
"""An overlap that rounding puts just below a threshold still counts."""
DISTRACTORS = (2, 7, 8, 12)
"""Person on vehicle, static person, distractor, reflection: finding one is neither right nor wrong."""


@dataclass(frozen=True, slots=True)
class Overlaps:
    """I true identities and J found ones of one sequence, both numbered from 0."""

    frames: list[tuple[I64, I64, F64]]  # per frame: true identities (n,), found ones (m,), IoU (n, m)
    truth_boxes: F64  # (I,) boxes of each true identity
    result_boxes: F64  # (J,) boxes of each found identity


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


def measure_overlaps(truth: MotBoxes, results: MotBoxes, first: int, last: int) -> Overlaps:
    """Lay results over ground truth in frames first..last, both included, as MOTChallenge does.

    Results on a distractor are removed; what remains of the truth is pedestrians with a flag. Visibility is not used.
    """
    people, found, overlaps = [], [], []
    for everyone, seen in zip(_per_frame(truth, first, last), _per_frame(results, first, last), strict=True):
        scored = everyone.where((everyone.classes == PEDESTRIAN) & (everyone.flags != 0))
        counted = seen.where(~_on_distractor(everyone, seen))
        people.append(scored.ids)
        found.append(counted.ids)
        overlaps.append(_iou(scored, counted))
    true_rows, truth_boxes = _number(people)
    found_rows, result_boxes = _number(found)
    return Overlaps(list(zip(true_rows, found_rows, overlaps, strict=True)), truth_boxes, result_boxes)


def _on_distractor(everyone: MotBoxes, seen: MotBoxes) -> Bool:
    """(M,) which results of one frame match a distractor, when people and distractors compete for them."""
    overlap = _iou(everyone, seen)
    overlap[overlap < MATCH_IOU - ROUNDING] = 0
    rows, columns = linear_sum_assignment(overlap, maximize=True)
    matched = (overlap[rows, columns] > 0) & np.isin(everyone.classes[rows], DISTRACTORS)
    mask = np.zeros(len(seen), bool)
    mask[columns[matched]] = True
    return mask


def _per_frame(boxes: MotBoxes, first: int, last: int) -> Iterator[MotBoxes]:
    """The boxes of each frame first..last, also where there are none."""
    order = np.argsort(boxes.frames, kind="stable")
    ends = np.searchsorted(boxes.frames[order], np.arange(first, last + 2))
    for start, end in pairwise(ends.tolist()):
        yield MotBoxes(*(getattr(boxes, field.name)[order[start:end]] for field in fields(MotBoxes)))


def _iou(ours: MotBoxes, theirs: MotBoxes) -> F64:
    """(N, M) intersection over union."""
    return iou_matrix(xywh_to_xyxy(ours.xywh), xywh_to_xyxy(theirs.xywh))


def _number(ids: list[I64]) -> tuple[list[I64], F64]:
    """Ids as 0..I-1 per frame, and how many boxes each identity has (I,)."""
    unique, counts = np.unique(np.concatenate([np.zeros(0, np.int64), *ids]), return_counts=True)
    return [np.searchsorted(unique, frame).astype(np.int64) for frame in ids], counts.astype(np.float64)
