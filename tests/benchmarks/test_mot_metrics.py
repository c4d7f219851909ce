"""The evaluator agrees with MOTChallenge's own on the public sample, and with arithmetic on tiny scenes."""

from pathlib import Path

import motmetrics
import pytest

from benchmarks.mot_metrics import POOLED, MotScores, compare, score
from edge.mot_format import MotBoxes, parse_mot, read_mot

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

NOTHING = parse_mot([])


@pytest.fixture(scope="module")
def sample() -> dict[str, MotScores]:
    events = {}
    for name in ("TUD-Campus", "TUD-Stadtmitte"):
        truth = read_mot(SAMPLE / name / "gt.txt")
        results = read_mot(SAMPLE / name / "test.txt")
        events[name] = compare(truth, results, 1, int(truth.frames.max()))
    return score(events)


def boxes(*rows: tuple[int, int, float, float, float, float], classes: tuple[int, ...] = (), flag: int = 1) -> MotBoxes:
    """Rows of frame, id, left, top, width, height."""
    kinds = classes or (1,) * len(rows)
    return parse_mot(",".join(map(str, (*row, flag, kind, 1.0))) for row, kind in zip(rows, kinds, strict=True))


def scores(truth: MotBoxes, results: MotBoxes, first: int, last: int) -> MotScores:
    return score({"scene": compare(truth, results, first, last)})[POOLED]


@pytest.mark.parametrize("name", EXPECTED)
def test_sample_scores_equal_the_official_ones(sample: dict[str, MotScores], name: str) -> None:
    got = sample[name]
    ratios = (got.mota, got.idf1, got.idp, got.idr)
    counts = (
        got.boxes,
        got.identities,
        got.false_positives,
        got.misses,
        got.switches,
        got.fragmentations,
        got.mostly_tracked,
        got.mostly_lost,
    )
    assert ratios == pytest.approx(EXPECTED[name][:4], abs=5e-7)
    assert counts == EXPECTED[name][4:]


@pytest.mark.parametrize("name", EXPECTED_HOTA)
def test_sample_hota_equals_trackeval(sample: dict[str, MotScores], name: str) -> None:
    got = sample[name].hota
    assert (got.hota, got.deta, got.assa) == pytest.approx(EXPECTED_HOTA[name], rel=1e-12)


def test_frames_without_any_output_count_as_misses() -> None:
    truth = boxes((1, 1, 0, 0, 10, 20), (2, 1, 0, 0, 10, 20))
    got = scores(truth, NOTHING, 1, 2)
    assert (got.misses, got.mota, got.hota.hota) == (2, 0.0, 0.0)


def test_output_where_nobody_is_counts_as_false_positives() -> None:
    truth = boxes((1, 1, 0, 0, 10, 20), (2, 1, 0, 0, 10, 20))
    results = boxes((1, 5, 0, 0, 10, 20), (2, 5, 0, 0, 10, 20), (2, 6, 100, 0, 10, 20))
    got = scores(truth, results, 1, 2)
    assert (got.false_positives, got.misses, got.switches) == (1, 0, 0)
    assert got.mota == pytest.approx(0.5)
    assert got.hota.deta == pytest.approx(2 / 3)
    assert got.hota.assa == pytest.approx(1.0)


def test_a_change_of_identity_is_one_switch() -> None:
    truth = boxes(*[(f, 1, 0.0, 0.0, 10.0, 20.0) for f in range(1, 5)])
    results = boxes(*[(f, 7 if f < 3 else 8, 0.0, 0.0, 10.0, 20.0) for f in range(1, 5)])
    got = scores(truth, results, 1, 4)
    assert (got.switches, got.mota, got.idf1) == (1, pytest.approx(0.75), pytest.approx(0.5))


def test_overlap_of_exactly_one_half_is_a_match_and_less_is_none() -> None:
    truth = boxes((1, 1, 0, 0, 10, 20))
    assert scores(truth, boxes((1, 1, 0, 0, 10, 10)), 1, 1).misses == 0
    assert scores(truth, boxes((1, 1, 0, 0, 10, 9.9)), 1, 1).misses == 1


@pytest.mark.parametrize("kind", [2, 7, 8, 12])
def test_output_on_a_distractor_is_neither_right_nor_wrong(kind: int) -> None:
    truth = boxes((1, 1, 0, 0, 10, 20), (1, 2, 50, 0, 10, 20), classes=(1, kind))
    results = boxes((1, 1, 0, 0, 10, 20), (1, 2, 50, 0, 10, 20))
    got = scores(truth, results, 1, 1)
    assert (got.boxes, got.false_positives, got.misses) == (1, 0, 0)


@pytest.mark.parametrize("kind", [3, 4, 9, 11])
def test_output_on_another_thing_is_wrong(kind: int) -> None:
    truth = boxes((1, 1, 0, 0, 10, 20), (1, 2, 50, 0, 10, 20), classes=(1, kind))
    results = boxes((1, 1, 0, 0, 10, 20), (1, 2, 50, 0, 10, 20))
    assert scores(truth, results, 1, 1).false_positives == 1


def test_a_pedestrian_keeps_its_box_beside_a_distractor() -> None:
    """The result overlaps both; the pedestrian wins it, so it is not removed with the distractor."""
    truth = boxes((1, 1, 0, 0, 10, 20), (1, 2, 2, 0, 10, 20), classes=(1, 8))
    results = boxes((1, 1, 0.5, 0, 10, 20))
    got = scores(truth, results, 1, 1)
    assert (got.misses, got.false_positives) == (0, 0)


def test_unflagged_truth_is_not_scored() -> None:
    truth = boxes((1, 1, 0, 0, 10, 20), flag=0)
    got = scores(truth, boxes((1, 1, 0, 0, 10, 20)), 1, 1)
    assert (got.boxes, got.false_positives) == (0, 1)


def test_frames_outside_the_range_are_ignored() -> None:
    truth = boxes((1, 1, 0, 0, 10, 20), (2, 1, 0, 0, 10, 20), (3, 1, 0, 0, 10, 20))
    got = scores(truth, boxes((2, 4, 0, 0, 10, 20), (9, 4, 0, 0, 10, 20)), 2, 2)
    assert (got.boxes, got.false_positives, got.misses) == (1, 0, 0)
