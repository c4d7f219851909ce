"""Frames laid beside the truth, box by box: who was found and who was missed, what each false box is, who changed id.

By MOTChallenge's rules: misses, false boxes and switches add up to the numbers of benchmarks.metrics.scores, which
tells no matches of single frames.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from scipy.optimize import linear_sum_assignment

from benchmarks.metrics.overlaps import (
    DISTRACTORS,
    MATCH_IOU,
    ROUNDING,
    Overlaps,
    clean,
    iou,
    is_scored,
    lay_over,
    per_frame,
)
from edge.arrays import F64, I64, Bool
from edge.tracking.mot_format import PEDESTRIAN, MotBoxes

DUPLICATE_IOU = 0.3
"""Overlap with a person who was found from which on a false box is a second box of that person."""
TOUCHING_IOU = 0.1
"""Overlap below which a false box has nothing to do with a person."""
APART_S = 2.0
"""Two of a sequence's worst frames are at least this far apart: neighbours would show the same."""
STAYS = 1000.0
"""Outweighs every overlap."""
KEYFRAME, NO_KEYFRAME = 0, -1
"""Special values of `JudgedFrame.since_keyframe`."""


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


@dataclass(frozen=True, slots=True)
class JudgedFrame:
    """One frame: N people whom the truth scores, M results without those on distractors."""

    number: int
    """The sequence's own, from 1."""
    since_keyframe: int
    """Frames since the keyframe: KEYFRAME on one, NO_KEYFRAME where there was none."""
    people: MotBoxes  # (N,)
    found: Bool  # (N,)
    results: MotBoxes  # (M,)
    verdicts: I64  # (M,) Verdict
    unseen: tuple[int, ...]
    """Of everybody whose id changes here, the frames in between without a match; 0: it changed in plain view."""

    @property
    def missed(self) -> int:
        """People who were not found."""
        return int((~self.found).sum())

    @property
    def false(self) -> int:
        """Results that are not RIGHT."""
        return int((self.verdicts != Verdict.RIGHT).sum())


@dataclass(frozen=True, slots=True)
class JudgedSequence:
    """One sequence's judged frames, and what its pictures are like."""

    name: str
    frames: Sequence[JudgedFrame]
    size: tuple[int, int]
    """Width and height, source pixels."""
    ratio: float
    """Input pixels per source pixel."""
    frame_rate: float

    @property
    def has_visibility(self) -> bool:
        """Whether the truth says how much of people can be seen; MOT15's does not, and reads as 1 throughout."""
        return any((frame.people.visibility < 1).any() for frame in self.frames)

    def worst(self, wanted: int) -> list[JudgedFrame]:
        """At most `wanted` frames with errors, APART_S apart, the worst first; of equal ones the earliest."""
        chosen: list[JudgedFrame] = []
        for frame in sorted(self.frames, key=lambda one: -(one.missed + one.false)):
            far = all(abs(frame.number - other.number) >= APART_S * self.frame_rate for other in chosen)
            if far and frame.missed + frame.false:
                chosen.append(frame)
        return chosen[:wanted]


def judge(truth: MotBoxes, results: MotBoxes, first: int, since_keyframe: Sequence[int]) -> list[JudgedFrame]:
    """The frames from `first` on, one for each of `since_keyframe`."""
    last = first + len(since_keyframe) - 1
    cleaned = list(clean(truth, results, first, last))
    together = zip(cleaned, per_frame(truth, first, last), match(lay_over(cleaned)), since_keyframe, strict=True)
    known: dict[int, tuple[int, int]] = {}  # person -> frame and id of the last match
    frames = []
    for number, ((people, seen), everyone, (rows, columns), since) in enumerate(together, start=first):
        found = np.zeros(len(people), bool)
        found[rows] = True
        verdicts = _false_kinds(seen, people, found, everyone)
        verdicts[columns] = Verdict.RIGHT
        matches = dict(zip(people.ids[rows].tolist(), seen.ids[columns].tolist(), strict=True))
        changed = [known[person][0] for person, track in matches.items() if known.get(person, (0, track))[1] != track]
        unseen = tuple(number - before - 1 for before in changed)
        known |= {person: (number, track) for person, track in matches.items()}
        frames.append(JudgedFrame(number, since, people, found, seen, verdicts, unseen))
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
    named = (everyone.classes == PEDESTRIAN) | np.isin(everyone.classes, DISTRACTORS)
    unscored = everyone.where(named & ~is_scored(everyone))
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
