"""TrackEvents: who is new, who has gone, and in which order it is told."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from edge.pipeline.pipeline import TrackedFrame
from edge.sources.base import Frame
from edge.tracking.detections import Tracks
from edge.tracking.tracker import TrackerSettings
from service.tracks.events import AnyEvent, Event, TrackEvents
from service.zones.counter import ZoneEvent

LOST, RELINK = TrackerSettings().lost_after_s, TrackerSettings().relink_s
CHECK: TypeAdapter[AnyEvent] = TypeAdapter(AnyEvent)


def frame(time_s: float, ids: list[int], epoch: int = 1, discontinuity: bool = False) -> TrackedFrame:
    count = len(ids)
    tracks = Tracks(
        ids=np.array(ids, np.int64),
        xyxy=np.zeros((count, 4), np.float32),
        scores=np.zeros(count, np.float32),
        states=np.ones(count, np.uint8),
        velocities=np.zeros((count, 2), np.float32),
        ages_s=np.zeros(count, np.float32),
        detection=np.arange(count, dtype=np.int32),
    )
    picture = Frame(np.zeros((2, 2, 3), np.uint8), 0, time_s, 1000 + time_s, "host", None)
    return TrackedFrame("door", picture, tracks, "student", 1, epoch=epoch, discontinuity=discontinuity)


def told(events: list[Event]) -> list[tuple[str, object]]:
    for event in events:
        CHECK.validate_python(event, strict=True)
    return [(str(event["type"]), event.get("id")) for event in events]


def test_frame_without_people_has_no_events() -> None:
    assert TrackEvents("run").observe(frame(0, [])) == []


def test_person_is_new_once_and_ends_once() -> None:
    watch = TrackEvents("ab")
    assert watch.observe(frame(0, [7])) == [{"type": "new", "id": 7, "uid": "ab-1-7"}]
    assert watch.observe(frame(0.5, [7])) == []
    assert watch.observe(frame(1.0, [])) == []
    assert watch.observe(frame(1.4, [7])) == []  # found again in time
    assert watch.observe(frame(1.4 + LOST, [])) == []
    end = watch.observe(frame(1.5 + LOST, []))
    assert end == [{"type": "end", "id": 7, "uid": "ab-1-7", "last_seen": 1001.4}]
    assert watch.observe(frame(9, [])) == []


def test_identities_that_start_anew_end_and_begin() -> None:
    watch = TrackEvents("ab")
    watch.observe(frame(0, [1, 2]))
    events = watch.observe(frame(5, [1], epoch=2, discontinuity=True))
    assert told(events) == [("discontinuity", None), ("end", 1), ("end", 2), ("new", 1)]
    assert [event.get("uid") for event in events] == [None, "ab-1-1", "ab-1-2", "ab-2-1"]


def test_people_may_come_back_after_a_reconnect_that_keeps_identities() -> None:
    watch = TrackEvents("ab")
    watch.observe(frame(0, [1, 2]))
    assert told(watch.observe(frame(20, [], discontinuity=True))) == [("discontinuity", None)]
    assert watch.observe(frame(RELINK - 0.1, [2])) == []
    assert told(watch.observe(frame(RELINK + 0.1, [2]))) == [("end", 1)]  # `relink_s` counts from when 1 was seen


def test_who_was_away_for_too_long_ends_when_the_camera_is_back() -> None:
    watch = TrackEvents("ab")
    watch.observe(frame(0, [1]))
    events = watch.observe(frame(RELINK + 1, [2], discontinuity=True))
    assert told(events) == [("discontinuity", None), ("end", 1), ("new", 2)]


def test_events_of_zones_stand_between_coming_and_going() -> None:
    watch = TrackEvents("ab")
    watch.observe(frame(0, [1]))
    of_zones = [
        ZoneEvent("enter", "hall", 2, 1),
        ZoneEvent("leave", "hall", 1, 1, dwell_s=1.23456),
        ZoneEvent("cross", "line", 2, 1, "backward"),
    ]
    events = watch.observe(frame(LOST + 1, [2]), of_zones)
    assert told(events) == [("leave", 1), ("end", 1), ("new", 2), ("enter", 2), ("cross", 2)]
    assert events[0] == {"type": "leave", "id": 1, "uid": "ab-1-1", "zone": "hall", "dwell": 1.235}
    assert events[4] == {"type": "cross", "id": 2, "uid": "ab-1-2", "zone": "line", "direction": "backward"}


frames = st.lists(st.tuples(st.floats(-1, 3), st.sets(st.integers(1, 6)), st.booleans(), st.booleans()))


@given(frames)
def test_everybody_in_a_message_is_new_before_and_ends_at_most_once_after(
    steps: list[tuple[float, set[int], bool, bool]],
) -> None:
    watch, here, time_s, epoch = TrackEvents("ab"), set[str](), 100.0, 1
    for step_s, ids, discontinuity, reset in steps:
        time_s += step_s  # clocks jump back, too
        epoch += discontinuity and reset
        for event in watch.observe(frame(time_s, sorted(ids), epoch, discontinuity)):
            CHECK.validate_python(event, strict=True)
            if event["type"] == "new":
                assert event["uid"] not in here
                here.add(str(event["uid"]))
            elif event["type"] == "end":
                here.remove(str(event["uid"]))
        assert here >= {f"ab-{epoch}-{identity}" for identity in ids}
        assert all(uid.startswith(f"ab-{epoch}-") for uid in here)
