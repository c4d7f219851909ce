"""The evaluator agrees with TrackEval on the public sample and a noisy scene, and with arithmetic on tiny ones."""

from pathlib import Path

import motmetrics
import numpy as np
import pytest

from benchmarks.scores import POOLED, MotScores, compare, measure_overlaps, with_pooled
from edge.tracking.mot_format import MotBoxes, parse_mot, read_mot

SAMPLE = Path(motmetrics.__file__).parent / "data"

# As computed by TrackEval 1.3.0 and py-motmetrics 1.4.0, and printed by the Matlab development kit.
EXPECTED = {
    "TUD-Campus": (0.526462, 0.557659, 0.729730, 0.451253, 359, 8, 13, 150, 7, 7, 1, 1),
    "TUD-Stadtmitte": (0.564014, 0.644619, 0.819760, 0.531142, 1156, 10, 45, 452, 7, 6, 5, 1),
    POOLED: (0.555116, 0.624296, 0.799176, 0.512211, 1515, 18, 58, 602, 14, 13, 6, 2),
}
EXPECTED_HOTA = {
    "TUD-Campus": (0.3913974378451139, 0.418047030142763, 0.36912068120832836),
    "TUD-Stadtmitte": (0.3978490169927877, 0.3922675723693166, 0.4088407518112996),
    POOLED: (0.3999570912884786, 0.3976832912424188, 0.4124495298453543),
}

# TrackEval 1.3.0 on `noisy_scene`.
NOISY = (409, 12, 63, 113, 73, 103, 1, 0)
NOISY_RATIOS = (0.39119804400978, 0.2864583333333333, 0.2840883086506337, 0.48581147071732234, 0.16833889811682654)

NOTHING = parse_mot([])


@pytest.fixture(scope="module")
def sample() -> dict[str, MotScores]:
    scores = {}
    for name in ("TUD-Campus", "TUD-Stadtmitte"):
        truth = read_mot(SAMPLE / name / "gt.txt")
        results = read_mot(SAMPLE / name / "test.txt")
        scores[name] = compare(truth, results, 1, int(truth.frames.max()))
    return with_pooled(scores)


def boxes(*rows: tuple[int, int, float, float, float, float], classes: tuple[int, ...] = (), flag: int = 1) -> MotBoxes:
    """Rows of frame, id, left, top, width, height."""
    kinds = classes or (1,) * len(rows)
    return parse_mot(",".join(map(str, (*row, flag, kind, 1.0))) for row, kind in zip(rows, kinds, strict=True))


def noisy_scene() -> tuple[MotBoxes, MotBoxes]:
    """40 frames of 12 people and 4 distractors that wander; results miss, jitter, swap and invent."""
    rng = np.random.default_rng(7)
    classes = [1] * 12 + [2, 7, 8, 12]
    centres = rng.uniform(0, 300, (16, 2))
    truth, results = [], []
    for frame in range(1, 41):
        centres += rng.normal(0, 4, centres.shape)
        for i, (x, y) in enumerate(centres.round(2).tolist()):
            if rng.random() < 0.1:
                continue
            truth.append(f"{frame},{i + 1},{x},{y},30,60,{int(rng.random() < 0.95)},{classes[i]},1")
            if rng.random() < 0.8:
                dx, dy = rng.normal(0, 5, 2).round(2).tolist()
                identity = i + 1 + 100 * int(rng.random() < 0.1) + 20 * (frame // 15)
                results.append(f"{frame},{identity},{x + dx:.2f},{y + dy:.2f},30,60,1")
        if rng.random() < 0.3:
            results.append(f"{frame},{900 + frame},{rng.uniform(0, 300):.2f},0,30,60,1")
    return parse_mot(truth), parse_mot(results)


def clear_counts(got: MotScores) -> tuple[int, ...]:
    c = got
    found = (c.boxes, c.identities, c.false_positives, c.misses, c.switches, c.fragmentations)
    return (*found, c.mostly_tracked, c.mostly_lost)


@pytest.mark.parametrize("name", EXPECTED)
def test_sample_scores_equal_the_official_ones(sample: dict[str, MotScores], name: str) -> None:
    got = sample[name]
    ratios = (got.mota, got.idf1, got.idp, got.idr)
    assert ratios == pytest.approx(EXPECTED[name][:4], abs=5e-7)
    assert clear_counts(got) == EXPECTED[name][4:]


@pytest.mark.parametrize("name", EXPECTED_HOTA)
def test_sample_hota_equals_trackeval(sample: dict[str, MotScores], name: str) -> None:
    got = sample[name]
    assert (got.hota, got.deta, got.assa) == pytest.approx(EXPECTED_HOTA[name], rel=1e-12)


def test_frames_without_any_output_count_as_misses() -> None:
    truth = boxes((1, 1, 0, 0, 10, 20), (2, 1, 0, 0, 10, 20))
    got = compare(truth, NOTHING, 1, 2)
    assert (got.misses, got.mota, got.hota) == (2, 0.0, 0.0)


def test_output_where_nobody_is_counts_as_false_positives() -> None:
    truth = boxes((1, 1, 0, 0, 10, 20), (2, 1, 0, 0, 10, 20))
    results = boxes((1, 5, 0, 0, 10, 20), (2, 5, 0, 0, 10, 20), (2, 6, 100, 0, 10, 20))
    got = compare(truth, results, 1, 2)
    assert (got.false_positives, got.misses, got.switches) == (1, 0, 0)
    assert got.mota == pytest.approx(0.5)
    assert got.deta == pytest.approx(2 / 3)
    assert got.assa == pytest.approx(1.0)


def test_a_change_of_identity_is_one_switch() -> None:
    truth = boxes(*[(f, 1, 0.0, 0.0, 10.0, 20.0) for f in range(1, 5)])
    results = boxes(*[(f, 7 if f < 3 else 8, 0.0, 0.0, 10.0, 20.0) for f in range(1, 5)])
    got = compare(truth, results, 1, 4)
    assert (got.switches, got.mota, got.idf1) == (1, pytest.approx(0.75), pytest.approx(0.5))


def test_overlap_of_exactly_one_half_is_a_match_and_less_is_none() -> None:
    truth = boxes((1, 1, 0, 0, 10, 20))
    assert compare(truth, boxes((1, 1, 0, 0, 10, 10)), 1, 1).misses == 0
    assert compare(truth, boxes((1, 1, 0, 0, 10, 9.9)), 1, 1).misses == 1


@pytest.mark.parametrize("kind", [2, 7, 8, 12])
def test_output_on_a_distractor_is_neither_right_nor_wrong(kind: int) -> None:
    truth = boxes((1, 1, 0, 0, 10, 20), (1, 2, 50, 0, 10, 20), classes=(1, kind))
    results = boxes((1, 1, 0, 0, 10, 20), (1, 2, 50, 0, 10, 20))
    got = compare(truth, results, 1, 1)
    assert (got.boxes, got.false_positives, got.misses) == (1, 0, 0)


@pytest.mark.parametrize("kind", [3, 4, 9, 11])
def test_output_on_another_thing_is_wrong(kind: int) -> None:
    truth = boxes((1, 1, 0, 0, 10, 20), (1, 2, 50, 0, 10, 20), classes=(1, kind))
    results = boxes((1, 1, 0, 0, 10, 20), (1, 2, 50, 0, 10, 20))
    assert compare(truth, results, 1, 1).false_positives == 1


def test_a_pedestrian_keeps_its_box_beside_a_distractor() -> None:
    """The result overlaps both; the pedestrian wins it, so it is not removed with the distractor."""
    truth = boxes((1, 1, 0, 0, 10, 20), (1, 2, 2, 0, 10, 20), classes=(1, 8))
    results = boxes((1, 1, 0.5, 0, 10, 20))
    got = compare(truth, results, 1, 1)
    assert (got.misses, got.false_positives) == (0, 0)


def test_unflagged_truth_is_not_scored() -> None:
    truth = boxes((1, 1, 0, 0, 10, 20), flag=0)
    got = compare(truth, boxes((1, 1, 0, 0, 10, 20)), 1, 1)
    assert (got.boxes, got.false_positives) == (0, 1)


def test_frames_outside_the_range_are_ignored() -> None:
    truth = boxes((1, 1, 0, 0, 10, 20), (2, 1, 0, 0, 10, 20), (3, 1, 0, 0, 10, 20))
    got = compare(truth, boxes((2, 4, 0, 0, 10, 20), (9, 4, 0, 0, 10, 20)), 2, 2)
    assert (got.boxes, got.false_positives, got.misses) == (1, 0, 0)


def test_a_noisy_scene_scores_as_in_trackeval() -> None:
    """Numbers of TrackEval 1.3.0, MOT17 preprocessing included, for these very boxes."""
    got = compare(*noisy_scene(), 1, 40)
    assert clear_counts(got) == NOISY
    ratios = (got.mota, got.idf1, got.hota, got.deta, got.assa)
    assert ratios == pytest.approx(NOISY_RATIOS, rel=1e-12)


def test_idf1_of_a_noisy_scene_equals_that_of_motmetrics() -> None:
    truth, results = noisy_scene()
    accumulator = motmetrics.MOTAccumulator(auto_id=True)
    for people, found, overlap in measure_overlaps(truth, results, 1, 40).frames:
        accumulator.update(people, found, np.where(overlap >= 0.5, 1 - overlap, np.nan))
    theirs = motmetrics.metrics.create().compute(accumulator, metrics=["idf1", "idp", "idr"]).iloc[0]
    ours = compare(truth, results, 1, 40)
    assert (ours.idf1, ours.idp, ours.idr) == pytest.approx(tuple(theirs), rel=1e-12)


def test_nothing_at_all_scores_without_dividing_by_zero() -> None:
    got = compare(NOTHING, NOTHING, 1, 3)
    assert (got.boxes, got.idf1, got.hota) == (0, 0, 0)


def test_the_match_of_the_frame_before_outweighs_a_better_overlap() -> None:
    """The known identity still overlaps enough, so the newcomer on top is a false positive and no switch."""
    truth = boxes((1, 1, 0, 0, 10, 20), (2, 1, 0, 0, 10, 20))
    results = boxes((1, 5, 0, 0, 10, 20), (2, 5, 3, 0, 10, 20), (2, 6, 0, 0, 10, 20))
    got = compare(truth, results, 1, 2)
    assert (got.switches, got.false_positives) == (0, 1)


def test_a_frame_without_results_leaves_the_match_before_it_in_force() -> None:
    truth = boxes(*[(f, 1, 0.0, 0.0, 10.0, 20.0) for f in (1, 2, 3)])
    results = boxes((1, 5, 0, 0, 10, 20), (3, 5, 3, 0, 10, 20), (3, 6, 0, 0, 10, 20))
    got = compare(truth, results, 1, 3)
    assert (got.switches, got.misses, got.fragmentations) == (0, 1, 0)
