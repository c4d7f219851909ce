"""MOTA and IDF1 as TrackEval counts them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.scores import compare as by_trackeval
from edge.tracking.mot_format import MotBoxes
from export.adapt.scores import Agreement, Boxes, compare, pooled

NOBODY = Boxes(np.zeros(0, np.int64), np.zeros((0, 4), np.float32))


def as_mot(frames: list[Boxes]) -> MotBoxes:
    counts = [len(one.ids) for one in frames]
    xyxy = np.concatenate([one.xyxy for one in frames]).astype(np.float64)
    return MotBoxes(
        frames=np.repeat(np.arange(1, len(frames) + 1), counts),
        ids=np.concatenate([one.ids for one in frames]),
        xywh=np.concatenate((xyxy[:, :2] + 1, xyxy[:, 2:] - xyxy[:, :2]), 1),
        flags=np.ones(sum(counts)),
        classes=np.ones(sum(counts), np.int64),
        visibility=np.ones(sum(counts)),
    )


def walk(seed: int, frames: int, people: int, noise: float, swapped: float) -> list[Boxes]:
    """People on lines; some are missing, boxes are off, and identities change now and then."""
    path, rng = np.random.default_rng(7), np.random.default_rng(seed)
    start, speed = path.uniform(0, 200, (people, 2)), path.uniform(-4, 4, (people, 2))
    ids, found = np.arange(1, people + 1), []
    for number in range(frames):
        if rng.random() < swapped:
            ids = rng.permutation(ids + people * (rng.random() < 0.3))
        corner = start + number * speed + rng.normal(0, 1, (people, 2)) * noise
        here = rng.random(people) > 0.2 * (noise > 0)
        xyxy = np.concatenate((corner, corner + np.array([30, 60])), 1)[here].astype(np.float32)
        found.append(Boxes(ids[here].astype(np.int64), xyxy))
    return found


def test_nobody_found_where_nobody_is_is_right() -> None:
    assert compare([], [], []) == Agreement()
    none = compare([NOBODY] * 3, [NOBODY] * 3, [0, 1, 2])
    assert (none.mota, none.idf1, none.agreed(1)) == (1, 1, 1)


def test_a_false_box_where_nobody_is_counts() -> None:
    box = Boxes(np.array([4]), np.array([[0, 0, 10, 20]], np.float32))
    one = compare([NOBODY], [box], [0])
    assert (one.mota, one.idf1, one.agreed(0)) == (0, 0, 0)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(1, 7), st.floats(0, 9), st.floats(0, 0.3))
def test_numbers_are_those_of_trackeval(seed: int, frames: int, people: int, noise: float, swapped: float) -> None:
    truth, ours = walk(0, frames, people, 0, 0), walk(seed, frames, people, noise, swapped)
    mine = compare(truth, ours, [0] * frames)
    theirs = by_trackeval(as_mot(truth), as_mot(ours), 1, frames)
    assert (mine.boxes, mine.boxes - mine.found) == (theirs.boxes, theirs.misses)
    assert (mine.ours - mine.found, mine.switches) == (theirs.false_positives, theirs.switches)
    assert mine.mota == pytest.approx(theirs.mota)
    assert mine.idf1 == pytest.approx(theirs.idf1)


def test_pooled_counts_are_sums() -> None:
    truth = walk(0, 12, 3, 0, 0)
    parts = [compare(truth, walk(seed, 12, 3, 4, 0.1), [number % 6 for number in range(12)]) for seed in (1, 2)]
    both = pooled(parts)
    assert both.boxes == 72 and both.found == sum(one.found for one in parts)
    assert sum(both.by_distance[since, "boxes"] for since in range(6)) == 72
    assert both.agreed(3) == pytest.approx(np.mean([one.agreed(3) for one in parts]), abs=0.2)
