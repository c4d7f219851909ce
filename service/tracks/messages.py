"""The track message of `/streams/{id}/tracks`, schema tracks/1: one JSON text per processed frame."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json

from edge.arrays import F32
from edge.pipeline.pipeline import Kind, TrackedFrame
from edge.tracking.detections import TrackState
from engines.signature import PERSON
from service.lane_fields import as_fields, with_lane_fields
from service.tracks.events import AnyEvent, Event

StateName = Literal["tentative", "confirmed", "lost"]

_STATE_NAMES: dict[int, StateName] = {
    TrackState.TENTATIVE: "tentative",
    TrackState.CONFIRMED: "confirmed",
    TrackState.LOST: "lost",
}
NO_EVENTS = b'"events":[],"gap":0}'
"""How a message ends that tells of no event."""


class TrackItem(BaseModel):
    """One person in one frame, or one object of another class."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, serialize_by_alias=True)

    id: int = Field(description="Small number, unique within the stream; given when the person is confirmed.")
    uid: str = Field(description="Globally unique identity.")
    bbox: tuple[float, float, float, float] = Field(
        description="x1, y1, x2, y2 in source pixels; may leave the picture."
    )
    score: float = Field(ge=0, le=1, description="Score of the last detection.")
    class_: str = Field(default=PERSON, alias="class", description="What it is, one of the stream's `classes`.")
    state: StateName
    age: float = Field(description="Seconds since this person was first seen.")
    unseen: float = Field(description="Seconds since a network saw this person; 0 where one did in this frame.")
    origin: Kind = Field(description="Who saw the box in this frame; predicted: nobody, it is the motion model's.")
    since_teacher: int = Field(description="Frames since the teacher last looked: 0 on a keyframe, -1 if it never did.")
    velocity: tuple[float, float] = Field(description="Of the box centre, source pixels per second.")
    zones: list[str] = Field(default_factory=list, description="Ids of the zones that this person stands in.")


@with_lane_fields("always")
class TrackMessage(BaseModel):
    """Everything known about one frame of one stream, and the settings of its lane that held for it."""

    schema_: Literal["tracks/1"] = Field(default="tracks/1", alias="schema")
    stream_id: str
    run: str = Field(description="This life of the stream; after a restart, another one counts `seq` from 1 again.")
    epoch: int = Field(description="Grows when identities start anew.")
    seq: int = Field(ge=1, description="Counts the messages of the stream from 1, without holes.")
    frame_id: int = Field(description="Position in the source; holes are frames that were skipped.")
    ts_capture: float = Field(description="Unix time of capture, seconds.")
    clock: Literal["camera", "host", "media"] = Field(description="Who stamped ts_capture.")
    pts: int | None = Field(description="Presentation time stamp of the container, in its units.")
    ts_out: float = Field(description="Unix time when the tracks were ready, seconds.")
    width: int = Field(description="Source picture, pixels.")
    height: int
    kind: Kind = Field(description="Which network saw this frame; predicted: none did.")
    tracks: list[TrackItem]
    events: list[AnyEvent] = Field(default_factory=list, description="What happened in this frame.")
    gap: int = Field(
        default=0,
        ge=0,
        description="Messages of this stream that were lost to this subscriber just before this one: too slow for the "
        "queue, or too late for what is kept to resume from.",
    )

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, serialize_by_alias=True)


@dataclass(frozen=True, slots=True)
class Published:
    """An encoded message, with what one has to know of it without decoding."""

    stream_id: str
    seq: int
    ts_capture: float
    encoded: bytes

    def with_gap(self, gap: int) -> "Published":
        """Return this message telling its subscriber that `gap` messages before it were lost."""
        return self if gap == 0 else replace(self, encoded=with_gap(self.encoded, gap))


def encode(
    tracked: TrackedFrame,
    stream_id: str,
    run: str,
    seq: int,
    ts_out: float,
    zones: Sequence[list[str]] | None = None,
    events: Sequence[Event] = (),
) -> Published:
    """Return the JSON text of a TrackMessage, once for all subscribers.

    `run` names this life of the stream and makes `uid` globally unique; `zones` has the zone ids of each track, row by
    row. Built from plain dictionaries, which takes a tenth of the time that models would.
    """
    frame = tracked.frame
    width, height = frame.size
    ts_capture = round(frame.captured_at_s, 6)
    message = {
        "schema": "tracks/1",
        "stream_id": stream_id,
        "run": run,
        "epoch": tracked.epoch,
        "seq": seq,
        "frame_id": frame.index,
        "ts_capture": ts_capture,
        "clock": frame.clock,
        "pts": frame.pts,
        "ts_out": round(ts_out, 6),
        "width": width,
        "height": height,
        **as_fields(tracked.settings),
        "kind": tracked.kind,
        "tracks": _items(tracked, f"{run}-{tracked.epoch}-", zones),
        "events": events,
        "gap": 0,
    }
    return Published(stream_id, seq, ts_capture, to_json(message))


def _items(tracked: TrackedFrame, uid_prefix: str, zones: Sequence[list[str]] | None) -> list[dict[str, object]]:
    tracks = tracked.tracks
    columns = zip(
        tracks.ids.tolist(),
        _rounded(tracks.xyxy, 1),
        _rounded(tracks.scores, 3),
        tracks.states.tolist(),
        _rounded(tracks.ages_s, 3),
        _rounded(tracks.unseen_s, 3),
        tracks.detection.tolist(),
        _rounded(tracks.velocities, 1),
        tracked.class_names,
        [[]] * len(tracks) if zones is None else zones,
        strict=True,
    )
    return [
        {
            "id": identity,
            "uid": f"{uid_prefix}{identity}",
            "bbox": xyxy,
            "score": score,
            "class": name,
            "state": _STATE_NAMES[state],
            "age": age,
            "unseen": unseen,
            "origin": tracked.origin if detection >= 0 else "predicted",
            "since_teacher": tracked.since_teacher,
            "velocity": velocity,
            "zones": inside,
        }
        for identity, xyxy, score, state, age, unseen, detection, velocity, name, inside in columns
    ]


def _rounded(values: F32, decimals: int) -> list[Any]:
    """Lists of doubles with few digits, so that the text is short."""
    rounded: list[Any] = np.round(values.astype(np.float64), decimals).tolist()
    return rounded


def with_gap(encoded: bytes, gap: int) -> bytes:
    """Return `encoded` telling of a gap, besides the one that it may tell of already."""
    body, _, told = encoded.rpartition(b'"gap":')
    return body + b'"gap":%d}' % (int(told[:-1]) + gap)


_HEAD = re.compile(
    rb'"stream_id":"([^"]+)","run":"([0-9a-f]+)","epoch":\d+,"seq":(\d+),"frame_id":\d+,"ts_capture":([^,]+),'
)


def read_head(encoded: bytes) -> tuple[Published, int]:
    """Return a message that came from another process, without decoding it, and its run as a number.

    Raises ValueError for what `encode` cannot have made.
    """
    found = _HEAD.search(encoded, 0, 400)
    if found is None:
        raise ValueError("this is no track message")
    stream_id, run, seq, ts_capture = found.groups()
    return Published(stream_id.decode(), int(seq), float(ts_capture), encoded), int(run, 16)
