"""A late answer: afterwards everything is as if it had been in time, and ids are kept as they were told."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.tracking.detections import Detections, Tracks
from edge.tracking.hindsight import Hindsight
from edge.tracking.tracker import Tracker

FPS = 10.0
K = 5
THRESHOLD = 0.4


class Street:
    """People who walk straight, of whom networks see a part, with errors; each looks like nobody else."""

    def __init__(self, seed: int, people: int = 6) -> None:
        self.rng = np.random.default_rng(seed)
        self.starts = self.rng.uniform(100, 900, (people, 2))
        self.speeds = self.rng.uniform(-40, 40, (people, 2))
        self.enters_s = self.rng.uniform(0, 2, people) * (self.rng.random(people) < 0.5)
        self.looks = np.eye(max(people, 1), dtype=np.float32)

    def seen(self, time_s: float, share: float, error_px: float) -> Detections:
        here = (self.rng.random(len(self.starts)) < share) & (self.enters_s <= time_s)
        centres = self.starts[here] + time_s * self.speeds[here] + self.rng.normal(0, error_px, (int(here.sum()), 2))
        half = np.array((20, 50))
        xyxy = np.hstack((centres - half, centres + half)).astype(np.float32)
        scores = np.linspace(0.9, 0.7, len(xyxy), dtype=np.float32)
        return Detections(xyxy, scores, self.looks[here], np.zeros((len(xyxy), 2), np.float32))

    def film(self, frames: int) -> list[tuple[Detections, Detections | None]]:
        """Per frame what the student sees, and on keyframes what the teacher does."""
        times = [index / FPS for index in range(frames)]
        return [
            (self.seen(time_s, 0.75, 6), self.seen(time_s, 0.95, 2) if index % K == 0 else None)
            for index, time_s in enumerate(times)
        ]


def in_time(film: list[tuple[Detections, Detections | None]]) -> list[Tracks]:
    """The oracle: every keyframe waits for its teacher."""
    tracker = Tracker()
    return [
        tracker.update(student if teacher is None else teacher, index and 1 / FPS, THRESHOLD, teacher is None)
        for index, (student, teacher) in enumerate(film)
    ]


def late(film: list[tuple[Detections, Detections | None]], frames_late: int) -> tuple[list[Tracks], list[bool]]:
    """What is told of each frame, and whether a teacher's answer was awaited then."""
    tracker, told, awaited = Tracker(), list[Tracks](), list[bool]()
    pending: tuple[int, Detections, Hindsight] | None = None
    for index, (student, teacher) in enumerate(film):
        if pending is not None and index - pending[0] > frames_late:
            _, tracker = pending[2].settle(pending[1], THRESHOLD)
            pending = None
        dt_s = index and 1 / FPS
        if teacher is not None and index:
            pending = index, teacher, Hindsight(tracker, dt_s)
            tracker = pending[2].scout
            told.append(tracker.update(student, dt_s, THRESHOLD, True))
        elif pending is not None:
            told.append(pending[2].update(student, dt_s, THRESHOLD))
        else:
            told.append(tracker.update(student if teacher is None else teacher, dt_s, THRESHOLD, teacher is None))
        awaited.append(pending is not None)
    return told, awaited


def test_where_nobody_is_a_late_answer_changes_nothing() -> None:
    told, _ = late(Street(0, 0).film(12), 2)
    assert [len(tracks) for tracks in told] == [0] * 12


@given(st.integers(0, 10_000), st.integers(0, K - 2), st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_when_the_answer_is_there_boxes_are_those_of_a_teacher_in_time(
    seed: int, frames_late: int, people: int
) -> None:
    film = Street(seed, people).film(36)
    told, awaited = late(film, frames_late)
    ours_of: dict[int, int] = {}
    for index, (one, expected) in enumerate(zip(told, in_time(film), strict=True)):
        if awaited[index]:
            continue
        order = np.argsort(one.xyxy[:, 0], kind="stable"), np.argsort(expected.xyxy[:, 0], kind="stable")
        np.testing.assert_array_equal(one.xyxy[order[0]], expected.xyxy[order[1]])
        np.testing.assert_array_equal(one.velocities[order[0]], expected.velocities[order[1]])
        for ours, theirs in zip(one.ids[order[0]].tolist(), expected.ids[order[1]].tolist(), strict=True):
            assert ours_of.setdefault(theirs, ours) == ours, "the same people under the same ids, whatever these are"
    assert len(set(ours_of.values())) == len(ours_of)


@given(st.integers(0, 10_000), st.integers(0, K - 2))
@settings(max_examples=40, deadline=None)
def test_who_was_told_stays_told_of_until_gone_and_never_comes_back(seed: int, frames_late: int) -> None:
    street = Street(seed, 8)
    film = street.film(30) + [(Detections.empty(8), Detections.empty(8) if i % K == 0 else None) for i in range(30)]
    alive: set[int] = set()
    gone: set[int] = set()
    for tracks in late(film, frames_late)[0]:
        here, remembered = set(tracks.ids.tolist()), set(tracks.remembered.tolist())
        assert not here & remembered
        left = tracks.gone.ids.tolist()
        assert len(left) == len(set(left)) and not set(left) & gone, "once is enough"
        gone |= set(left)
        assert not (here | remembered) & gone
        alive |= here
        assert alive <= here | remembered | gone
    assert alive <= gone, "everybody has left"


def test_a_newcomer_whom_the_student_confirmed_first_keeps_that_id() -> None:
    def person(x: float, look: int) -> Detections:
        box = np.array([[x, 100, x + 40, 200]], np.float32)
        return Detections(box, np.array([0.9], np.float32), np.eye(3, dtype=np.float32)[[look]], np.zeros((1, 2), "f4"))

    def both(*people: Detections) -> Detections:
        return Detections(*(np.concatenate(part) for part in zip(*(_parts(one) for one in people), strict=True)))

    tracker = Tracker()
    tracker.update(person(100, 0), 0)
    tracker.update(both(person(100, 0), person(300, 1)), 0.1)  # the second is a newcomer, without an id yet
    hindsight = Hindsight(tracker, 0.1)
    told = hindsight.scout.update(both(person(100, 0), person(301, 1)), 0.1, between_keyframes=True)
    assert told.ids.tolist() == [1, 2]
    keyframe, tracker = hindsight.settle(both(person(100, 0), person(301, 1), person(600, 2)), THRESHOLD)
    assert keyframe.ids.tolist() == [1, 2]
    later = tracker.update(both(person(100, 0), person(302, 1), person(600, 2)), 0.1)
    assert later.ids.tolist() == [1, 2, 3]


def test_an_id_given_in_vain_is_gone_and_nobody_else_gets_it() -> None:
    def people(*xs: float) -> Detections:
        boxes = np.array([[x, 100, x + 40, 200] for x in xs], np.float32).reshape(-1, 4)
        looks = np.eye(9, dtype=np.float32)[[int(x) // 100 for x in xs]]
        return Detections(boxes, np.full(len(xs), 0.9, np.float32), looks, np.zeros((len(xs), 2), np.float32))

    tracker = Tracker()
    tracker.update(people(100), 0)
    tracker.update(people(100, 300), 0.1)
    hindsight = Hindsight(tracker, 0.1)
    assert hindsight.scout.update(people(100, 300), 0.1, between_keyframes=True).ids.tolist() == [1, 2]
    _, tracker = hindsight.settle(people(100, 500), THRESHOLD)  # there was nobody at 300
    after = tracker.update(people(100, 500), 0.1)
    assert after.ids.tolist() == [1, 3]
    assert after.gone.ids.tolist() == [2]


def test_without_an_answer_the_scout_goes_on() -> None:
    street = Street(3)
    tracker = Tracker()
    for index in range(8):
        tracker.update(street.seen(index / FPS, 1, 0), index and 1 / FPS)
    hindsight = Hindsight(tracker, 1 / FPS)
    hindsight.scout.update(Detections.empty(6), 1 / FPS, between_keyframes=True)
    hindsight.give_up()
    gone = [one for _ in range(3) for one in hindsight.scout.update(Detections.empty(6), 0.5).gone.ids.tolist()]
    assert gone
    assert len(set(gone)) == len(gone)


def _parts(detections: Detections) -> tuple[np.ndarray, ...]:
    return detections.xyxy, detections.scores, detections.embeddings, detections.points
