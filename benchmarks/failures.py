"""Where tracking fails: whom it misses, what its false boxes lie on, when identities change.

    atttrack bench failures --data ../shared/data/sequences
    atttrack bench failures --data my-cameras --half all --mode teacher --models runs/models --output /tmp

Runs the pipeline that the service runs over halves of sequences that were never trained on, as benchmarks.accuracy
does, and counts by the same rules: misses, false boxes and switches add up to its numbers. Prints, and writes
NAME.json. --data has a folder per sequence in MOTChallenge form: seqinfo.ini, gt.txt or gt/gt.txt, img1/ or video.mp4.
"""

import argparse
import math
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from benchmarks.accuracy import add_frames, as_boxes, open_half
from benchmarks.arms import ARMS, Variant, has_period, mode_of, open_pipelines, track_sequence
from benchmarks.command import about, add_networks, command, networks, one_line, open_networks
from benchmarks.conditions import save
from benchmarks.metrics.overlaps import (
    MATCH_IOU,
    ROUNDING,
    Overlaps,
    clean,
    iou,
    is_named,
    is_scored,
    lay_over,
    per_frame,
)
from edge.arrays import F64, I64, Bool
from edge.ops.letterbox import Letterbox
from edge.pipeline.config import LaneSettings
from edge.tracking.mot_folders import sequence_folder, sequence_name
from edge.tracking.mot_format import MotBoxes

DUPLICATE_IOU = 0.3
"""Overlap with a person who was found from which on a false box is a second box of that person."""
TOUCHING_IOU = 0.1
"""Overlap below which a false box has nothing to do with a person."""
STAYS = 1000.0
"""Outweighs every overlap."""
KEYFRAME = 0
"""Value of `JudgedFrame.since_keyframe`; below it, there was none yet."""
HEIGHTS_PX = (0, 15, 25, 40, 60, 100, 160, math.inf)
"""Bins of people's heights, input pixels: what the networks see, whatever the camera's resolution."""
VISIBILITIES = (0, 0.2, 0.4, 0.6, 0.8, 1)
UNSEEN_FRAMES = (0, 1, 6, 16, 31, math.inf)
"""Bins of the frames that somebody was not found before the id changed; the first is in plain view."""


class Verdict(IntEnum):
    """What a result box is; of the false ones, what it lies on: the first of these that holds."""

    RIGHT = 0
    DUPLICATE = 1
    """A person who has a better box: overlap of at least DUPLICATE_IOU."""
    UNSCORED = 2
    """Somebody whom the truth names but does not score, such as the very small: overlap of a match."""
    PARTLY = 3
    """A person, but too little for a match: overlap of at least TOUCHING_IOU."""
    NOTHING = 4


FALSE_KINDS = {verdict: verdict.name.lower() for verdict in Verdict if verdict is not Verdict.RIGHT}


@dataclass(frozen=True, slots=True)
class JudgedFrame:
    """One frame: N people whom the truth scores, M results without those on distractors."""

    since_keyframe: int
    """Frames since the keyframe: KEYFRAME on one, negative where there was none."""
    people: MotBoxes  # (N,)
    found: Bool  # (N,)
    verdicts: I64  # (M,) Verdict
    unseen: tuple[int, ...]
    """Of everybody whose id changes here, the frames in between without a match; 0: it changed in plain view."""


@dataclass(frozen=True, slots=True)
class JudgedSequence:
    """One sequence's judged frames."""

    name: str
    frames: Sequence[JudgedFrame]
    ratio: float
    """Input pixels per source pixel."""

    @property
    def has_visibility(self) -> bool:
        """Whether the truth says how much of people can be seen; MOT15's does not, and reads as 1 throughout."""
        return any((frame.people.visibility < 1).any() for frame in self.frames)


def judge(truth: MotBoxes, results: MotBoxes, first: int, since_keyframe: Sequence[int]) -> list[JudgedFrame]:
    """The frames from `first` on, one for each of `since_keyframe`."""
    last = first + len(since_keyframe) - 1
    cleaned = list(clean(truth, results, first, last))
    together = zip(cleaned, per_frame(truth, first, last), match(lay_over(cleaned)), since_keyframe, strict=True)
    known: dict[int, tuple[int, int]] = {}  # person -> frame and id of the last match
    frames = []
    for number, ((people, seen), everyone, (rows, columns), since) in enumerate(together):
        found = np.zeros(len(people), bool)
        found[rows] = True
        verdicts = _false_kinds(seen, people, found, everyone)
        verdicts[columns] = Verdict.RIGHT
        matches = dict(zip(people.ids[rows].tolist(), seen.ids[columns].tolist(), strict=True))
        changed = [known[person][0] for person, track in matches.items() if known.get(person, (0, track))[1] != track]
        known |= {person: (number, track) for person, track in matches.items()}
        frames.append(JudgedFrame(since, people, found, verdicts, tuple(number - before - 1 for before in changed)))
    return frames


def match(sequence: Overlaps) -> Iterator[tuple[I64, I64]]:
    """Per frame: rows of the truth (n,) and of the results (n,) that belong together, as CLEAR MOT has it.

    Whoever was matched in the last frame that had both truth and results stays matched while the overlap allows.
    """
    before = np.full(len(sequence.truth_boxes), -1)
    for truth, results, overlap in sequence.frames:
        score = overlap + STAYS * (before[truth][:, None] == results)
        score[overlap < MATCH_IOU - ROUNDING] = 0
        rows, columns = linear_sum_assignment(score, maximize=True)
        good = score[rows, columns] > 0
        if score.size:
            before[:] = -1
        before[truth[rows[good]]] = results[columns[good]]
        yield rows[good], columns[good]


def _false_kinds(seen: MotBoxes, people: MotBoxes, found: Bool, everyone: MotBoxes) -> I64:
    """(M,) verdicts on results, as though all of them were false."""
    unscored = everyone.where(is_named(everyone) & ~is_scored(everyone))
    kinds = [
        (_best(seen, people.where(found)) >= DUPLICATE_IOU - ROUNDING, Verdict.DUPLICATE),
        (_best(seen, unscored) >= MATCH_IOU - ROUNDING, Verdict.UNSCORED),
        (_best(seen, people) >= TOUCHING_IOU - ROUNDING, Verdict.PARTLY),
    ]
    return np.select([holds for holds, _ in kinds], [kind for _, kind in kinds], Verdict.NOTHING).astype(np.int64)


def _best(seen: MotBoxes, others: MotBoxes) -> F64:
    """(M,) each result's largest overlap with any of the others; 0 where there are none."""
    best: F64 = iou(others, seen).max(axis=0, initial=0)
    return best


def count(sequences: Sequence[JudgedSequence]) -> dict[str, Any]:
    """Everything as counts and ratios of counts, pooled and in groups; None where there was nothing to count."""
    frames = [frame for sequence in sequences for frame in sequence.frames]
    heights = _joined([frame.people.xywh[:, 3] * one.ratio for one in sequences for frame in one.frames])
    telling = [frame for sequence in sequences if sequence.has_visibility for frame in sequence.frames]
    visible = _joined([frame.people.visibility for frame in telling])
    ages = sorted({frame.since_keyframe for frame in frames})
    return {
        "pooled": _totals(frames),
        "by_sequence": [{"sequence": one.name} | _totals(one.frames) for one in sequences],
        "recall_by_height_in_input_px": _in_bins(heights, _found(frames), HEIGHTS_PX),
        "recall_by_visibility": _in_bins(visible, _found(telling), VISIBILITIES),
        "visibility_unknown_in": [one.name for one in sequences if not one.has_visibility],
        "by_frames_since_keyframe": [
            {"since_keyframe": age} | _totals([f for f in frames if f.since_keyframe == age]) for age in ages
        ],
        "switches_by_frames_unseen": _switches(frames),
    }


def _totals(frames: Sequence[JudgedFrame]) -> dict[str, Any]:
    """What happened in these frames."""
    verdicts = Counter(_joined([frame.verdicts for frame in frames]).astype(int).tolist())
    return {
        "frames": len(frames),
        **_recall(_found(frames)),
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
    places = np.digitize(values, edges[1:-1])
    return [_bounds(low, high) | _recall(found[places == i]) for i, (low, high) in enumerate(pairwise(edges))]


def _switches(frames: Sequence[JudgedFrame]) -> list[dict[str, Any]]:
    """By the frames unseen before, those that came at keyframes and those at the frames between."""
    counts = []
    for keyframes in (True, False):
        unseen = [n for frame in frames if (frame.since_keyframe == KEYFRAME) == keyframes for n in frame.unseen]
        places = np.digitize(np.array(unseen, np.float64), UNSEEN_FRAMES[1:-1])
        counts.append(np.bincount(places, minlength=len(UNSEEN_FRAMES) - 1).tolist())
    bins = zip(pairwise(UNSEEN_FRAMES), *counts, strict=True)
    return [_bounds(*edges) | {"at_keyframe": at_keyframe, "between": between} for edges, at_keyframe, between in bins]


def _bounds(low: float, high: float) -> dict[str, Any]:
    """JSON knows no infinity."""
    return {"from": low, "below": None if math.isinf(high) else high}


def _found(frames: Sequence[JudgedFrame]) -> Bool:
    found: Bool = _joined([frame.found for frame in frames]) > 0
    return found


def _joined(parts: Sequence[Any]) -> F64:
    """All parts in one row; empty where there are none."""
    return np.concatenate([np.zeros(0), *parts])


def lines(result: Mapping[str, Any]) -> Iterator[str]:
    """Tables: a line per sequence, pooled last; then recall in groups, and switches."""
    rows = [*result["by_sequence"], {"sequence": "pooled"} | result["pooled"]]
    rows += [{"sequence": _age(row["since_keyframe"])} | row for row in result["by_frames_since_keyframe"]]
    kinds = list(FALSE_KINDS.values())
    yield f"{'':16} {'people':>7} {'recall':>7} {'precision':>9} {'switches':>8}   false boxes: {', '.join(kinds)}"
    for row in rows:
        false = " ".join(f"{row['false'][kind]:>7}" for kind in kinds)
        recall, precision = _percent(row["recall"]), _percent(row["precision"])
        yield f"{row['sequence']:16} {row['people']:>7} {recall:>7} {precision:>9} {row['switches']:>8}   {false}"
    for title, group in (("height, input pixels", "height_in_input_px"), ("visible part", "visibility")):
        yield f"\n{title:22} people  recall"
        for row in result[f"recall_by_{group}"]:
            yield f"from {row['from']:<17g} {row['people']:>6} {_percent(row['recall']):>7}"
    yield "\nframes unseen before   switches at a keyframe, at another frame"
    for row in result["switches_by_frames_unseen"]:
        yield f"from {row['from']:<17} {row['at_keyframe']:>9} {row['between']:>9}"


def _age(since_keyframe: int) -> str:
    return f"keyframe + {since_keyframe}" if since_keyframe >= KEYFRAME else "no keyframe"


def _percent(ratio: float | None) -> str:
    return "-" if ratio is None else f"{100 * ratio:.1f}"


def sequence_folders(data: Path, names: Sequence[str] | None) -> list[Path]:
    """Those named, or all that are there, of MOT17's copies one. Raises ValueError where that is none."""
    here = {sequence_name(path.parent) for path in data.glob("*/seqinfo.ini")}
    if not names and not here:
        raise ValueError(f"{data} has no sequence: a folder with seqinfo.ini and gt.txt")
    return [sequence_folder(data, name) for name in names or sorted(here)]


@one_line("failures")
def main(arguments: Sequence[str] | None = None) -> int:
    """One sequence after the other; print and save."""
    parser = command("failures", __doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of sequence folders")
    parser.add_argument("--sequences", nargs="+", metavar="NAME", help="default: all that are there")
    parser.add_argument("--mode", choices=ARMS, default="atttrack", help="which")
    parser.add_argument("--k", type=int, default=6, help="keyframe period")
    add_networks(parser)
    add_frames(parser)
    parser.add_argument("--name", default="failures", help="of the result's file")
    options = parser.parse_args(arguments)
    folders, backend = sequence_folders(options.data, options.sequences), open_networks(options, mode_of(options.mode))
    variant = Variant(options.mode, options.k if has_period(options.mode) else None)
    pipelines = open_pipelines([variant], backend, LaneSettings(k=options.k, threshold=options.threshold))
    result = about(options, backend) | {"mode": variant.mode, "k": variant.k, "half": options.half}
    result |= {"threshold": options.threshold, "networks": networks(backend)}
    result |= count([_judge_folder(folder, pipelines, options) for folder in folders])
    print("\n".join(lines(result)))
    print(f"\nsaved {save(options.name, result, options.output)}")
    return 0


def _judge_folder(folder: Path, pipelines: Mapping[Variant, Any], options: argparse.Namespace) -> JudgedSequence:
    """Track one sequence and judge its frames."""
    source, truth = open_half(folder, options.half)
    (tracked,) = track_sequence(source, pipelines).values()
    frames = judge(truth, as_boxes(tracked, source.first), source.first, [frame.since_teacher for frame in tracked])
    ratio = Letterbox(source.info.width, source.info.height, *options.size).ratio
    return JudgedSequence(sequence_name(folder), frames, ratio)


if __name__ == "__main__":
    sys.exit(main())
