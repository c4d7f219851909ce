"""TrackEvents: who is new, who has gone, and in which order it is told."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from edge.pipeline.pipeline import TrackedFrame
from edge.sources.base import Frame
from edge.tracking.detections import Gone, Tracks
from service.tracks.events import AnyEvent, Event, TrackEvents
from service.zones.counter import ZoneEvent

CHECK: TypeAdapter[AnyEvent] = TypeAdapter(AnyEvent)


def frame(
    time_s: float,
    ids: list[int],
    epoch: int = 1,
    discontinuity: bool = False,
    remembered: Sequence[int] = (),
    gone: Gone | None = None,
) -> TrackedFrame:
    count = len(ids)
    tracks = Tracks(
        ids=np.array(ids, np.int64),
        xyxy=np.zeros((count, 4), np.float32),
        scores=np.zeros(count, np.float32),
        states=np.ones(count, np.uint8),
        velocities=np.zeros((count, 2), np.float32),
        ages_s=np.zeros(count, np.float32),
        unseen_s=np.zeros(count, np.float32),
        detection=np.arange(count, dtype=np.int32),
        gone=gone or Gone.nobody(),
        remembered=np.array(remembered, np.int64),
    )
    picture = Frame(np.zeros((2, 2, 3), np.uint8), 0, time_s, 1000 + time_s, "host", None)
    return TrackedFrame("door", picture, tracks, "student", 1, epoch=epoch, discontinuity=discontinuity)


def told(events: list[Event]) -> list[tuple[str, object]]:
    for event in events:
        CHECK.validate_python(event, strict=True)
    return [(str(event["type"]), event.get("id")) for event in events]


def test_frame_without_people_has_no_events() -> None:
    assert TrackEvents("run").observe(frame(0, [])) == []


def test_person_is_new_once_and_ends_once_as_the_tracker_says() -> None:
    watch = TrackEvents("ab")
    assert watch.observe(frame(0, [7])) == [{"type": "new", "id": 7, "uid": "ab-1-7"}]
    assert watch.observe(frame(0.5, [7])) == []
    assert watch.observe(frame(1.0, [], remembered=[7])) == []
    assert watch.observe(frame(1.4, [7])) == []  # found again
    assert watch.observe(frame(9, [], remembered=[3, 7])) == []
    gone = Gone(np.array([7]), np.array([8.0], np.float32), ("duplicate",))
    end = watch.observe(frame(9.4, [], gone=gone))
    assert end == [{"type": "end", "id": 7, "uid": "ab-1-7", "why": "duplicate", "last_seen": 1001.4}]
    assert watch.observe(frame(10, [], gone=gone)) == []


def test_somebody_who_ended_in_a_frame_that_was_lost_ends_in_the_next_one() -> None:
    watch = TrackEvents("ab")
    watch.observe(frame(0, [1, 2]))
    events = watch.observe(frame(2, [2]))
    assert [(told(events), events[0]["why"])] == [([("end", 1)], "unseen")]


def test_somebody_who_ended_unreported_is_not_told_of() -> None:
    gone = Gone(np.array([4]), np.array([8.0], np.float32), ("unseen",))
    assert told(TrackEvents("ab").observe(frame(0, [1], gone=gone))) == [("new", 1)]


def test_identities_that_start_anew_end_and_begin() -> None:
    watch = TrackEvents("ab")
    watch.observe(frame(0, [1, 2]))
    events = watch.observe(frame(5, [1], epoch=2, discontinuity=True))
    assert told(events) == [("discontinuity", None), ("end", 1), ("end", 2), ("new", 1)]
    assert [event.get("uid") for event in events] == [None, "ab-1-1", "ab-1-2", "ab-2-1"]
    assert [event["why"] for event in events[1:3]] == ["anew", "anew"]


def test_people_may_come_back_after_a_reconnect_that_keeps_identities() -> None:
    watch = TrackEvents("ab")
    watch.observe(frame(0, [1, 2]))
    assert told(watch.observe(frame(20, [], discontinuity=True, remembered=[1, 2]))) == [("discontinuity", None)]
    assert watch.observe(frame(21, [2], remembered=[1])) == []


def test_events_of_zones_stand_between_coming_and_going() -> None:
    watch = TrackEvents("ab")
    watch.observe(frame(0, [1]))
    of_zones = [
        ZoneEvent("enter", "hall", 2, 1),
        ZoneEvent("leave", "hall", 1, 1, dwell_s=1.23456),
        ZoneEvent("cross", "line", 2, 1, "backward"),
    ]
    events = watch.observe(frame(2, [2]), of_zones)
    assert told(events) == [("leave", 1), ("end", 1), ("new", 2), ("enter", 2), ("cross", 2)]
    assert events[0] == {"type": "leave", "id": 1, "uid": "ab-1-1", "zone": "hall", "dwell": 1.235}
    assert events[4] == {"type": "cross", "id": 2, "uid": "ab-1-2", "zone": "line", "direction": "backward"}


some = st.sets(st.integers(1, 6))
frames = st.lists(st.tuples(some, some, st.booleans(), st.booleans()))


@given(frames)
def test_here_is_who_was_seen_or_was_here_and_is_remembered(
    steps: list[tuple[set[int], set[int], bool, bool]],
) -> None:
    watch, here, epoch = TrackEvents("ab"), set[str](), 1
    for ids, remembered, discontinuity, reset in steps:
        epoch += discontinuity and reset
        seen, kept = ({f"ab-{epoch}-{identity}" for identity in one} for one in (ids, remembered))
        expected = seen | (here & kept)
        for event in watch.observe(frame(0, sorted(ids), epoch, discontinuity, sorted(remembered - ids))):
            CHECK.validate_python(event, strict=True)
            if event["type"] == "new":
                assert event["uid"] not in here
                here.add(str(event["uid"]))
            elif event["type"] == "end":
                here.remove(str(event["uid"]))
        assert here == expected


def test_of_several_classes_every_event_of_somebody_tells_theirs() -> None:
    def with_classes(time_s: float, ids: list[int], classes: list[int], **more: Any) -> TrackedFrame:
        seen = frame(time_s, ids, **more)
        of = np.array(classes, np.int32)
        return replace(seen, classes=("person", "car"), tracks=replace(seen.tracks, classes=of))

    watch = TrackEvents("ab")
    enter = ZoneEvent("enter", "hall", 2, 1, class_name="car")
    first = watch.observe(with_classes(0, [1, 2], [0, 1]), [enter])
    last = watch.observe(with_classes(1, [1], [0]))
    assert [(event["type"], event["id"], event["class"]) for event in first + last] == [
        ("new", 1, "person"),
        ("new", 2, "car"),
        ("enter", 2, "car"),
        ("end", 2, "car"),
    ]
    told(first + last)
