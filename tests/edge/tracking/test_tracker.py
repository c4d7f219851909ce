"""The tracker against a slow one written from FairMOT's description, and what a user may rely on."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.tracking.detections import Detections, Tracks, TrackState
from edge.tracking.tracker import LONGEST_GAP_S, Tracker, TrackerSettings
from testbed.crowd import CrowdFilm
from tests.support.slow_tracker import SlowTracker

FRAME_S = 1 / 30
NOBODY = Detections.empty(4)


def persons(*boxes: tuple[float, float, float, float], looks: tuple[int, ...] = (), score: float = 0.9) -> Detections:
    """Detections xyxy; person i looks like the i-th axis unless `looks` says otherwise."""
    axes = looks or tuple(range(len(boxes)))
    return Detections(
        xyxy=np.array(boxes, np.float32).reshape(-1, 4),
        scores=np.full(len(boxes), score, np.float32),
        embeddings=np.eye(4, dtype=np.float32)[list(axes)],
        points=np.zeros((len(boxes), 2), np.float32),
    )


def at(x: float, y: float = 100.0) -> tuple[float, float, float, float]:
    """A box of 40 x 100 px around (x, y)."""
    return (x - 20, y - 50, x + 20, y + 50)


def ids(tracks: Tracks) -> list[int]:
    return tracks.ids.tolist()


def test_nobody_gives_no_tracks() -> None:
    tracker = Tracker()
    for _ in range(3):
        assert len(tracker.update(Detections.empty(), FRAME_S)) == 0
    assert len(tracker.lost()) == len(tracker.predict_boxes(0.1)) == 0


def test_people_of_the_first_frame_are_confirmed_at_once_later_ones_when_seen_twice() -> None:
    tracker = Tracker()
    assert ids(tracker.update(persons(at(100), at(300)), FRAME_S)) == [1, 2]
    three = persons(at(100), at(300), at(500))
    assert ids(tracker.update(three, FRAME_S)) == [1, 2]
    assert ids(tracker.update(three, FRAME_S)) == [1, 2, 3]


def without_looks(*boxes: tuple[float, float, float, float]) -> Detections:
    """Detections of a network that says nothing of appearance."""
    return replace(persons(*boxes), embeddings=np.zeros((len(boxes), 1), np.float32))


def test_without_looks_people_keep_their_ids_by_motion_also_over_a_short_absence() -> None:
    tracker = Tracker()
    for step in range(20):
        right, left = at(100 + 4 * step, 80), at(400 - 4 * step, 210)
        seen = (left,) if step in (12, 13, 14) else (left, right)
        tracks = tracker.update(without_looks(*seen), FRAME_S)
        assert ids(tracks) == ([1] if len(seen) == 1 else [1, 2])
        assert tracks.detection.tolist() == [*range(len(seen))]


def test_without_looks_nobody_is_taken_for_an_absent_person_after_an_interruption() -> None:
    tracker = Tracker()
    tracker.update(without_looks(at(100)), FRAME_S)
    tracker.interrupt(1.0)
    assert ids(tracker.update(without_looks(at(100)), FRAME_S)) == [2]


def test_a_ghost_of_one_frame_uses_no_id_up() -> None:
    tracker = Tracker()
    tracker.update(persons(at(100)), FRAME_S)
    tracker.update(persons(at(100), at(300)), FRAME_S)
    tracker.update(persons(at(100)), FRAME_S)
    for _ in range(2):
        tracks = tracker.update(persons(at(100), at(500)), FRAME_S)
    assert ids(tracks) == [1, 2]


def test_every_field_of_a_track_is_as_promised() -> None:
    tracker = Tracker()
    tracker.update(persons(at(300), at(100)), FRAME_S)
    tracks = tracker.update(persons(at(104), at(300), looks=(1, 0), score=0.75), 0.5)
    assert ids(tracks) == [1, 2]
    assert tracks.detection.tolist() == [1, 0]
    assert tracks.states.tolist() == [TrackState.CONFIRMED] * 2
    assert tracks.scores.tolist() == [0.75, 0.75]
    assert tracks.ages_s.tolist() == [0.5, 0.5]
    np.testing.assert_allclose(tracks.xyxy[0], at(300))
    assert 100 < (tracks.xyxy[1, 0] + tracks.xyxy[1, 2]) / 2 < 104
    assert tracks.velocities[0].tolist() == [0, 0]
    assert 0 < tracks.velocities[1, 0] < 4 / 0.5
    for name, dtype in (
        *(("ids", np.int64), ("xyxy", np.float32), ("scores", np.float32), ("states", np.uint8)),
        *(("velocities", np.float32), ("ages_s", np.float32), ("detection", np.int32)),
    ):
        assert getattr(tracks, name).dtype == dtype


def test_velocity_is_zero_at_first_and_then_found_at_any_frame_rate() -> None:
    for frame_rate in (7, 25, 60):
        tracker = Tracker()
        first = tracker.update(persons(at(100)), 0)
        assert first.velocities.tolist() == [[0, 0]]
        for frame in range(1, 3 * frame_rate):
            tracks = tracker.update(persons(at(100 + 90 * frame / frame_rate)), 1 / frame_rate)
        assert ids(tracks) == [1]
        np.testing.assert_allclose(tracks.velocities, [[90, 0]], atol=2)


@pytest.mark.parametrize("frame_rate", [7, 14, 25, 30, 60])
@pytest.mark.parametrize(("gap_s", "same"), [(0.5, True), (0.99, True), (1.2, False)])
def test_an_identity_is_remembered_for_a_time_not_for_a_number_of_frames(
    frame_rate: int, gap_s: float, same: bool
) -> None:
    tracker = Tracker()
    tracker.update(persons(at(100)), 0)
    tracker.update(persons(at(100)), 1 / frame_rate)
    for _ in range(int(gap_s * frame_rate)):
        assert len(tracker.update(NOBODY, 1 / frame_rate)) == 0
    assert len(tracker.lost()) == (1 if same or int(gap_s * frame_rate) <= frame_rate else 0)
    for _ in range(2):
        tracks = tracker.update(persons(at(100)), 1 / frame_rate)
    assert ids(tracks) == ([1] if same else [2])


@pytest.mark.parametrize("frame_rate", [7, 14, 25, 30, 60])
def test_the_last_frame_of_the_memory_counts_however_times_are_rounded(frame_rate: int) -> None:
    for frames_before in range(1, 20):
        tracker = Tracker()
        for _ in range(frames_before):
            tracker.update(persons(at(100)), 1 / frame_rate)
        for _ in range(frame_rate):
            tracker.update(NOBODY, 1 / frame_rate)
        assert len(tracker.lost()) == 1
        tracker.update(NOBODY, 1 / frame_rate)
        assert len(tracker.lost()) == 0


def test_lost_people_are_where_they_were_heading() -> None:
    tracker = Tracker()
    for frame in range(30):
        tracker.update(persons(at(100 + 3 * frame)), FRAME_S)
    for _ in range(10):
        tracker.update(NOBODY, FRAME_S)
    lost = tracker.lost()
    assert (ids(lost), lost.states.tolist(), lost.detection.tolist()) == ([1], [TrackState.LOST], [-1])
    np.testing.assert_allclose(lost.xyxy[0], at(100 + 3 * 39), atol=3)


def test_prediction_moves_boxes_and_leaves_the_tracker_alone() -> None:
    tracker, twin = Tracker(), Tracker()
    for frame in range(30):
        for each in (tracker, twin):
            tracks = each.update(persons(at(100 + 3 * frame)), FRAME_S)
    predicted = tracker.predict_boxes(2 * FRAME_S)
    np.testing.assert_allclose(predicted.xyxy[0] - tracks.xyxy[0], [6, 0, 6, 0], atol=0.5)
    assert predicted.detection.tolist() == [-1]
    after = [each.update(persons(at(190)), FRAME_S) for each in (tracker, twin)]
    np.testing.assert_array_equal(after[0].xyxy, after[1].xyxy)


@pytest.mark.parametrize("weak_rate", [0.0, 0.3])
@pytest.mark.parametrize(("people", "seed"), [(1, 1), (6, 2), (15, 3), (30, 4), (30, 5), (60, 6)])
def test_a_crowd_gets_the_ids_of_the_slow_tracker(people: int, seed: int, weak_rate: float) -> None:
    # Looks so noisy that the distance to one's own past is often at the limit.
    crowd = CrowdFilm(
        people, seed, size=(960, 540), miss_rate=0.15, false_alarm_rate=0.1, embedding_dim=16, look_noise=0.25
    )
    fairmot = TrackerSettings(smallest_area_px=0, widest_aspect=100, iou_confirm=0, same_iou=1)
    tracker, slow = Tracker(fairmot), SlowTracker()
    rng = np.random.default_rng(seed)
    for _ in range(100 if people < 60 else 40):
        detections, _ = crowd.step()
        weak = rng.random(len(detections)) < weak_rate
        detections.scores[weak] = rng.uniform(0.1, 0.45, weak.sum())
        tracks = tracker.update(detections, FRAME_S)
        expected = slow.update(detections)
        assert ids(tracks) == sorted(expected)
        assert tracks.detection.tolist() == [expected[track][0] for track in ids(tracks)]
        boxes = np.array([expected[track][1] for track in ids(tracks)]).reshape(-1, 4)
        np.testing.assert_allclose(tracks.xyxy, boxes, atol=0.01)


@pytest.mark.parametrize("frame_rate", [7.0, 14.0, 30.0])
def test_walking_people_keep_their_ids_at_any_frame_rate(frame_rate: float) -> None:
    crowd = CrowdFilm(12, seed=9, frame_rate=frame_rate, false_alarm_rate=0)
    tracker = Tracker()
    names: dict[int, set[int]] = {}
    for _ in range(int(10 * frame_rate)):
        detections, truth = crowd.step()
        tracks = tracker.update(detections, crowd.dt_s)
        for track, row in zip(ids(tracks), tracks.detection, strict=True):
            names.setdefault(track, set()).add(int(truth[row]))
    assert all(len(people) == 1 for people in names.values()), "one id, one person"
    people = {person for group in names.values() for person in group}
    assert len(names) <= 1.1 * len(people), "one person, one id, but for long occlusions"


def test_trackers_share_nothing() -> None:
    crowds = [CrowdFilm(5, seed=seed) for seed in (1, 2)]
    frames = [[crowd.step()[0] for _ in range(20)] for crowd in crowds]
    alone = [Tracker(), Tracker()]
    expected = [[ids(alone[film].update(frame, FRAME_S)) for frame in frames[film]] for film in (0, 1)]
    first, second = Tracker(), Tracker()
    for index in range(20):
        assert ids(first.update(frames[0][index], FRAME_S)) == expected[0][index]
        assert ids(second.update(frames[1][index], FRAME_S)) == expected[1][index]
    assert expected[0][0][0] == expected[1][0][0] == 1


def test_what_the_caller_does_with_tracks_does_not_reach_the_tracker() -> None:
    tracker = Tracker()
    detections = persons(at(100))
    tracks = tracker.update(detections, FRAME_S)
    tracks.xyxy[:] = np.nan
    tracks.ids[:] = 77
    detections.embeddings[:] = np.nan
    tracks = tracker.update(persons(at(100)), FRAME_S)
    assert ids(tracks) == [1]
    np.testing.assert_allclose(tracks.xyxy[0], at(100))


@pytest.mark.parametrize(
    "box",
    [
        (100, 100, 100, 200),  # no width
        (100, 100, 150, 100),  # no height
        (150, 200, 100, 100),  # inside out
        (100, 100, 100.5, 200),  # thinner than a pixel
        (np.nan, 100, 150, 200),
        (100, 100, np.inf, 200),
        (-3e6, 100, 150, 200),  # farther than any picture
    ],
)
def test_boxes_that_nobody_can_have_are_ignored(box: tuple[float, float, float, float]) -> None:
    tracks = Tracker().update(persons(box, at(300)), FRAME_S)
    assert (ids(tracks), tracks.detection.tolist()) == ([1], [1])


def test_embeddings_that_are_no_numbers_are_ignored() -> None:
    detections = persons(at(100), at(300), at(500))
    detections.embeddings[0] = np.nan
    detections.embeddings[1] = np.inf
    assert Tracker().update(detections, FRAME_S).detection.tolist() == [2]


def test_embeddings_of_another_length_are_refused() -> None:
    tracker = Tracker()
    tracker.update(persons(at(100)), FRAME_S)
    tracker.update(Detections.empty(64), FRAME_S)  # nobody has no embedding
    other = replace(persons(at(100)), embeddings=np.ones((1, 8), np.float32))
    with pytest.raises(ValueError, match="embeddings have 8 numbers, those of this tracker's identities 4"):
        tracker.update(other, FRAME_S)


@pytest.mark.parametrize("dt_s", [-0.1, np.nan, np.inf])
def test_time_that_runs_backwards_is_refused(dt_s: float) -> None:
    tracker = Tracker()
    tracker.update(NOBODY, dt_s)  # the first has no predecessor
    with pytest.raises(ValueError, match="dt_s must be a finite number of seconds"):
        tracker.update(NOBODY, dt_s)


def test_after_a_long_pause_everybody_is_new() -> None:
    tracker = Tracker()
    tracker.update(persons(at(100)), FRAME_S)
    assert ids(tracker.update(persons(at(100)), LONGEST_GAP_S + 1)) == [2]


weird = st.floats(width=32) | st.floats(-100, 2000, width=32)


@settings(max_examples=60, deadline=None)
@given(
    frames=st.lists(
        st.tuples(
            st.lists(st.tuples(weird, weird, weird, weird), max_size=6),
            st.floats(0, 3) | st.floats(0, 1e300),
        ),
        max_size=8,
    ),
    seed=st.integers(0, 99),
)
def test_absurd_input_never_gives_absurd_tracks(
    frames: list[tuple[list[tuple[float, float, float, float]], float]], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    tracker = Tracker(TrackerSettings(smallest_area_px=0, widest_aspect=1e9))
    for boxes, dt_s in frames:
        known = [at(100), at(rng.uniform(90, 110), rng.uniform(0, 500))]
        detections = persons(*boxes[:2], *known, looks=tuple(rng.integers(0, 4, len(boxes[:2]) + 2)))
        for tracks in (tracker.update(detections, dt_s), tracker.lost(), tracker.predict_boxes(1.0)):
            for array in (tracks.xyxy, tracks.velocities, tracks.ages_s, tracks.scores):
                assert np.isfinite(array).all()
            assert (tracks.xyxy[:, 2:] >= tracks.xyxy[:, :2]).all()
            assert (np.diff(tracks.ids) > 0).all()
            assert len(set(tracks.detection[tracks.detection >= 0])) == (tracks.detection >= 0).sum()


def test_scores_at_the_threshold_do_not_count() -> None:
    assert len(Tracker().update(persons(at(100), score=0.4), FRAME_S)) == 0
    assert len(Tracker().update(persons(at(100), score=0.4), FRAME_S, threshold=0.3)) == 1


def test_a_weak_detection_keeps_somebody_who_was_just_seen() -> None:
    tracker = Tracker()
    tracker.update(persons(at(100)), FRAME_S)
    for x in (101, 102, 103):  # looks like somebody else: where it is counts
        tracks = tracker.update(persons(at(x), looks=(2,), score=0.25), FRAME_S)
        assert (ids(tracks), tracks.detection.tolist()) == ([1], [0])
        assert tracks.scores.tolist() == [0.25]
    assert ids(tracker.update(persons(at(119)), FRAME_S)) == [1], "what it looked like is not remembered"


def test_a_weak_detection_starts_nobody_and_finds_nobody_again() -> None:
    tracker = Tracker()
    for _ in range(3):
        assert len(tracker.update(persons(at(100), score=0.25), FRAME_S)) == 0
    tracker.update(persons(at(100)), FRAME_S)
    tracker.update(persons(at(100)), FRAME_S)
    tracker.update(NOBODY, FRAME_S)
    assert len(tracker.update(persons(at(100), score=0.25), FRAME_S)) == 0
    assert ids(tracker.lost()) == [1]
    tracker = Tracker()
    tracker.update(NOBODY, FRAME_S)
    tracker.update(persons(at(100)), FRAME_S)  # not confirmed yet
    assert len(tracker.update(persons(at(100), score=0.25), FRAME_S)) == 0


def test_a_strong_detection_comes_before_a_weak_one() -> None:
    tracker = Tracker()
    tracker.update(persons(at(100), at(300)), FRAME_S)
    both = persons(at(100), at(110), at(300), looks=(0, 0, 1))
    both.scores[:] = (0.3, 0.9, 0.3)
    assert tracker.update(both, FRAME_S).detection.tolist() == [1, 2]


@pytest.mark.parametrize(("share", "score", "kept"), [(0.5, 0.2, 0), (0.5, 0.21, 1), (1.0, 0.4, 0), (0.0, 0.01, 1)])
def test_how_weak_a_detection_may_be_is_a_share_of_the_threshold(share: float, score: float, kept: int) -> None:
    tracker = Tracker(TrackerSettings(weak_share=share))
    tracker.update(persons(at(100)), FRAME_S)
    assert len(tracker.update(persons(at(100), score=score), FRAME_S)) == kept


def test_between_keyframes_nobody_is_new() -> None:
    tracker = Tracker()
    tracker.update(persons(at(100)), FRAME_S)
    both = persons(at(100), at(300), looks=(0, 1))
    for _ in range(3):
        assert ids(tracker.update(both, FRAME_S, between_keyframes=True)) == [1]
    assert ids(tracker.update(both, FRAME_S)) == [1], "seen for the first time"
    assert ids(tracker.update(both, FRAME_S, between_keyframes=True)) == [1, 2], "and confirmed between keyframes"


def test_between_keyframes_somebody_lost_is_found_again() -> None:
    tracker = Tracker()
    tracker.update(persons(at(100)), FRAME_S)
    for seen, expected in ((persons(at(100)), [1]), (NOBODY, []), (persons(at(100)), [1])):
        assert ids(tracker.update(seen, FRAME_S, between_keyframes=True)) == expected


def test_whom_the_student_never_sees_goes_on_until_a_keyframe_denies_it() -> None:
    """A crowd far away, walking: known to the teacher, too small for the student."""
    tracker, frame = Tracker(), 0
    for _ in range(20):
        tracks = tracker.update(persons(at(100 + 3 * frame)), FRAME_S)
        for _ in range(3):
            frame += 1
            tracks = tracker.update(NOBODY, FRAME_S, between_keyframes=True)
            assert ids(tracks) == [1]
            assert tracks.detection.tolist() == [-1] and tracks.unseen_s[0] > 0
        frame += 1
    np.testing.assert_allclose(tracks.xyxy, [at(100 + 3 * (frame - 1))], atol=3)
    assert len(tracker.update(NOBODY, FRAME_S)) == 0
    assert ids(tracker.lost()) == [1]
    assert len(tracker.update(NOBODY, FRAME_S, between_keyframes=True)) == 0, "it was lost before"


def test_whom_the_student_has_seen_is_lost_when_it_sees_nobody() -> None:
    tracker = Tracker()
    tracker.update(persons(at(100)), FRAME_S)
    tracker.update(persons(at(100)), FRAME_S, between_keyframes=True)
    assert len(tracker.update(NOBODY, FRAME_S, between_keyframes=True)) == 0


def test_somebody_new_waits_for_the_next_keyframe_however_often_the_student_sees_nobody() -> None:
    tracker = Tracker()
    tracker.update(NOBODY, FRAME_S)
    for _ in range(2):
        tracks = tracker.update(persons(at(100)), FRAME_S)
        for _ in range(11):
            assert len(tracks) in (0, 1)
            tracks = tracker.update(NOBODY, FRAME_S, between_keyframes=True)
    assert ids(tracks) == [1]


def test_nobody_waits_for_longer_than_the_tracker_remembers() -> None:
    tracker = Tracker()
    tracker.update(persons(at(100)), FRAME_S)
    assert ids(tracker.update(NOBODY, 0.9, between_keyframes=True)) == [1]
    assert len(tracker.update(NOBODY, 0.2, between_keyframes=True)) == 0
    assert tracker.newcomers() == 0 and len(tracker.lost()) == 0


def test_between_keyframes_a_box_moves_a_track_less_than_on_one() -> None:
    moved = []
    for between in (True, False):
        tracker = Tracker()
        for _ in range(5):
            before = tracker.update(persons(at(100)), FRAME_S)
        after = tracker.update(persons(at(110)), FRAME_S, between_keyframes=between)
        moved.append(after.xyxy[0, 0] - before.xyxy[0, 0])
    assert 0 < moved[0] < 0.9 * moved[1]


def test_between_keyframes_a_box_moves_a_track_but_hardly_changes_its_size() -> None:
    tracker = Tracker()
    for _ in range(5):
        before = tracker.update(persons(at(100)), FRAME_S)
    wider = persons(at(100))
    wider.xyxy[:, 2] += 10
    after = tracker.update(wider, FRAME_S, between_keyframes=True)
    grown, moved = np.diff(after.xyxy[0, [0, 2]] - before.xyxy[0, [0, 2]]), after.xyxy[0, 0] - before.xyxy[0, 0]
    assert 0 < grown < 0.5 < moved < 5


def test_between_keyframes_people_stay_where_they_are_whatever_they_look_like_and_on_one_they_do_not() -> None:
    for between, expected in ((True, [1, 2]), (False, [2, 1])):
        tracker = Tracker(TrackerSettings(iou_confirm=0))
        for _ in range(3):
            tracker.update(persons(at(100), at(130), looks=(0, 1)), FRAME_S)
        swapped = tracker.update(persons(at(100), at(130), looks=(1, 0)), FRAME_S, between_keyframes=between)
        assert swapped.ids[np.argsort(swapped.detection)].tolist() == expected


def test_by_the_papers_rules_nobody_waits_for_a_keyframe() -> None:
    tracker = Tracker(TrackerSettings(keyframes_decide=False))
    tracker.update(persons(at(100)), FRAME_S)
    assert len(tracker.update(persons(at(300), looks=(1,)), FRAME_S, between_keyframes=True)) == 0
    tracker.update(NOBODY, FRAME_S, between_keyframes=True)
    assert tracker.newcomers() == 0


def test_a_tracker_that_begins_between_keyframes_waits_for_one() -> None:
    tracker = Tracker()
    assert len(tracker.update(persons(at(100)), FRAME_S, between_keyframes=True)) == 0
    assert ids(tracker.update(persons(at(100)), FRAME_S)) == [1]


def test_the_papers_tracker_takes_in_new_people_in_every_frame() -> None:
    tracker = Tracker(TrackerSettings(keyframes_decide=False))
    tracker.update(NOBODY, FRAME_S)
    tracker.update(persons(at(100)), FRAME_S, between_keyframes=True)
    assert ids(tracker.update(persons(at(100)), FRAME_S, between_keyframes=True)) == [1]


def test_the_threshold_may_be_another_in_every_frame() -> None:
    tracker = Tracker()
    assert len(tracker.update(persons(at(100), score=0.7), FRAME_S, 0.8)) == 0
    tracker = Tracker()
    assert len(tracker.update(persons(at(100), score=0.3), FRAME_S, 0.2)) == 1
    assert len(tracker.update(persons(at(100), at(300), score=0.3), FRAME_S, 0.4)) == 1
    assert len(tracker.update(persons(at(100), at(300), score=0.3), FRAME_S, 0.7)) == 0, "weaker than half of it"


def test_small_and_wide_boxes_are_tracked_but_not_reported() -> None:
    tracker = Tracker()
    tracks = tracker.update(persons((0, 0, 9, 10), (100, 100, 261, 200), at(500)), FRAME_S)
    assert (ids(tracks), tracks.detection.tolist()) == ([3], [2])


def test_an_overlap_can_be_asked_for_before_looks_are_believed() -> None:
    """A match by looks between boxes apart is taken back; the track is lost and the detection a new one."""
    for confirm, expected in ((0.0, [1]), (0.3, [])):
        tracker = Tracker(TrackerSettings(iou_confirm=confirm))
        tracker.update(persons(at(100)), FRAME_S)
        assert ids(tracker.update(persons(at(130)), FRAME_S)) == expected


def test_a_lost_and_a_seen_track_in_one_place_become_one_the_longer_lived() -> None:
    tracker = Tracker()
    for _ in range(10):
        tracker.update(persons(at(100)), FRAME_S)
    tracker.update(NOBODY, FRAME_S)
    for _ in range(3):  # comes back looking like someone else: no match by looks, and lost ones get no second chance
        tracks = tracker.update(persons(at(100), looks=(3,)), FRAME_S)
    assert len(tracks) == 0
    assert ids(tracker.lost()) == [1], "the new one never grows older than the lost one"


@pytest.mark.parametrize(
    ("name", "value"), [("weak_share", 1.5), ("smoothing", -0.1), ("lost_after_s", -1.0), ("gate", float("nan"))]
)
def test_settings_out_of_range_are_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        TrackerSettings(**{name: value})


@pytest.mark.parametrize("factors", [(0.5, 0.5), (2.0, 2.0), (0.5, 2 / 3), (1.5, 1.0)])
def test_a_picture_of_another_size_changes_pixels_and_nobody(factors: tuple[float, float]) -> None:
    """Oracle: the same walk without a change, its boxes multiplied afterwards."""
    stays, changes = Tracker(), Tracker()
    scale = np.tile(np.array(factors, np.float32), 2)
    for frame in range(30):
        boxes = persons(at(100 + 4 * frame), at(500 - 3 * frame, 200), at(300, 300 + 2 * frame))
        expected = stays.update(boxes, FRAME_S)
        if frame == 12:
            changes.rescale(*factors)
        found = changes.update(replace(boxes, xyxy=boxes.xyxy * scale) if frame >= 12 else boxes, FRAME_S)
        assert ids(found) == ids(expected)
        factor = scale if frame >= 12 else np.ones(4, np.float32)
        np.testing.assert_allclose(found.xyxy, expected.xyxy * factor, atol=1.5)
        np.testing.assert_allclose(found.velocities, expected.velocities * factor[:2], atol=6)


@pytest.mark.parametrize("factors", [(0.0, 1.0), (1.0, -1.0), (np.inf, 1.0), (1.0, np.nan)])
def test_a_factor_that_is_none_is_refused(factors: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="above 0"):
        Tracker().rescale(*factors)


# --- who is gone


def test_nobody_is_gone_who_was_never_there() -> None:
    tracks = Tracker().update(NOBODY, FRAME_S)
    assert (len(tracks.gone), tracks.gone.whys, len(tracks.remembered), tracks.clock_s) == (0, (), 0, 0.0)


def test_somebody_unseen_is_remembered_and_then_gone_once() -> None:
    tracker = Tracker()
    tracker.update(persons(at(100), at(300)), 0)
    told = [tracker.update(persons(at(300), looks=(1,)), 0.25) for _ in range(6)]
    assert [tracks.remembered.tolist() for tracks in told] == [[1]] * 4 + [[], []]
    assert [tracks.gone.ids.tolist() for tracks in told] == [[]] * 4 + [[1], []]
    assert (told[4].gone.whys, told[4].gone.unseen_s.tolist()) == (("unseen",), [1.25])
    assert [tracks.clock_s for tracks in told] == [0.25, 0.5, 0.75, 1.0, 1.25, 1.5]


def test_a_ghost_without_an_id_is_neither_remembered_nor_gone() -> None:
    tracker = Tracker()
    tracker.update(persons(at(100)), 0)
    for seen in (persons(at(100), at(300)), persons(at(100))):
        tracks = tracker.update(seen, FRAME_S)
        assert (len(tracks.remembered), len(tracks.gone)) == (0, 0)


def test_a_duplicate_is_gone_as_one() -> None:
    tracker = Tracker()
    for _ in range(10):
        tracker.update(persons(at(100)), FRAME_S)
    for _ in range(3):
        tracker.update(persons(at(100), at(160)), FRAME_S)
    for x in (140, 120, 100, 100):  # the second one comes to stand where the first one is lost
        tracks = tracker.update(persons(at(x), looks=(1,)), FRAME_S)
    assert (ids(tracks), tracks.remembered.tolist()) == ([], [1])
    assert (tracks.gone.ids.tolist(), tracks.gone.whys) == ([2], ("duplicate",))


def test_after_a_long_pause_everybody_is_gone_in_the_order_in_which_they_were_last_seen() -> None:
    tracker = Tracker()
    tracker.update(persons(at(100), at(300)), 0)
    tracker.update(persons(at(300), looks=(1,)), FRAME_S)
    tracks = tracker.update(persons(at(100)), LONGEST_GAP_S + 1)
    assert tracks.gone.ids.tolist() == [1, 2]
    assert ids(tracks) == [3]


def test_small_boxes_are_remembered_though_not_reported() -> None:
    tracker = Tracker()
    small = persons((100, 100, 104, 109))
    assert [tracker.update(small, FRAME_S).remembered.tolist() for _ in range(2)] == [[1], [1]]


def test_a_prediction_ends_nobody_and_its_clock_is_ahead() -> None:
    tracker = Tracker()
    tracker.update(persons(at(100), at(300)), 0)
    tracker.update(persons(at(100)), 0.5)
    guess = tracker.predict_boxes(5.0)
    assert (guess.remembered.tolist(), len(guess.gone), guess.clock_s) == ([2], 0, 5.5)
    assert tracker.update(NOBODY, 0.25).clock_s == 0.75


@given(
    st.lists(st.tuples(st.sets(st.integers(0, 3)), st.sampled_from((0.1, 0.4, 0.9, 70.0)), st.booleans()), max_size=30)
)
def test_every_id_is_seen_or_remembered_until_it_is_gone(steps: list[tuple[set[int], float, bool]]) -> None:
    tracker, alive, gone = Tracker(), set[int](), set[int]()
    for present, dt_s, interrupted in steps:
        if interrupted:
            tracker.interrupt(dt_s)
        looks = tuple(sorted(present))
        tracks = tracker.update(persons(*(at(100 + 200 * look) for look in looks), looks=looks), dt_s)
        ended = tracks.gone.ids.tolist()
        known = {*ids(tracks), *tracks.remembered.tolist()}
        assert len(known) == len(tracks) + len(tracks.remembered), "nobody is both"
        assert not known & gone
        assert alive - known == {*ended} & alive
        assert len(ended) == len({*ended}) == len(tracks.gone.whys) and not gone & {*ended}
        assert (np.diff(tracks.gone.unseen_s) <= 0).all()
        alive, gone = known, gone | {*ended}


CAR_AND_PERSON = TrackerSettings(classes=("car", "person"))


def of(seen: Detections, *classes: int) -> Detections:
    """The same, of these classes."""
    return replace(seen, classes=np.array(classes, np.int32))


def test_two_of_different_classes_that_cross_never_swap() -> None:
    """They look alike; where they meet, class alone tells them apart."""
    tracker = Tracker(CAR_AND_PERSON)
    for frame in range(60):
        x = 8.0 * (frame - 30)
        both = persons(at(300 + x), at(300 - x), looks=(0, 0))
        tracks = tracker.update(of(both, 0, 1), FRAME_S)
        assert tracks.classes is not None and tracks.classes.tolist() == [0, 1]
        assert ids(tracks) == [1, 2] and tracks.detection.tolist() == [0, 1]


def test_people_in_their_place_would_swap_or_be_one() -> None:
    """What the classes are needed for: the same film without them."""
    tracker, seen = Tracker(), []
    for frame in range(60):
        x = 8.0 * (frame - 30)
        seen.append(tracker.update(persons(at(300 + x), at(300 - x), looks=(0, 0)), FRAME_S).detection.tolist())
    assert any(rows != [0, 1] for rows in seen)


def test_a_track_meets_no_detection_of_another_class_not_even_in_its_own_place() -> None:
    tracker = Tracker(CAR_AND_PERSON)
    tracker.update(of(persons(at(100)), 0), FRAME_S)
    assert len(tracker.update(of(persons(at(100)), 1), FRAME_S)) == 0
    tracks = tracker.update(of(persons(at(100)), 1), FRAME_S)
    assert (ids(tracks), tracks.classes.tolist()) == ([2], [1])
    assert ids(tracker.lost()) == [1], "nor is the car its second box"


def test_a_box_in_anothers_place_is_a_second_one_only_in_its_own_class() -> None:
    tracker = Tracker(CAR_AND_PERSON)
    three = persons(at(100), at(102), at(101), looks=(0, 1, 2))
    assert len(tracker.update(of(three, 0, 1, 1), FRAME_S)) == 2


def test_an_interruption_brings_nobody_back_as_another_class() -> None:
    for again, found in ((0, [1]), (1, [2])):
        tracker = Tracker(CAR_AND_PERSON)
        tracker.update(of(persons(at(100)), 0), FRAME_S)
        tracker.interrupt(1.0)
        assert ids(tracker.update(of(persons(at(500)), again), 0.0)) == found


def test_only_people_are_slim() -> None:
    wide = persons((100, 100, 300, 150), (100, 300, 300, 350))
    tracks = Tracker(CAR_AND_PERSON).update(of(wide, 0, 1), FRAME_S)
    assert tracks.classes.tolist() == [0]
    assert len(Tracker(TrackerSettings(classes=("forklift",))).update(wide, FRAME_S)) == 2
    assert len(Tracker().update(wide, FRAME_S)) == 0


def test_whose_class_is_not_known_follows_anybody_and_starts_nobody() -> None:
    tracker = Tracker(replace(CAR_AND_PERSON, keyframes_decide=False))
    tracker.update(of(persons(at(100), at(300)), 1, 0), FRAME_S)
    for _ in range(5):
        tracks = tracker.update(of(persons(at(100), at(300), at(500)), -1, -1, -1), FRAME_S)
        assert ids(tracks) == [1, 2] and tracks.classes.tolist() == [1, 0]
        assert tracks.detection.tolist() == [0, 1]


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, 3), min_size=1, max_size=3))
@settings(max_examples=15, deadline=None)
def test_each_class_is_tracked_as_if_it_were_alone(seed: int, people: list[int]) -> None:
    """Crowds of several classes in one picture get the ids of trackers with one class each, but for their numbers."""
    films = [CrowdFilm(10 * count, seed=seed + number) for number, count in enumerate(people)]
    every = TrackerSettings(classes=tuple(f"kind {number}" for number in range(len(films))))
    together, alone = Tracker(every), [Tracker(TrackerSettings(classes=("kind",))) for _ in films]
    same: dict[int, tuple[int, int]] = {}
    for _ in range(25):
        seen = [film.step()[0] for film in films]
        classes = np.repeat(np.arange(len(seen), dtype=np.int32), [len(one) for one in seen])
        columns = [
            np.concatenate([getattr(one, name) for one in seen]) for name in ("xyxy", "scores", "embeddings", "points")
        ]
        order = np.argsort(-columns[1], kind="stable")
        tracks = together.update(Detections(*(column[order] for column in columns), classes[order]), FRAME_S)
        expected = {
            (number, identity): tuple(box)
            for number, (tracker, one) in enumerate(zip(alone, seen, strict=True))
            for identity, box in zip(*_told(tracker.update(one, FRAME_S)), strict=True)
        }
        assert tracks.classes is not None or len(films) == 1
        by_box = {box: name for name, box in expected.items()}
        found = {identity: by_box[tuple(box)] for identity, box in zip(*_told(tracks), strict=True)}
        assert len(found) == len(expected)
        assert {identity: same.setdefault(identity, name) for identity, name in found.items()} == found


def _told(tracks: Tracks) -> tuple[list[int], list[tuple[float, ...]]]:
    """Ids, and boxes to a tenth of a pixel."""
    return ids(tracks), [tuple(box) for box in np.round(tracks.xyxy, 1).tolist()]
