"""Timeline: carries what happens from the device thread into the archive, on a thread of its own."""

import logging
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Condition, Event, Thread
from typing import TypeVar

from edge.annotate import Annotator
from edge.pipeline.pipeline import Kind, TrackedFrame
from service.timeline import archive
from service.timeline.archive import STEP_S, Archive, PeopleCounts
from service.tracks.video import to_jpeg
from service.zones.counter import ZoneEvent
from service.zones.zone import Line, Polygon

log = logging.getLogger(__name__)

FLUSH_S = 1.0
"""Time between two writes."""
SWEEP_S = 60.0
"""Time between two looks at the limits."""
MOST_WAITING = 10_000
"""Records that wait for a disk that hangs; the oldest are given up."""
MOST_STILLS_WAITING = 8
"""Pictures that wait to be encoded; events beyond have none."""
STILL_WIDTH = 640
STILL_QUALITY = 75
WAIT_S = 5.0
"""Longest wait of one who wants something done by the writing thread."""
Result = TypeVar("Result")
SECONDS_A_DAY = 86_400.0


class TimelineLost(Exception):
    """The timeline cannot be read now; the service's log has the reason."""


@dataclass(frozen=True, slots=True)
class TimelineSettings:
    """How much is kept."""

    days: float
    """Of counts and events."""
    stills_bytes: float
    """Of the stills of all streams together."""


@dataclass(frozen=True, slots=True)
class _Record:
    stream_id: str
    counts: tuple[PeopleCounts, ...] = ()
    events: tuple[archive.StoredEvent, ...] = ()
    picture: TrackedFrame | None = None
    """Of the events."""
    until: float = 0.0
    """Unix time: how long the picture is kept."""


@dataclass(slots=True, eq=False)
class _Forget:
    stream_id: str
    done: Event = field(default_factory=Event)


class Timeline:
    """Starts and ends with the service. A file that fails costs the timeline and nothing else; the log says so once."""

    def __init__(self, path: Path | None, settings: TimelineSettings) -> None:
        """`path`: the archive's file; None: memory."""
        self._path = path
        self._settings = settings
        self._waiting: deque[_Record] = deque(maxlen=MOST_WAITING)
        self._forgetting: list[_Forget] = []
        self._pictures = 0  # of those that wait
        self._recorders: dict[str, Recorder] = {}
        self._news = Condition()
        self._stopping = False
        self._fails = False
        self._opened = Event()
        self._archive: Archive | None = None
        self._known: frozenset[str] | None = frozenset()
        self._thread = Thread(target=self._run, name="timeline", daemon=True)

    def start(self, stream_ids: Iterable[str] | None) -> None:
        """Open the archive on its own thread; what it has of other streams than these is deleted. None: nothing is."""
        self._known = None if stream_ids is None else frozenset(stream_ids)
        self._thread.start()

    def close(self, timeout_s: float = WAIT_S) -> None:
        """Write what waits and end. Nobody may record any more."""
        if self._thread.ident is None:
            return
        for recorder in self._recorders.values():
            recorder.finish()
        with self._news:
            self._stopping = True
            self._news.notify_all()
        self._thread.join(timeout_s)

    def of(self, stream_id: str) -> "Recorder":
        """Return what records one stream."""
        self._recorders[stream_id] = recorder = Recorder(stream_id, self)
        return recorder

    def forget(self, stream_id: str) -> bool:
        """Delete all of a stream that is removed; False: not done yet, but on the way. May wait for the disk."""
        self._recorders.pop(stream_id, None)
        order = _Forget(stream_id)
        with self._news:
            if not self._thread.is_alive():
                return False
            self._forgetting.append(order)
            self._news.notify_all()
        return order.done.wait(WAIT_S)

    def read(self, look: Callable[[Archive], Result]) -> Result:
        """Return what `look` finds. May wait for the disk, so it is nothing for the event loop. Raises TimelineLost."""
        self._opened.wait(WAIT_S)
        if self._archive is None:
            raise TimelineLost
        try:
            return look(self._archive)
        except sqlite3.Error as error:
            raise TimelineLost(str(error)) from None

    def put(self, record: _Record) -> None:
        """Take a record of the device thread; never waits for the disk."""
        if record.picture is not None:
            if self._pictures >= MOST_STILLS_WAITING:
                record = replace(record, picture=None)
            else:
                self._pictures += 1
        self._waiting.append(record)

    def _run(self) -> None:
        swept_s = -SWEEP_S
        while True:
            with self._news:
                self._news.wait_for(lambda: self._stopping or (bool(self._forgetting) and not self._fails), FLUSH_S)
                stopping = self._stopping
            try:
                store = self._archive or self._open()
                self._write(store)
                if time.monotonic() - swept_s >= SWEEP_S:
                    store.keep_limits(time.time(), self._settings.days, self._settings.stills_bytes)
                    swept_s = time.monotonic()
            except (sqlite3.Error, OSError) as error:
                if not self._fails:
                    log.error("the timeline is not kept: %s; make room on the disk, or give another folder", error)
                self._fails = True
            except Exception:  # a bug costs what was to be written, not all that comes after it
                log.exception("the timeline lost some records")
            else:
                self._fails = False
            if stopping:
                break
        if self._archive is not None:
            self._archive.close()

    def _open(self) -> Archive:
        try:
            store = Archive(self._path)
            if self._known is not None:
                store.forget_all_but(self._known.union(tuple(self._recorders)))
            self._archive = store
        finally:
            self._opened.set()
        return store

    def _write(self, store: Archive) -> None:
        """Write all that waits, as one transaction. Records that cannot be written are lost, orders to forget stay."""
        batch = [self._waiting.popleft() for _ in range(len(self._waiting))]
        self._pictures = 0
        with self._news:
            orders = list(self._forgetting)
        if not batch and not orders:
            return
        with store.transaction():
            for record in batch:
                store.add(record.stream_id, record.counts, _with_still(record, store))
            for order in orders:
                store.forget(order.stream_id)
        with self._news:
            self._forgetting = [order for order in self._forgetting if order not in orders]
        for order in orders:
            order.done.set()


def _with_still(record: _Record, store: Archive) -> Iterable[archive.StoredEvent]:
    """The record's events, with the number of their picture."""
    if record.picture is None:
        return record.events
    try:
        image = record.picture.frame.image.copy()
        Annotator(trail_s=0).draw(image, record.picture)
        jpeg = to_jpeg(image, STILL_WIDTH, STILL_QUALITY)
    except Exception:  # whatever is wrong with one picture, its events are kept
        log.exception("no still of stream %s", record.stream_id)
        return record.events
    number = store.add_still(record.stream_id, record.until, jpeg)
    return [replace(event, still=number if event.zone else None) for event in record.events]


class Recorder:
    """Records one stream; belongs to the device thread."""

    def __init__(self, stream_id: str, timeline: Timeline) -> None:
        self._stream_id = stream_id
        self._timeline = timeline
        self._at = 0
        self._looks: dict[Kind, int] = {"teacher": 0, "student": 0, "predicted": 0}
        self._people = self._most = 0

    def record(
        self,
        tracked: TrackedFrame,
        zone_events: Sequence[ZoneEvent],
        zones: Sequence[Polygon | Line],
        stills_days: float,
        now: float,
    ) -> None:
        """Count one frame tracked at `now` (Unix time), and keep what happened in it; never waits.

        `stills_days`: how long a picture of it is kept where something happened in a zone; 0: no picture.
        """
        at = int(now // STEP_S) * STEP_S
        if at != self._at:
            self.finish()
            self._at = at
        people = len(tracked.tracks)
        self._looks[tracked.kind] += 1
        self._people += people
        self._most = max(self._most, people)
        names = {zone.id: zone.name or zone.id for zone in zones} if zone_events else {}
        events = [
            archive.StoredEvent(
                now,
                event.type,
                event.zone,
                names.get(event.zone),
                event.track,
                event.direction,
                event.dwell_s,
                class_name=event.class_name,
            )
            for event in zone_events
        ]
        picture = tracked if events and stills_days > 0 else None
        if tracked.discontinuity:
            events.insert(0, archive.StoredEvent(now, "discontinuity"))
        if events:
            until = now + stills_days * SECONDS_A_DAY
            self._timeline.put(_Record(self._stream_id, (), tuple(events), picture, until))

    def finish(self) -> None:
        """Hand over what was counted since the last time."""
        frames = sum(self._looks.values())
        if frames:
            counts = PeopleCounts(self._at, frames, self._people, self._most, **self._looks)
            self._timeline.put(_Record(self._stream_id, (counts,)))
        self._looks = dict.fromkeys(self._looks, 0)
        self._people = self._most = 0
