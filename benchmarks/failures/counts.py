"""Judged frames of several sequences as counts: recall by height, by visibility, by the keyframe's age, and so on.

Everything is a count or a ratio of counts, ready for JSON. `recall` is found / people, `precision` is found / results;
None where there was nothing to count.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.failures.judge import KEYFRAME, JudgedFrame, JudgedSequence, Verdict
from edge.arrays import F64, I64, Bool

HEIGHTS_PX = (0, 15, 25, 40, 60, 100, 160, math.inf)
"""Bins of people's heights, input pixels: what the networks see, whatever the camera's resolution."""
VISIBILITIES = (0, 0.2, 0.4, 0.6, 0.8, 1)
UNSEEN_FRAMES = (0, 1, 6, 16, 31, math.inf)
"""Bins of the frames that somebody was not found before the id changed; the first is `in plain view`."""
EDGE_PX = 1.0
"""A box that comes this near to the picture's edge is cut by it: MOT15's boxes end there, MOT17's go beyond."""
FALSE_KINDS = {verdict: verdict.name.lower() for verdict in Verdict if verdict is not Verdict.RIGHT}


@dataclass(frozen=True, slots=True)
class _People:
    """Every box of the truth, N in all."""

    heights: F64  # (N,) input pixels
    visibility: F64  # (N,) 0 to 1; NaN where unknown
    cut: Bool  # (N,) by the picture's edge
    found: Bool  # (N,)


def count(sequences: Sequence[JudgedSequence]) -> dict[str, Any]:
    """All counts, pooled and by sequence."""
    people = _People(
        heights=_joined([f.people.xywh[:, 3] * s.ratio for s in sequences for f in s.frames]),
        visibility=_joined([_visibility(s, f) for s in sequences for f in s.frames]),
        cut=_joined([_cut(s, f) for s in sequences for f in s.frames]) > 0,
        found=_joined([f.found for s in sequences for f in s.frames]) > 0,
    )
    frames = [frame for sequence in sequences for frame in sequence.frames]
    known = ~np.isnan(people.visibility)
    ages = sorted({frame.since_keyframe for frame in frames})
    return {
        "pooled": _totals(frames),
        "by_sequence": [{"sequence": one.name} | _totals(one.frames) for one in sequences],
        "recall_by_height_in_input_px": _in_bins(people.heights, people.found, HEIGHTS_PX),
        "recall_by_visibility": _in_bins(people.visibility[known], people.found[known], VISIBILITIES),
        "visibility_unknown_in": [one.name for one in sequences if not one.has_visibility],
        "recall_by_edge": {"cut": _recall(people.found[people.cut]), "whole": _recall(people.found[~people.cut])},
        "by_frames_since_keyframe": [
            {"since_keyframe": age} | _totals([f for f in frames if f.since_keyframe == age]) for age in ages
        ],
        "switches_by_frames_unseen": _switches(frames),
    }


def _totals(frames: Sequence[JudgedFrame]) -> dict[str, Any]:
    """What happened in these frames."""
    verdicts = Counter(_joined([frame.verdicts for frame in frames]).astype(int).tolist())
    found = _joined([frame.found for frame in frames]) > 0
    return {
        "frames": len(frames),
        **_recall(found),
        "precision": _ratio(verdicts[Verdict.RIGHT], verdicts.total()),
        "false": {name: verdicts[verdict] for verdict, name in FALSE_KINDS.items()},
        "switches": sum(len(frame.unseen) for frame in frames),
    }


def _recall(found: Bool) -> dict[str, Any]:
    right = int(found.sum())
    return {"people": len(found), "found": right, "recall": _ratio(right, len(found))}


def _ratio(part: int, whole: int) -> float | None:
    return round(part / whole, 5) if whole else None


def _in_bins(values: F64, found: Bool, edges: Sequence[float]) -> list[dict[str, Any]]:
    """Recall of those in each bin; the lower edge belongs to it, and so does the upper one of the last."""
    places = _places(values, edges)
    return [_bounds(low, high) | _recall(found[places == i]) for i, (low, high) in enumerate(pairwise(edges))]


def _switches(frames: Sequence[JudgedFrame]) -> list[dict[str, Any]]:
    """By the frames unseen before, those that came at keyframes and those at the frames between."""
    counts = []
    for keyframes in (True, False):
        unseen = [n for frame in frames if (frame.since_keyframe == KEYFRAME) == keyframes for n in frame.unseen]
        places = _places(np.array(unseen, np.float64), UNSEEN_FRAMES)
        counts.append(np.bincount(places, minlength=len(UNSEEN_FRAMES) - 1).tolist())
    bins = zip(pairwise(UNSEEN_FRAMES), *counts, strict=True)
    return [_bounds(*edges) | {"at_keyframe": at_keyframe, "between": between} for edges, at_keyframe, between in bins]


def _places(values: F64, edges: Sequence[float]) -> I64:
    """(N,) the bin of each value."""
    return np.digitize(values, edges[1:-1]).astype(np.int64)


def _bounds(low: float, high: float) -> dict[str, Any]:
    """JSON knows no infinity."""
    return {"from": low, "below": None if math.isinf(high) else high}


def _visibility(sequence: JudgedSequence, frame: JudgedFrame) -> F64:
    return frame.people.visibility if sequence.has_visibility else np.full(len(frame.people), np.nan)


def _cut(sequence: JudgedSequence, frame: JudgedFrame) -> Bool:
    """(N,) whose box reaches the picture's edge."""
    left, top, right, bottom = frame.people.xyxy.T
    width, height = sequence.size
    near: Bool = np.minimum(np.minimum(left, top), np.minimum(width - right, height - bottom)) <= EDGE_PX
    return near


def _joined(parts: Sequence[Any]) -> F64:
    """All parts in one row; empty where there are none."""
    return np.concatenate([np.zeros(0), *parts])
