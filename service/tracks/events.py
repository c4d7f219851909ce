"""What happened in a frame: people who came and went, zones and lines, breaks of the stream; part of the track message.

A person's update is the message itself. Events of zones come from `service.zones`; those of persons from `TrackEvents`.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from edge.pipeline.pipeline import TrackedFrame
from edge.tracking.detections import Why
from engines.signature import PEOPLE
from service.zones.counter import ZoneEvent

Event = dict[str, object]
"""An event as plain data, in the form of one of the models below."""


class _PersonEvent(BaseModel):
    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, serialize_by_alias=True)

    class_: str | None = Field(
        default=None, alias="class", description="As in `tracks`; left out where the stream sees people alone."
    )
    id: int = Field(description="As in `tracks`.")
    uid: str = Field(description="As in `tracks`.")


class NewEvent(_PersonEvent):
    """A person was confirmed: this id is in `tracks` for the first time."""

    type: Literal["new"]


class EndEvent(_PersonEvent):
    """A person is gone; this id never comes back."""

    type: Literal["end"]
    why: Why | Literal["anew"] = Field(
        description="unseen: for so long that the tracker has forgotten them. duplicate: the box was somebody else's "
        "second one. anew: all identities started anew."
    )
    last_seen: float = Field(description="`ts_capture` of the last message that had this person.")


class StayEvent(_PersonEvent):
    """A person entered or left a zone."""

    type: Literal["enter", "leave"]
    zone: str = Field(description="Id of the zone.")
    dwell: float | None = Field(default=None, description="leave: seconds inside.")


class CrossEvent(_PersonEvent):
    """A person crossed a line."""

    type: Literal["cross"]
    zone: str = Field(description="Id of the line.")
    direction: Literal["forward", "backward"] = Field(description="forward: from the left of the line to its right.")


class DiscontinuityEvent(BaseModel):
    """The first frame after a reconnect: time passed that nobody saw."""

    type: Literal["discontinuity"]
    epoch: int = Field(description="The epoch from here on; a new one means that all ids are new people.")


class StudentEvent(BaseModel):
    """What live adaptation did with the student of this stream; identities stay."""

    type: Literal["student_adapted", "student_kept", "student_reverted", "adaptation_failed"]
    student: int = Field(description="The student in force from here on: 0 is the pair's own, others count rounds.")
    verdict: str | None = Field(default=None, description="As in the stream's `adaptation`; null: somebody chose.")
    scores: dict[str, dict[str, float]] = Field(default_factory=dict, description="As in the stream's `adaptation`.")


AnyEvent = Annotated[
    NewEvent | EndEvent | StayEvent | CrossEvent | DiscontinuityEvent | StudentEvent, Field(discriminator="type")
]


_ORDER = ("discontinuity", "leave", "end", "new", "enter", "cross")
"""Of the events in one message: a person leaves before their end and enters after they are new."""


class TrackEvents:
    """Tells which people of one stream are new and which are gone; feed it every frame, in order."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._epoch = 1
        self._last_seen: dict[int, tuple[float, str | None]] = {}
        """`ts_capture` of the last message that had each person who is not gone yet, and their class, if it is told."""

    def observe(self, tracked: TrackedFrame, of_zones: Sequence[ZoneEvent] = ()) -> list[Event]:
        """Return the events of this frame, those of its zones among them, in the order of `_ORDER`."""
        events = [self._of_zone(event) for event in of_zones]
        if tracked.discontinuity:
            events.append({"type": "discontinuity", "epoch": tracked.epoch})
        events += self._ends(tracked)
        self._epoch = tracked.epoch
        names: list[str | None] = [*tracked.class_names]
        if tracked.classes == PEOPLE:
            names = [None] * len(names)
        for identity, name in zip(tracked.tracks.ids.tolist(), names, strict=True):
            if identity not in self._last_seen:
                events.append({"type": "new", **self._person(identity, self._epoch, name)})
            self._last_seen[identity] = round(tracked.frame.captured_at_s, 6), name
        return sorted(events, key=lambda event: _ORDER.index(str(event["type"])))

    def _ends(self, tracked: TrackedFrame) -> list[Event]:
        known = np.array(list(self._last_seen), np.int64)
        gone = tracked.tracks.gone
        whys = dict(zip(gone.ids.tolist(), gone.whys, strict=True))
        ends: list[Event] = []
        for identity in known[tracked.ended(known, self._epoch)].tolist():
            last_seen, name = self._last_seen.pop(identity)
            why = whys.get(identity, "unseen") if tracked.epoch == self._epoch else "anew"
            person = self._person(identity, self._epoch, name)
            ends.append({"type": "end", **person, "why": why, "last_seen": last_seen})
        return ends

    def _of_zone(self, event: ZoneEvent) -> Event:
        told: Event = {
            "type": event.type,
            **self._person(event.track, event.epoch, event.class_name),
            "zone": event.zone,
        }
        if event.direction is not None:
            told["direction"] = event.direction
        if event.dwell_s is not None:
            told["dwell"] = round(event.dwell_s, 3)
        return told

    def _person(self, identity: int, epoch: int, name: str | None) -> Event:
        person: Event = {"id": identity, "uid": f"{self._run}-{epoch}-{identity}"}
        return person if name is None else {**person, "class": name}
