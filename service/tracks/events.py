"""What happened in a frame: people who came and went, zones and lines, breaks of the stream; part of the track message.

A person's update is the message itself. Events of zones come from `service.zones`; those of persons from `TrackEvents`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from edge.pipeline.pipeline import TrackedFrame
from edge.tracking.tracker import TIME_TOLERANCE_S, TrackerSettings
from service.zones.counter import ZoneEvent

Event = dict[str, object]
"""An event as plain data, in the form of one of the models below."""


class _PersonEvent(BaseModel):
    id: int = Field(description="As in `tracks`.")
    uid: str = Field(description="As in `tracks`.")


class NewEvent(_PersonEvent):
    """A person was confirmed: this id is in `tracks` for the first time."""

    type: Literal["new"]


class EndEvent(_PersonEvent):
    """A person has not been seen for so long that the tracker has forgotten them."""

    type: Literal["end"]
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


AnyEvent = Annotated[NewEvent | EndEvent | StayEvent | CrossEvent | DiscontinuityEvent, Field(discriminator="type")]


_ORDER = ("discontinuity", "leave", "end", "new", "enter", "cross")
"""Of the events in one message: a person leaves before their end and enters after they are new."""


class TrackEvents:
    """Tells which people of one stream are new and which are gone; feed it every frame, in order."""

    def __init__(self, run: str, tracker: TrackerSettings | None = None) -> None:
        self._run = run
        self._tracker = tracker or TrackerSettings()
        self._epoch = 1
        self._present: dict[int, _Presence] = {}
        self._now_s = 0.0
        self._last_time_s: float | None = None

    def observe(self, tracked: TrackedFrame, of_zones: Sequence[ZoneEvent] = ()) -> list[Event]:
        """Return the events of this frame, those of its zones among them, in the order of `_ORDER`."""
        self._advance(tracked.frame.time_s)
        events = [self._of_zone(event) for event in of_zones]
        if tracked.discontinuity:
            events.append({"type": "discontinuity", "epoch": tracked.epoch})
        self._stay(tracked, events)
        return sorted(events, key=lambda event: _ORDER.index(str(event["type"])))

    def _advance(self, time_s: float) -> None:
        """Let time pass; a clock that jumps back stands still."""
        self._now_s += 0.0 if self._last_time_s is None else max(0.0, time_s - self._last_time_s)
        self._last_time_s = time_s

    def _stay(self, tracked: TrackedFrame, events: list[Event]) -> None:
        """Add the ends and news of this frame to `events`."""
        if tracked.epoch != self._epoch:
            self._end(list(self._present), events)
            self._epoch = tracked.epoch
        elif tracked.discontinuity:  # who was there before may yet be found again
            for presence in self._present.values():
                presence.ends_s = presence.seen_s + self._tracker.relink_s + 2 * TIME_TOLERANCE_S
        seen = tracked.tracks.ids.tolist()
        ends_s = self._now_s + self._tracker.lost_after_s + 2 * TIME_TOLERANCE_S
        for identity in seen:
            if identity not in self._present:
                events.append({"type": "new", **self._person(identity, self._epoch)})
            self._present[identity] = _Presence(tracked.frame.captured_at_s, self._now_s, ends_s)
        self._end([one for one, presence in self._present.items() if presence.ends_s < self._now_s], events)

    def _end(self, identities: list[int], events: list[Event]) -> None:
        for identity in identities:
            last_seen = round(self._present.pop(identity).seen_at_s, 6)
            events.append({"type": "end", **self._person(identity, self._epoch), "last_seen": last_seen})

    def _of_zone(self, event: ZoneEvent) -> Event:
        told: Event = {"type": event.type, **self._person(event.track, event.epoch), "zone": event.zone}
        if event.direction is not None:
            told["direction"] = event.direction
        if event.dwell_s is not None:
            told["dwell"] = round(event.dwell_s, 3)
        return told

    def _person(self, identity: int, epoch: int) -> Event:
        return {"id": identity, "uid": f"{self._run}-{epoch}-{identity}"}


@dataclass(slots=True)
class _Presence:
    """When a person was last seen, and until when they may come back."""

    seen_at_s: float
    """Unix time."""
    seen_s: float
    """Own clock, like `ends_s`."""
    ends_s: float
