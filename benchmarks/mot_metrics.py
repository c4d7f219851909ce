"""Scores of a tracker's output against ground truth: MOTA and IDF1 by py-motmetrics, HOTA by `benchmarks.hota`.

The rules are those of MOTChallenge's evaluation kit: every frame of the range counts, also one without any output;
a match needs IoU >= 0.5; result boxes that lie on a distractor are removed before scoring.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import motmetrics
import numpy as np
from scipy.optimize import linear_sum_assignment

from benchmarks.hota import Hota, HotaCounts, count_hota
from edge.arrays import F64, I64, Bool
from edge.boxes import iou_matrix, xywh_to_xyxy
from edge.mot_format import PEDESTRIAN, MotBoxes

MATCH_IOU = 0.5
DISTRACTORS = (2, 7, 8, 12)
"""Person on vehicle, static person, distractor, reflection: finding one is neither right nor wrong."""
POOLED = "pooled"
"""Name of the row over all sequences: counts are summed, ratios are never averaged."""

_COUNTS = {
    "mota": "mota",
    "idf1": "idf1",
    "idp": "idp",
    "idr": "idr",
    "num_objects": "boxes",
    "num_unique_objects": "identities",
    "num_false_positives": "false_positives",
    "num_misses": "misses",
    "num_switches": "switches",
    "num_fragmentations": "fragmentations",
    "mostly_tracked": "mostly_tracked",
    "mostly_lost": "mostly_lost",
}


@dataclass(frozen=True, slots=True)
class SequenceEvents:
    """What happened in one sequence; sequences pool by these, not by their scores."""

    accumulator: motmetrics.MOTAccumulator
    hota: HotaCounts


@dataclass(frozen=True, slots=True)
class MotScores:
    """Scores of one sequence, or of several pooled. Ratios are fractions, not percent."""

    mota: float
    """1 - (misses + false positives + switches) / boxes; may be negative."""
    idf1: float
    idp: float
    idr: float
    hota: Hota
    boxes: int
    """Ground truth boxes."""
    identities: int
    """Ground truth identities, summed over sequences."""
    false_positives: int
    misses: int
    switches: int
    fragmentations: int
    mostly_tracked: int
    mostly_lost: int


def compare(truth: MotBoxes, results: MotBoxes, first: int, last: int) -> SequenceEvents:
    """Match results with ground truth over frames first..last, both included."""
    accumulator = motmetrics.MOTAccumulator()
    truth_ids: list[I64] = []
    result_ids: list[I64] = []
    overlaps: list[F64] = []
    frames = zip(_per_frame(truth, first, last), _per_frame(results, first, last), strict=True)
    for frame, (everyone, found) in enumerate(frames, start=first):
        found = found.where(~on_distractor(everyone, found))
        people = everyone.where((everyone.classes == PEDESTRIAN) & (everyone.flags != 0))
        overlap = _overlap(people, found)
        accumulator.update(people.ids, found.ids, np.where(overlap >= MATCH_IOU, 1 - overlap, np.nan), frameid=frame)
        truth_ids.append(people.ids)
        result_ids.append(found.ids)
        overlaps.append(overlap)
    return SequenceEvents(accumulator, count_hota(truth_ids, result_ids, overlaps))


def on_distractor(everyone: MotBoxes, found: MotBoxes) -> Bool:
    """(M,) which found boxes of one frame match a distractor, when people and distractors compete for them."""
    overlap = _overlap(everyone, found)
    rows, columns = linear_sum_assignment(np.where(overlap >= MATCH_IOU, overlap, 0), maximize=True)
    matched = (overlap[rows, columns] >= MATCH_IOU) & np.isin(everyone.classes[rows], DISTRACTORS)
    mask = np.zeros(len(found), bool)
    mask[columns[matched]] = True
    return mask


def score(events: Mapping[str, SequenceEvents]) -> dict[str, MotScores]:
    """Scores per sequence, then POOLED over all of them."""
    table = motmetrics.metrics.create().compute_many(
        [event.accumulator for event in events.values()],
        names=list(events),
        metrics=list(_COUNTS),
        generate_overall=True,
    )
    hotas = {name: event.hota.scores() for name, event in events.items()}
    hotas[POOLED] = HotaCounts.pool([event.hota for event in events.values()]).scores()
    rows = table.rename(index={"OVERALL": POOLED}, columns=_COUNTS).to_dict(orient="index")
    return {name: MotScores(hota=hotas[name], **row) for name, row in rows.items()}


def _per_frame(boxes: MotBoxes, first: int, last: int) -> Iterator[MotBoxes]:
    """The boxes of each frame first..last, also where there are none."""
    for frame in range(first, last + 1):
        yield boxes.where(boxes.frames == frame)


def _overlap(ours: MotBoxes, theirs: MotBoxes) -> F64:
    """(N, M) intersection over union."""
    return iou_matrix(xywh_to_xyxy(ours.xywh), xywh_to_xyxy(theirs.xywh))
