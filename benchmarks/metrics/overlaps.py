"""Ground truth and results of one sequence, frame by frame, ready to be counted."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from itertools import pairwise

import numpy as np
from scipy.optimize import linear_sum_assignment

from edge.arrays import F64, I64, Bool
from edge.tracking.boxes import iou_matrix, xywh_to_xyxy
from edge.tracking.mot_format import PEDESTRIAN, MotBoxes

MATCH_IOU = 0.5
"""Least overlap of a match."""
ROUNDING = float(np.finfo(np.float64).eps)
"""An overlap that rounding puts just below a threshold still counts."""
DISTRACTORS = (2, 7, 8, 12)
"""Person on vehicle, static person, distractor, reflection: finding one is neither right nor wrong."""


@dataclass(frozen=True, slots=True)
class Overlaps:
    """I true identities and J found ones, both numbered from 0."""

    frames: list[tuple[I64, I64, F64]]  # per frame: true identities (n,), found ones (m,), IoU (n, m)
    truth_boxes: F64  # (I,) boxes of each true identity
    result_boxes: F64  # (J,) boxes of each found identity


def measure_overlaps(truth: MotBoxes, results: MotBoxes, first: int, last: int) -> Overlaps:
    """Lay results over ground truth in frames first..last, both included, as MOTChallenge does."""
    return lay_over(clean(truth, results, first, last))


def clean(truth: MotBoxes, results: MotBoxes, first: int, last: int) -> Iterator[tuple[MotBoxes, MotBoxes]]:
    """People and results of each frame first..last, as MOTChallenge counts them.

    Results on a distractor are removed; what remains of the truth is pedestrians with a flag. Visibility is not used.
    """
    both = zip(per_frame(truth, first, last), per_frame(results, first, last), strict=True)
    return (
        (everyone.where(is_scored(everyone)), seen.where(~on_distractor(everyone, seen))) for everyone, seen in both
    )


def lay_over(frames: Iterable[tuple[MotBoxes, MotBoxes]]) -> Overlaps:
    """People and results of each frame, all of which count."""
    people, found, overlaps = [], [], []
    for truth, results in frames:
        people.append(truth.ids)
        found.append(results.ids)
        overlaps.append(iou(truth, results))
    true_rows, truth_boxes = _number(people)
    found_rows, result_boxes = _number(found)
    return Overlaps(list(zip(true_rows, found_rows, overlaps, strict=True)), truth_boxes, result_boxes)


def is_scored(everyone: MotBoxes) -> Bool:
    """(N,) those that a tracker has to find: pedestrians with a flag."""
    scored: Bool = (everyone.classes == PEDESTRIAN) & (everyone.flags != 0)
    return scored


def is_named(everyone: MotBoxes) -> Bool:
    """(N,) whom the truth names, scored or not: pedestrians and distractors."""
    named: Bool = np.isin(everyone.classes, (PEDESTRIAN, *DISTRACTORS))
    return named


def on_distractor(everyone: MotBoxes, seen: MotBoxes) -> Bool:
    """(M,) which results of one frame match a distractor, when people and distractors compete for them."""
    overlap = iou(everyone, seen)
    overlap[overlap < MATCH_IOU - ROUNDING] = 0
    rows, columns = linear_sum_assignment(overlap, maximize=True)
    matched = (overlap[rows, columns] > 0) & np.isin(everyone.classes[rows], DISTRACTORS)
    mask = np.zeros(len(seen), bool)
    mask[columns[matched]] = True
    return mask


def per_frame(boxes: MotBoxes, first: int, last: int) -> Iterator[MotBoxes]:
    """The boxes of each frame first..last, also where there are none."""
    order = np.argsort(boxes.frames, kind="stable")
    ends = np.searchsorted(boxes.frames[order], np.arange(first, last + 2))
    for start, end in pairwise(ends.tolist()):
        yield MotBoxes(*(getattr(boxes, field.name)[order[start:end]] for field in fields(MotBoxes)))


def iou(ours: MotBoxes, theirs: MotBoxes) -> F64:
    """(N, M) intersection over union."""
    return iou_matrix(xywh_to_xyxy(ours.xywh), xywh_to_xyxy(theirs.xywh))


def _number(ids: list[I64]) -> tuple[list[I64], F64]:
    """Ids as 0..I-1 per frame, and how many boxes each identity has (I,)."""
    unique, counts = np.unique(np.concatenate([np.zeros(0, np.int64), *ids]), return_counts=True)
    return [np.searchsorted(unique, frame).astype(np.int64) for frame in ids], counts.astype(np.float64)
