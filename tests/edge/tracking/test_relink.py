"""Identity across an interruption: found again by appearance, and by nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from edge.tracking.detections import Detections, Tracks
from edge.tracking.tracker import Tracker, TrackerSettings

FRAME_S = 1 / 25
NOBODY = Detections.empty(8)


def persons(*people: tuple[int, float], noise: float = 0.0, seed: int = 0) -> Detections:
    """(look, x) of each person: the look is an axis of the embedding, x the centre of a box of 40 x 100 px."""
    looks = np.eye(8)[[look for look, _ in people]] + noise * np.random.default_rng(seed).normal(size=(len(people), 8))
    centres = np.array([x for _, x in people], np.float32)
    boxes = np.stack((centres - 20, np.full_like(centres, 50), centres + 20, np.full_like(centres, 150)), axis=1)
    return Detections(
        xyxy=boxes,
        scores=np.full(len(people), 0.9, np.float32),
        embeddings=(looks / np.linalg.norm(looks, axis=1, keepdims=True)).astype(np.float32),
        points=np.zeros((len(people), 2), np.float32),
    )


def ids(tracks: Tracks) -> list[int]:
    return tracks.ids.tolist()


def who(tracks: Tracks) -> dict[int, int]:
    """Id of the person in each row of the detections."""
    return dict(zip(tracks.detection.tolist(), tracks.ids.tolist(), strict=True))


def seen_for_a_second(detections: Detections, settings: TrackerSettings | None = None) -> Tracker:
    tracker = Tracker(settings)
    for _ in range(25):
        tracker.update(detections, FRAME_S)
    return tracker


def test_interruption_of_nobody_is_no_trouble() -> None:
    tracker = Tracker()
    tracker.interrupt(10)
    tracker.interrupt(10)
    assert len(tracker.update(NOBODY, FRAME_S)) == 0
    assert ids(tracker.update(persons((0, 100)), FRAME_S)) == []
    assert ids(tracker.update(persons((0, 100)), FRAME_S)) == [1]


def test_people_keep_their_ids_over_ten_seconds_wherever_they_went() -> None:
    tracker = seen_for_a_second(persons((0, 100), (1, 300), (2, 500)))
    tracker.interrupt(10)
    tracks = tracker.update(persons((2, 220), (0, 700), (1, 40), noise=0.1), FRAME_S)
    assert who(tracks) == {0: 3, 1: 1, 2: 2}
    assert ids(tracks) == [1, 2, 3]
    assert (tracks.ages_s > 10.9).all()


def test_two_who_swapped_sides_are_told_apart_by_their_looks() -> None:
    tracker = seen_for_a_second(persons((0, 100), (1, 500)))
    tracker.interrupt(10)
    assert who(tracker.update(persons((0, 500), (1, 100)), FRAME_S)) == {0: 1, 1: 2}


def test_motion_restarts_where_the_person_is_seen_and_at_rest() -> None:
    tracker = Tracker()
    for frame in range(25):
        tracker.update(persons((0, 100 + 8 * frame)), FRAME_S)
    tracker.interrupt(10)
    detections = persons((0, 900))
    tracks = tracker.update(detections, FRAME_S)
    assert ids(tracks) == [1]
    np.testing.assert_allclose(tracks.xyxy, detections.xyxy)
    assert tracks.velocities.tolist() == [[0, 0]]


def test_nobody_is_shown_before_being_seen_again() -> None:
    tracker = seen_for_a_second(persons((0, 100), (1, 300)))
    tracker.interrupt(0.1)
    assert len(tracker.lost()) == len(tracker.predict_boxes(0.1)) == 0
    assert len(tracker.update(NOBODY, FRAME_S)) == 0
    assert len(tracker.lost()) == 0


def test_somebody_who_steps_in_later_is_found_again_when_confirmed() -> None:
    tracker = seen_for_a_second(persons((0, 100), (1, 300)))
    tracker.interrupt(10)
    assert ids(tracker.update(persons((1, 300)), FRAME_S)) == [2]
    both = persons((1, 300), (0, 600))
    assert ids(tracker.update(both, FRAME_S)) == [2]
    assert who(tracker.update(both, FRAME_S)) == {0: 2, 1: 1}


@pytest.mark.parametrize(("gap_s", "same"), [(0, True), (28.9, True), (29.99, True), (30.2, False), (500, False)])
def test_the_memory_ends_relink_s_after_the_last_look(gap_s: float, same: bool) -> None:
    tracker = seen_for_a_second(persons((0, 100)))
    tracker.interrupt(gap_s)
    assert ids(tracker.update(persons((0, 100)), FRAME_S)) == ([1] if same else [2])


def test_the_absent_are_remembered_and_then_gone() -> None:
    tracker = seen_for_a_second(persons((0, 100)))
    tracker.interrupt(29)
    assert tracker.update(NOBODY, FRAME_S).remembered.tolist() == [1]
    tracks = tracker.update(NOBODY, 2)
    assert (tracks.remembered.tolist(), tracks.gone.ids.tolist(), tracks.gone.whys) == ([], [1], ("unseen",))


def test_a_stranger_in_the_same_place_gets_an_id_of_their_own() -> None:
    tracker = seen_for_a_second(persons((0, 100)))
    tracker.interrupt(1)
    assert ids(tracker.update(persons((1, 100)), FRAME_S)) == [2]


def test_an_identity_is_given_back_once_only() -> None:
    tracker = seen_for_a_second(persons((0, 100)))
    tracker.interrupt(1)
    twins = tracker.update(persons((0, 100), (0, 500)), FRAME_S)
    assert ids(twins) == [1, 2]


def test_memory_outlives_a_second_interruption() -> None:
    tracker = seen_for_a_second(persons((0, 100), (1, 300)))
    tracker.interrupt(5)
    assert ids(tracker.update(persons((1, 300)), FRAME_S)) == [2]
    tracker.interrupt(5)
    assert who(tracker.update(persons((0, 100), (1, 300)), FRAME_S)) == {0: 1, 1: 2}


@pytest.mark.parametrize("gap_s", [-1, float("nan"), float("inf")])
def test_bad_gap_is_refused_and_changes_nothing(gap_s: float) -> None:
    tracker = seen_for_a_second(persons((0, 100)))
    with pytest.raises(ValueError, match="gap_s"):
        tracker.interrupt(gap_s)
    assert ids(tracker.update(persons((0, 100)), FRAME_S)) == [1]


def test_absent_people_still_decide_the_length_of_embeddings() -> None:
    tracker = seen_for_a_second(persons((0, 100)))
    tracker.interrupt(1)
    other = Detections(
        np.zeros((1, 4), np.float32), np.ones(1, np.float32), np.ones((1, 3), np.float32), np.zeros((1, 2), np.float32)
    )
    with pytest.raises(ValueError, match="8"):
        tracker.update(other, FRAME_S)


@given(before=st.integers(0, 6), after=st.integers(0, 6), seed=st.integers(0, 10_000), noise=st.floats(0, 1.5))
def test_links_are_the_best_assignment_under_the_limit(before: int, after: int, seed: int, noise: float) -> None:
    """Oracle: SciPy's assignment over the extended cost matrix."""
    rng = np.random.default_rng(seed)
    first = persons(*((look, 100.0 * look) for look in range(before)))
    second = persons(
        *((int(look), 100.0 * i) for i, look in enumerate(rng.integers(0, 7, after))), noise=noise, seed=seed
    )
    tracker = Tracker(TrackerSettings(smoothing=1.0))
    tracker.update(first, 0)
    tracker.interrupt(10)
    got = who(tracker.update(second, 0))
    cost = np.maximum(0, 1 - first.embeddings.astype(float) @ second.embeddings.astype(float).T)
    extended = np.full((before + after, before + after), 0.2)
    extended[:before, :after] = np.where(cost < 0.4, cost, 1e6)
    extended[before:, after:] = 0
    rows, columns = linear_sum_assignment(extended)
    expected_cost = extended[rows, columns].sum()
    linked = {column: id_ - 1 for column, id_ in got.items() if id_ <= before}
    got_cost = sum(cost[row, column] for column, row in linked.items()) + 0.2 * (before + after - 2 * len(linked))
    assert len(got) == after and len(set(got.values())) == after
    assert got_cost == pytest.approx(expected_cost, abs=1e-5)
    assert all(cost[row, column] < 0.4 for column, row in linked.items())
