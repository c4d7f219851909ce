"""FairMOT's way to score: py-motmetrics agrees on the public sample and on noisy scenes, and each rule shows."""

from pathlib import Path

import motmetrics
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.mot_metrics import POOLED, compare, with_pooled
from benchmarks.score_fairmot import FairMotCounts, count_fairmot
from edge.tracking.boxes import iou_matrix, xywh_to_xyxy
from edge.tracking.mot_format import MotBoxes, parse_mot, read_mot

SAMPLE = Path(motmetrics.__file__).parent / "data"
NOTHING = parse_mot([])


def boxes(*rows: tuple[int, int, float, float, float, float], kinds: tuple[int, ...] = ()) -> MotBoxes:
    """Rows of frame, id, left, top, width, height."""
    classes = kinds or (1,) * len(rows)
    return parse_mot(",".join(map(str, (*row, 1, kind, 1.0))) for row, kind in zip(rows, classes, strict=True))


def by_motmetrics(truth: MotBoxes, results: MotBoxes) -> tuple[int, ...]:
    """What py-motmetrics counts, with FairMOT's removals and choice of frames, one frame after the other."""
    accumulator = motmetrics.MOTAccumulator(auto_id=True)
    for frame in sorted(set(results.frames.tolist())):
        everyone, seen = truth.where(truth.frames == frame), results.where(results.frames == frame)
        distractors = everyone.where(np.isin(everyone.classes, (2, 7, 8, 12)))
        rows, columns = motmetrics.lap.linear_sum_assignment(distances(distractors, seen))
        near = np.isfinite(distances(distractors, seen)[rows, columns])
        kept = seen.where(~np.isin(np.arange(len(seen)), columns[near]))
        people = everyone.where((everyone.classes == 1) & (everyone.flags != 0))
        accumulator.update(people.ids, kept.ids, distances(people, kept))
    names = ["num_objects", "num_predictions", "num_misses", "num_false_positives", "num_switches", "idtp"]
    return tuple(motmetrics.metrics.create().compute(accumulator, metrics=names).iloc[0].astype(int).tolist())


def distances(ours: MotBoxes, theirs: MotBoxes) -> np.ndarray:
    overlap = iou_matrix(xywh_to_xyxy(ours.xywh), xywh_to_xyxy(theirs.xywh))
    return np.where(overlap >= 0.5, 1 - overlap, np.nan)


def counts(got: FairMotCounts) -> tuple[int, ...]:
    return got.boxes, got.results, got.misses, got.false_positives, got.switches, got.right


def test_nothing_at_all_scores_without_dividing_by_zero() -> None:
    got = count_fairmot(NOTHING, NOTHING, 1, 3)
    assert (got.boxes, got.idf1, got.mota) == (0, 0, 1)


@pytest.mark.parametrize(
    ("name", "mota", "idf1"), [("TUD-Campus", 0.526462, 0.557659), ("TUD-Stadtmitte", 0.564014, 0.644619)]
)
def test_the_public_sample_scores_as_printed(name: str, mota: float, idf1: float) -> None:
    """It has no distractors, and results in every frame: there both ways agree."""
    truth, results = read_mot(SAMPLE / name / "gt.txt"), read_mot(SAMPLE / name / "test.txt")
    got = count_fairmot(truth, results, 1, int(truth.frames.max()))
    assert (got.mota, got.idf1) == pytest.approx((mota, idf1), abs=5e-7)
    assert counts(got) == by_motmetrics(truth, results)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_noisy_scenes_count_as_in_motmetrics(seed: int) -> None:
    truth, results = noisy_scene(np.random.default_rng(seed))
    assert counts(count_fairmot(truth, results, 1, 25)) == by_motmetrics(truth, results)


def test_frames_without_results_are_forgiven() -> None:
    truth = boxes(*[(frame, 1, 0.0, 0.0, 10.0, 20.0) for frame in (1, 2, 3)])
    results = boxes((2, 5, 0, 0, 10, 20))
    assert count_fairmot(truth, results, 1, 3).mota == 1
    assert compare(truth, results, 1, 3).clear.misses == 2


def test_a_pedestrian_loses_its_box_to_a_distractor_beside_it() -> None:
    truth = boxes((1, 1, 0, 0, 10, 20), (1, 2, 2, 0, 10, 20), kinds=(1, 8))
    results = boxes((1, 1, 0.5, 0, 10, 20), (1, 2, 100, 0, 10, 20))
    assert count_fairmot(truth, results, 1, 1).misses == 1
    assert compare(truth, results, 1, 1).clear.misses == 0


def test_a_match_of_long_ago_still_outweighs_a_better_overlap() -> None:
    """Frame 2 matches nobody; MOTChallenge has then forgotten whom the person was matched with before."""
    truth = boxes(*[(frame, 1, 0.0, 0.0, 10.0, 20.0) for frame in (1, 2, 3)])
    results = boxes((1, 5, 0, 0, 10, 20), (2, 5, 50, 0, 10, 20), (3, 5, 3, 0, 10, 20), (3, 6, 0, 0, 10, 20))
    assert count_fairmot(truth, results, 1, 3).switches == 0
    assert compare(truth, results, 1, 3).clear.switches == 1


def test_counts_of_two_sequences_are_pooled_by_sums() -> None:
    truth, elsewhere = boxes((1, 1, 0, 0, 10, 20)), boxes((1, 1, 50, 0, 10, 20))
    pooled = with_pooled({"found": compare(truth, truth, 1, 1), "missed": compare(truth, elsewhere, 1, 1)})[POOLED]
    assert counts(pooled.fairmot) == (2, 2, 1, 1, 0, 1)
    assert pooled.as_record()["fairmot"]["mota"] == 0.0


def noisy_scene(rng: np.random.Generator) -> tuple[MotBoxes, MotBoxes]:
    """25 frames of 6 people and 3 distractors close together; results miss, jitter, swap, invent, and leave frames."""
    kinds = [1] * 6 + [2, 7, 12]
    centres = rng.uniform(0, 90, (9, 2))
    truth, results = [], []
    for frame in range(1, 26):
        centres += rng.normal(0, 3, centres.shape)
        silent = rng.random() < 0.1
        for i, (x, y) in enumerate(centres.round(2).tolist()):
            if rng.random() < 0.1:
                continue
            truth.append(f"{frame},{i + 1},{x},{y},30,60,{int(rng.random() < 0.9)},{kinds[i]},1")
            if not silent and rng.random() < 0.8:
                dx, dy = rng.normal(0, 5, 2).round(2).tolist()
                identity = i + 1 + 100 * int(rng.random() < 0.15) + 20 * (frame // 10)
                results.append(f"{frame},{identity},{x + dx:.2f},{y + dy:.2f},30,60,1")
    return parse_mot(truth), parse_mot(results)
