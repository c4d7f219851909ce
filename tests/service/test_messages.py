"""The track message against its own schema."""

import json

import numpy as np
import pytest

from edge.detections import Tracks, TrackState
from edge.pipeline import TrackedFrame
from edge.sources.base import Frame
from service.messages import TrackMessage, encode, with_gap


def tracked_frame(tracks: Tracks, **changes: object) -> TrackedFrame:
    frame = Frame(np.zeros((20, 30, 3), np.uint8), 7, 0.5, 1000.25, "camera", 4500)
    values: dict[str, object] = {"kind": "student", "k": 6, "since_teacher": 2} | changes
    return TrackedFrame("door", frame, tracks, **values)  # type: ignore[arg-type]


def two_tracks() -> Tracks:
    return Tracks(
        ids=np.array([3, 9]),
        xyxy=np.array([[1.25, 2, 3, 4], [-5, 0, 0.1, 7.77]], np.float32),
        scores=np.array([0.9, 0.4], np.float32),
        states=np.array([TrackState.CONFIRMED, TrackState.LOST], np.uint8),
        velocities=np.array([[0, 0], [1.5, -2.25]], np.float32),
        ages_s=np.array([0, 12.3456], np.float32),
        detection=np.array([0, -1], np.int32),
    )


def test_frame_without_people_is_a_message_without_tracks() -> None:
    body = json.loads(encode(tracked_frame(Tracks.empty()), "door", "ab12", 1, 1, 1000.5))
    assert body == {
        "schema": "tracks/1",
        "stream_id": "door",
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
        "kind": "student",
        "tracks": [],
        "gap": 0,
    }


def test_tracks_are_told_with_their_origin() -> None:
    body = json.loads(encode(tracked_frame(two_tracks()), "door", "ab12", 2, 5, 1000.5))
    assert body["tracks"] == [
        {
            "id": 3,
            "uid": "ab12-2-3",
            "bbox": [1.2, 2.0, 3.0, 4.0],
            "score": 0.9,
            "class": "person",
            "state": "confirmed",
            "age": 0.0,
            "origin": "student",
            "since_teacher": 2,
            "velocity": [0.0, 0.0],
        },
        {
            "id": 9,
            "uid": "ab12-2-9",
            "bbox": [-5.0, 0.0, 0.1, 7.8],
            "score": 0.4,
            "class": "person",
            "state": "lost",
            "age": 12.346,
            "origin": "predicted",
            "since_teacher": 2,
            "velocity": [1.5, -2.2],
        },
    ]


@pytest.mark.parametrize("gap", [0, 1, 12345])
def test_encoded_message_keeps_its_schema_with_any_gap(gap: int) -> None:
    encoded = encode(tracked_frame(two_tracks()), "door", "ab12", 1, 1, 1000.5)
    message = TrackMessage.model_validate_json(with_gap(encoded, gap), strict=True)
    assert message.gap == gap
    assert len(message.tracks) == 2
    assert message.model_copy(update={"gap": 0}).model_dump_json().encode() == encoded


def test_numbers_are_short() -> None:
    encoded = encode(tracked_frame(two_tracks()), "door", "ab12", 1, 1, 1000.5000000123)
    assert len(encoded) < 700
