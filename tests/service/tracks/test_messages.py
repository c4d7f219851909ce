"""The track message against its own schema."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.pipeline.config import LaneSettings
from edge.pipeline.pipeline import TrackedFrame
from edge.sources.base import Frame
from edge.tracking.detections import Tracks, TrackState
from service.tracks.events import Event
from service.tracks.messages import NO_EVENTS, TrackMessage, encode, read_head, with_gap


def tracked_frame(tracks: Tracks, **changes: object) -> TrackedFrame:
    frame = Frame(np.zeros((20, 30, 3), np.uint8), 7, 0.5, 1000.25, "camera", 4500)
    values = {"kind": "student", "since_teacher": 2, "settings": LaneSettings(threshold=0.3)} | changes
    return TrackedFrame("door", frame, tracks, **values)


def two_tracks() -> Tracks:
    return Tracks(
        ids=np.array([3, 9]),
        xyxy=np.array([[1.25, 2, 3, 4], [-5, 0, 0.1, 7.77]], np.float32),
        scores=np.array([0.9, 0.4], np.float32),
        states=np.array([TrackState.CONFIRMED, TrackState.LOST], np.uint8),
        velocities=np.array([[0, 0], [1.5, -2.25]], np.float32),
        ages_s=np.array([0, 12.3456], np.float32),
        unseen_s=np.array([0, 0.25], np.float32),
        detection=np.array([0, -1], np.int32),
    )


def test_frame_without_people_is_a_message_without_tracks() -> None:
    body = json.loads(encode(tracked_frame(Tracks.empty()), "door", "ab12", 1, 1000.5).encoded)
    assert body == {
        "schema": "tracks/1",
        "stream_id": "door",
        "run": "ab12",
        "epoch": 1,
        "seq": 1,
        "frame_id": 7,
        "ts_capture": 1000.25,
        "clock": "camera",
        "pts": 4500,
        "ts_out": 1000.5,
        "width": 30,
        "height": 20,
        "k": 6,
        "mode": "atttrack",
        "threshold": 0.3,
        "identity": "keep",
        "schedule": "fixed",
        "quality": 0.6,
        "longest_s": 1.0,
        "shortest_s": 0.0,
        "student_every": 1,
        "kind": "student",
        "tracks": [],
        "events": [],
        "gap": 0,
    }


def test_tracks_are_told_with_their_origin() -> None:
    tracked = tracked_frame(two_tracks(), epoch=2)
    body = json.loads(encode(tracked, "door", "ab12", 5, 1000.5, [["hall", "door"], []]).encoded)
    assert body["tracks"] == [
        {
            "id": 3,
            "uid": "ab12-2-3",
            "bbox": [1.2, 2.0, 3.0, 4.0],
            "score": 0.9,
            "class": "person",
            "state": "confirmed",
            "age": 0.0,
            "unseen": 0.0,
            "origin": "student",
            "since_teacher": 2,
            "velocity": [0.0, 0.0],
            "zones": ["hall", "door"],
        },
        {
            "id": 9,
            "uid": "ab12-2-9",
            "bbox": [-5.0, 0.0, 0.1, 7.8],
            "score": 0.4,
            "class": "person",
            "state": "lost",
            "age": 12.346,
            "unseen": 0.25,
            "origin": "predicted",
            "since_teacher": 2,
            "velocity": [1.5, -2.2],
            "zones": [],
        },
    ]


def test_where_people_alone_are_seen_not_a_byte_is_other_than_before_there_were_classes() -> None:
    """What a service of that time has sent, with that time's settings."""
    tracked = tracked_frame(two_tracks(), settings=LaneSettings(threshold=0.3, student_every=1))
    events: list[Event] = [{"type": "new", "id": 9, "uid": "ab12-1-9"}]
    assert encode(tracked, "door", "ab12", 5, 1000.5, [["hall"], []], events).encoded == (
        b'{"schema":"tracks/1","stream_id":"door","run":"ab12","epoch":1,"seq":5,"frame_id":7,"ts_capture":1000.25,'
        b'"clock":"camera","pts":4500,"ts_out":1000.5,"width":30,"height":20,"k":6,"mode":"atttrack","threshold":0.3,'
        b'"identity":"keep","schedule":"fixed","quality":0.6,"longest_s":1.0,"shortest_s":0.0,"student_every":1,'
        b'"kind":"student","tracks":[{"id":3,"uid":"ab12-1-3","bbox":[1.2,2.0,3.0,4.0],"score":0.9,"class":"person",'
        b'"state":"confirmed","age":0.0,"unseen":0.0,"origin":"student","since_teacher":2,"velocity":[0.0,0.0],'
        b'"zones":["hall"]},{"id":9,"uid":"ab12-1-9","bbox":[-5.0,0.0,0.1,7.8],"score":0.4,"class":"person",'
        b'"state":"lost","age":12.346,"unseen":0.25,"origin":"predicted","since_teacher":2,"velocity":[1.5,-2.2],'
        b'"zones":[]}],"events":[{"type":"new","id":9,"uid":"ab12-1-9"}],"gap":0}'
    )


def test_another_class_than_person_is_told_by_its_name() -> None:
    tracked = replace(tracked_frame(two_tracks()), classes=("car", "person"))
    for classes, told in ((None, ["car", "car"]), ([1, 0], ["person", "car"])):
        tracks = replace(two_tracks(), classes=None if classes is None else np.array(classes, np.int32))
        encoded = encode(replace(tracked, tracks=tracks), "door", "ab12", 5, 1000.5).encoded
        assert [track["class"] for track in json.loads(encoded)["tracks"]] == told
        TrackMessage.model_validate_json(encoded, strict=True)


EVENTS: list[Event] = [
    {"type": "discontinuity", "epoch": 2},
    {"type": "leave", "id": 4, "uid": "ab12-1-4", "zone": "hall", "dwell": 2.5},
    {"type": "end", "id": 4, "uid": "ab12-1-4", "last_seen": 999.5, "why": "unseen"},
    {"type": "new", "id": 9, "uid": "ab12-1-9"},
    {"type": "enter", "id": 9, "uid": "ab12-1-9", "zone": "hall"},
    {"type": "enter", "id": 9, "uid": "ab12-1-9", "class": "car", "zone": "hall"},
    {"type": "cross", "id": 9, "uid": "ab12-1-9", "zone": "line", "direction": "backward"},
]


@pytest.mark.parametrize("events", [[], EVENTS])
@pytest.mark.parametrize("gap", [0, 1, 12345])
def test_encoded_message_keeps_its_schema_with_any_gap(gap: int, events: list[Event]) -> None:
    published = encode(tracked_frame(two_tracks()), "door", "ab12", 1, 1000.5, events=events)
    message = TrackMessage.model_validate_json(published.with_gap(gap).encoded, strict=True)
    assert message.gap == gap
    assert len(message.tracks) == 2
    again = message.model_copy(update={"gap": 0}).model_dump(mode="json", exclude_none=True)
    assert again == json.loads(published.encoded)
    assert published.encoded.endswith(NO_EVENTS) == (not events)


def test_what_is_published_can_be_told_without_decoding() -> None:
    published = encode(tracked_frame(two_tracks()), "door", "ab12", 12, 1000.5)
    body = json.loads(published.encoded)
    assert (published.stream_id, published.seq, published.ts_capture) == ("door", body["seq"], body["ts_capture"])


def test_numbers_are_short() -> None:
    published = encode(tracked_frame(two_tracks()), "door", "ab12", 1, 1000.5000000123)
    assert len(published.encoded) < 800


@given(
    st.lists(
        st.tuples(st.text("0123456789abcdef", min_size=1), st.integers(1, 2**31), st.integers(1, 2**31)), unique=True
    )
)
def test_identities_of_different_runs_epochs_and_ids_have_different_names(names: list[tuple[str, int, int]]) -> None:
    uids = set()
    for run, epoch, identity in names:
        tracks = replace(two_tracks(), ids=np.array([identity, identity + 1]))
        body = json.loads(encode(tracked_frame(tracks, epoch=epoch), "door", run, 1, 0.0).encoded)
        uids.add(body["tracks"][0]["uid"])
        assert body["tracks"][0]["id"] == identity
    assert len(uids) == len(names)


def test_gap_is_added_to_the_one_that_a_message_tells_of() -> None:
    assert with_gap(b'{"seq":1,"gap":0}', 3) == b'{"seq":1,"gap":3}'
    assert with_gap(b'{"seq":1,"gap":12}', 3) == b'{"seq":1,"gap":15}'


def test_head_is_read_without_decoding() -> None:
    sent = encode(tracked_frame(two_tracks()), "cam.1", "66183004575c3", 7, ts_out=12.5)
    assert read_head(sent.encoded) == (sent, 0x66183004575C3)
    with pytest.raises(ValueError, match="no track message"):
        read_head(b'{"seq":1}')
