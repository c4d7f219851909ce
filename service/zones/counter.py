"""ZoneCounter: from the tracks of each frame to who is in which zone, what happened, and the counts. READ THIS FIRST.

The rules, which the tests hold it to:

- A box counts by its anchor, by default the foot point: the middle of the lower edge, clipped to the picture.
- Only observed boxes move anybody. A predicted one (`Tracks.detection` is -1) changes nothing at all.
- A person enters a polygon as soon as the anchor is inside, and leaves it when the anchor is outside by more than the
  margin, `MARGIN` of the box's height: who jitters on the border does not come and go.
- A person crosses a line when the way between two observed anchors crosses it, and counts as soon as the anchor is
  farther than the margin from it: who steps across and back within the margin has not crossed.
- A track that is not seen for a while has not moved. One that has ended, as the tracker ends it, leaves where it was.
- Who is first seen inside enters: enters - leaves = occupancy, always.
- Where a zone is limited to classes, nobody else is ever inside or crosses.
"""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Lock
from typing import Any, Literal, Protocol

import numpy as np

from edge.arrays import F32, F64, I32, I64, Bool
from edge.pipeline.pipeline import TrackedFrame
from edge.tracking.detections import Tracks
from engines.signature import PEOPLE
from service.kept import kept
from service.zones.counts import Dwell, LineCounts, PolygonCounts, ZoneCounts
from service.zones.presence import Presence
from service.zones.totals import Totals
from service.zones.zone import Line, Polygon
from service.zones.zone_map import ZoneMap, anchor_points

MARGIN = 0.1
"""Hysteresis, as part of the box's height: 17 cm of a person 1.7 m tall, however far from the camera."""


class CountStore(Protocol):
    """Where counts outlive the process: `service.store.Store`."""

    def counts(self, stream_id: str) -> dict[str, Any]: ...
    def put_counts(self, stream_id: str, counts: dict[str, Any], *, patient: bool = False) -> None: ...
    def keep_counts(self, stream_id: str, counts: dict[str, Any]) -> Future[None]: ...
    def lose_counts(self, stream_id: str, reason: str) -> None: ...


@dataclass(frozen=True, slots=True)
class ZoneEvent:
    """Something that happened in one frame."""

    type: Literal["enter", "leave", "cross"]
    zone: str
    track: int
    """Id of the person."""
    epoch: int
    """Of that id."""
    direction: Literal["forward", "backward"] | None = None
    """Of a crossing."""
    dwell_s: float | None = None
    """Of a leave: seconds inside."""
    class_name: str | None = None
    """The person's class; None where the pair sees people alone."""


class ZoneCounter:
    """The zones of one stream. `observe` and `events` are for the device thread, the rest for any."""

    def __init__(self, stream_id: str, zones: Sequence[Polygon | Line], store: CountStore) -> None:
        """Go on with the counts in `store`; who was inside then has left. Counts that make no sense are set aside."""
        self.events: list[ZoneEvent] = []
        """Of the frame last observed."""
        self._stream_id = stream_id
        self._store = store
        self._lock = Lock()
        self._zones = tuple(zones)
        self._map = ZoneMap.of(zones)
        try:
            self._totals = Totals.restored(store.counts(stream_id), zones)
        except ValueError as error:
            store.lose_counts(stream_id, str(error))
            self._totals = Totals.of(zones)
        self._presence = Presence.empty(len(self._map.polygons), len(self._map.lines))
        self._classes = PEOPLE
        self._takes = self._map.takes(self._classes)
        self._now_s = 0.0
        self._epoch = 1
        self._resets = 0  # under way

    def observe(self, tracked: TrackedFrame) -> list[list[str]]:
        """Count one frame; returns the ids of each track's polygons."""
        with self._lock:
            self.events = []
            if not self._zones:
                return [[] for _ in range(len(tracked.tracks))]
            if tracked.classes != self._classes:
                self._classes, self._takes = tracked.classes, self._map.takes(tracked.classes)
            self._end(tracked.ended(self._presence.ids, self._epoch))
            self._now_s, self._epoch = tracked.tracks.clock_s, tracked.epoch
            seen = (tracked.tracks.detection >= 0).nonzero()[0]
            if len(seen):
                ids, classes = tracked.tracks.ids[seen], tracked.tracks.classes
                classes = np.zeros(len(seen), np.int32) if classes is None else classes[seen]
                self._move(ids, classes, tracked.tracks.xyxy[seen], tracked.frame.size)
            if self.events:
                self._save(patient=True)
            return self._polygons_of(tracked.tracks)

    def set_zones(self, zones: Sequence[Polygon | Line]) -> None:
        """Replace the zones. One with the id and type of an old one goes on with its counts, wherever it is now."""
        with self._lock:
            old, new = self._map, ZoneMap.of(zones)
            self._presence.rezone(_columns(old.polygons, new.polygons), _columns(old.lines, new.lines))
            self._zones, self._map, self._totals = tuple(zones), new, Totals.of(zones, self._totals)
            self._takes = new.takes(self._classes)
            self._save()

    async def reset(self) -> ZoneCounts:
        """Begin to count anew and return the counts until now. Who is inside enters again with the next frame.

        The zeros are kept first, and nothing else until they are in force. Raises NotReady, with the counts as they
        were, where that is not possible.
        """
        with self._lock:
            self._resets += 1
            zeros = Totals.of(self._zones)
        try:
            await kept(self._store.keep_counts(self._stream_id, zeros.to_json()))
            with self._lock:
                until_now = self._counts()
                self._totals = Totals.of(self._zones, zeros)
                self._presence.start_anew()
            return until_now
        finally:
            with self._lock:
                self._resets -= 1
                self._save()

    def counts(self) -> ZoneCounts:
        """Return the counts as the API shows them."""
        with self._lock:
            return self._counts()

    def _end(self, ended: Bool) -> None:
        """Let the tracks where `ended` (N,) is True leave where they were last seen, and forget them."""
        if not ended.any():
            return
        presence = self._presence
        rows = ended.nonzero()[0]
        rows = rows[np.argsort(presence.seen_s[rows], kind="stable")]  # in the order of time, however rare frames are
        for row, column in np.argwhere(presence.inside[rows]):
            self._leave(rows[row], column, presence.seen_s[rows[row]], vanished=True)
        presence.keep(~ended)

    def _move(self, ids: I64, classes: I32, xyxy: F32, size: tuple[int, int]) -> None:
        """Take the people `ids`, observed in the boxes `xyxy` of a picture of `size`, to where they are now."""
        presence, polygons = self._presence, len(self._map.polygons)
        points = anchor_points(xyxy, size)
        inside, squared_px = self._map.locate(points, size)
        margin_px = MARGIN * (xyxy[:, 3] - xyxy[:, 1]).astype(np.float64)
        away = squared_px > np.square(margin_px)[:, None]
        rows = presence.rows(ids, classes, points)
        takes = self._takes[classes]
        self._cross(rows, points, away[:, polygons:], takes[:, polygons:])
        presence.points[rows] = points
        presence.seen_s[rows] = self._now_s
        self._enter_and_leave(rows, inside, away[:, :polygons], takes[:, :polygons])

    def _enter_and_leave(self, rows: I64, inside: Bool, away: Bool, takes: Bool) -> None:
        presence = self._presence
        was = presence.inside[rows]
        now = takes & (inside | (was & ~away))
        appeared = ~presence.judged[rows]
        presence.judged[rows] = True
        for row, column in np.argwhere(was & ~now):
            self._leave(rows[row], column, self._now_s, vanished=False)
        for row, column in np.argwhere(now & ~was):
            zone = self._map.polygons[column].id
            presence.since_s[rows[row], column] = self._now_s
            self._totals.polygons[zone].enter(bool(appeared[row, column]))
            self.events.append(self._event("enter", zone, rows[row]))
        presence.inside[rows] = now

    def _leave(self, row: int, column: int, at_s: float, vanished: bool) -> None:
        zone = self._map.polygons[column].id
        dwell_s = float(at_s - self._presence.since_s[row, column])
        self._totals.polygons[zone].leave(dwell_s, vanished)
        self.events.append(self._event("leave", zone, row, dwell_s=dwell_s))

    def _cross(self, rows: I64, points: F64, away: Bool, takes: Bool) -> None:
        presence = self._presence
        pending = takes * (presence.pending[rows] + self._map.crossings(presence.points[rows], points))
        presence.pending[rows] = np.where(away, 0, pending)
        for row, column in np.argwhere(away & (pending != 0)):
            line, net = self._map.lines[column].id, int(pending[row, column])
            self._totals.lines[line].cross(net)
            event = self._event("cross", line, rows[row], direction="forward" if net > 0 else "backward")
            self.events += [event] * abs(net)

    def _event(self, kind: Literal["enter", "leave", "cross"], zone: str, row: int, **more: Any) -> ZoneEvent:
        """Of the person in `row`."""
        presence = self._presence
        name = None if self._classes == PEOPLE else self._classes[presence.classes[row]]
        return ZoneEvent(kind, zone, int(presence.ids[row]), self._epoch, class_name=name, **more)

    def _polygons_of(self, tracks: Tracks) -> list[list[str]]:
        found: list[list[str]] = [[] for _ in range(len(tracks))]
        rows, known = self._presence.find(tracks.ids)
        if known.any():
            for row, column in np.argwhere(self._presence.inside[rows] & known[:, None]):
                found[row].append(self._map.polygons[column].id)
        return found

    def _save(self, patient: bool = False) -> None:
        if not self._resets:
            self._store.put_counts(self._stream_id, self._totals.to_json(), patient=patient)

    def _counts(self) -> ZoneCounts:
        return ZoneCounts(stream_id=self._stream_id, zones=[self._zone_counts(zone) for zone in self._zones])

    def _zone_counts(self, zone: Polygon | Line) -> PolygonCounts | LineCounts:
        name = zone.name or zone.id
        if isinstance(zone, Line):
            crossed = self._totals.lines[zone.id]
            return LineCounts(
                id=zone.id, name=name, since=crossed.since, forward=crossed.forward, backward=crossed.backward
            )
        totals, column = self._totals.polygons[zone.id], self._map.polygons.index(zone)
        here = self._presence.inside[:, column]
        so_far = (self._presence.seen_s - self._presence.since_s[:, column])[here]
        return PolygonCounts(
            id=zone.id,
            name=name,
            since=totals.since,
            occupancy=totals.occupancy,
            enters=totals.enters,
            leaves=totals.leaves,
            appeared=totals.appeared,
            vanished=totals.vanished,
            dwell_now=_dwell(len(so_far), so_far.sum(), so_far.max(initial=0)),
            dwell=_dwell(totals.stays, totals.dwell_sum_s, totals.dwell_max_s),
        )


def _columns(old: Sequence[Polygon] | Sequence[Line], new: Sequence[Polygon] | Sequence[Line]) -> list[int]:
    """Which column of `old` each zone of `new` continues, -1 for a zone that is new."""
    columns = {zone.id: column for column, zone in enumerate(old)}
    return [columns.get(zone.id, -1) for zone in new]


def _dwell(people: int, total_s: float, longest_s: float) -> Dwell:
    if not people:
        return Dwell(people=0, mean_s=None, max_s=None)
    return Dwell(people=people, mean_s=round(float(total_s) / people, 3), max_s=round(float(longest_s), 3))
