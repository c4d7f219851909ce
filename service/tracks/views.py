"""View: what a subscriber wants of each message. Viewer: the messages of one stream, shown through one view."""

import math
from dataclasses import dataclass, replace
from typing import Any, Self

from pydantic_core import from_json, to_json

from engines.signature import PERSON
from service.tracks.messages import NO_EVENTS, Published, TrackItem, TrackMessage

ALWAYS = ("schema", "stream_id", "seq", "gap")
"""Fields that no view leaves out."""
TRACK_FIELDS = frozenset(field.alias or name for name, field in TrackItem.model_fields.items())
MESSAGE_FIELDS = frozenset(field.alias or name for name, field in TrackMessage.model_fields.items()).difference(ALWAYS)
MIN_RATE, MAX_RATE = 0.01, 1000.0
"""Messages per second; events are kept until the next message, so there has to be one now and then."""


@dataclass(frozen=True, slots=True)
class View:
    """A choice among messages and their parts; the default is everything. Equal views share their work."""

    zones: frozenset[str] | None = None
    """Only tracks inside one of these zones, and only events of these zones and lines; None: all."""
    fields: frozenset[str] | None = None
    """Only these fields of messages and tracks, besides ALWAYS; None: all."""
    max_rate: float | None = None
    """At most so many messages per second of capture time. Events of messages left out come with the next one."""
    classes: frozenset[str] | None = None
    """Only tracks of these classes, and their events; None: all."""

    @classmethod
    def parse(cls, zones: str | None, fields: str | None, max_rate: float | None, classes: str | None = None) -> Self:
        """View of comma-separated lists. Raises ValueError for fields that do not exist, or an impossible rate."""
        chosen = _names(fields)
        unknown = sorted((chosen or frozenset()) - TRACK_FIELDS - MESSAGE_FIELDS - set(ALWAYS))
        if unknown:
            known = ", ".join(sorted(TRACK_FIELDS | MESSAGE_FIELDS))
            raise ValueError(f"there is no field {unknown[0]!r}; known fields: {known}")
        if max_rate is not None and not MIN_RATE <= max_rate <= MAX_RATE:
            raise ValueError(f"max_rate must be {MIN_RATE:g} to {MAX_RATE:g} messages per second, got {max_rate:g}")
        return cls(_names(zones), chosen, max_rate, _names(classes))


EVERYTHING = View()


def _names(text: str | None) -> frozenset[str] | None:
    return None if text is None else frozenset(name for name in text.split(",") if name)


class Viewer:
    """Shows the messages of one stream, in order, through `view`; remembers the events of those left out."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._slot: int | None = None
        self._events: list[dict[str, Any]] = []

    def show(self, message: Published) -> Published | None:
        """Return what is to be sent of `message`; None where it is left out."""
        if self._view == EVERYTHING:
            return message
        if self._is_too_soon(message):
            if not message.encoded.endswith(NO_EVENTS):
                self._events += from_json(message.encoded)["events"]
            return None
        body = from_json(message.encoded)
        body["events"] = self._events + body["events"]
        self._events = []
        return replace(message, encoded=to_json(self._cut(body)))

    def _is_too_soon(self, message: Published) -> bool:
        """One message per slot of 1 / max_rate seconds: slots, so that all subscribers of a view get the same ones."""
        if self._view.max_rate is None:
            return False
        slot = math.floor(message.ts_capture * self._view.max_rate)
        before, self._slot = self._slot, slot
        return slot == before

    def _cut(self, body: dict[str, Any]) -> dict[str, Any]:
        zones, fields, classes = self._view.zones, self._view.fields, self._view.classes
        if classes is not None:
            body["tracks"] = [track for track in body["tracks"] if track["class"] in classes]
            body["events"] = [event for event in body["events"] if _is_of(event, classes)]
        if zones is not None:
            body["tracks"] = [track for track in body["tracks"] if not zones.isdisjoint(track["zones"])]
            body["events"] = [event for event in body["events"] if _is_about(event, zones)]
        if fields is None:
            return body
        if of_tracks := fields & TRACK_FIELDS:
            body["tracks"] = [{name: track[name] for name in track if name in of_tracks} for track in body["tracks"]]
        kept = fields.union(ALWAYS, ["tracks"] if of_tracks else [])
        return {name: value for name, value in body.items() if name in kept}


def _is_about(event: dict[str, Any], zones: frozenset[str]) -> bool:
    """What concerns everybody is about nobody."""
    return "id" not in event or event.get("zone") in zones


def _is_of(event: dict[str, Any], classes: frozenset[str]) -> bool:
    """As above."""
    return "id" not in event or event.get("class", PERSON) in classes
