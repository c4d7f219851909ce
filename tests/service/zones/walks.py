"""Walks for zone tests: where people's feet are, frame by frame, in a picture of 1000 x 500 pixels."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import numpy as np

from edge.pipeline.pipeline import TrackedFrame
from edge.sources.base import Frame
from edge.tracking.detections import Tracks, TrackState
from engines.signature import PEOPLE
from service.zones.counter import MARGIN, ZoneCounter, ZoneEvent
from service.zones.zone import Line, Polygon

WIDTH, HEIGHT = 1000, 500
BOX_HEIGHT = 100.0
MARGIN_PX = MARGIN * BOX_HEIGHT
FRAME_S = 0.1
PICTURE = np.zeros((HEIGHT, WIDTH, 3), np.uint8)

SQUARE = Polygon(id="square", type="polygon", points=((0.4, 0.4), (0.6, 0.4), (0.6, 0.8), (0.4, 0.8)))
"""x 400 to 600, y 200 to 400 pixels."""
DOWN = Line(id="down", type="line", points=((0.5, 0.2), (0.5, 0.8)))
"""x 500, y 100 to 400 pixels, directed downwards: forward is to the left."""
OUTSIDE, INSIDE = (300.0, 300.0), (500.0, 300.0)

People = Mapping[int, tuple[float, float]]
"""Id to foot point, pixels."""


class DictStore:
    """Counts in memory, as JSON would bring them back."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Any]] = {}

    def counts(self, stream_id: str) -> dict[str, Any]:
        return self.kept.get(stream_id, {})

    def put_counts(self, stream_id: str, counts: dict[str, Any], *, patient: bool = False) -> None:
        self.kept[stream_id] = counts

    def keep_counts(self, stream_id: str, counts: dict[str, Any]) -> Future[None]:
        done: Future[None] = Future()
        self.put_counts(stream_id, counts)
        done.set_result(None)
        return done

    def lose_counts(self, stream_id: str, reason: str) -> None:
        self.lost = self.kept.pop(stream_id), reason


def tracks(
    people: People,
    predicted: Iterable[int] = (),
    box_height: float = BOX_HEIGHT,
    remembered: Iterable[int] = (),
    clock_s: float = 0.0,
) -> Tracks:
    """Boxes 40 wide that stand on their foot points."""
    unseen = set(predicted)
    feet = np.array([people[name] for name in sorted(people)], np.float32).reshape(-1, 2)
    count = len(feet)
    return Tracks(
        ids=np.array(sorted(people), np.int64),
        xyxy=(np.tile(feet, 2) + np.array([-20, -box_height, 20, 0])).astype(np.float32),
        scores=np.full(count, 0.9, np.float32),
        states=np.full(count, TrackState.CONFIRMED, np.uint8),
        velocities=np.zeros((count, 2), np.float32),
        ages_s=np.zeros(count, np.float32),
        unseen_s=np.zeros(count, np.float32),
        detection=np.array([-1 if name in unseen else 0 for name in sorted(people)], np.int32),
        remembered=np.array(sorted(remembered), np.int64),
        clock_s=clock_s,
    )


def frame(seen: Tracks, picture: np.ndarray = PICTURE, **changes: Any) -> TrackedFrame:
    return TrackedFrame("hall", Frame(picture, 0, 0.0, 0.0, "host"), seen, "student", 1, **changes)


class Memory:
    """Whom a tracker would remember, and its clock: people unseen for a second, or since an interruption for 30."""

    def __init__(self) -> None:
        self.clock_s, self.epoch = 0.0, 1
        self._until_s: dict[int, float] = {}
        self._seen_s: dict[int, float] = {}

    def see(self, seen: Iterable[int], after_s: float, epoch: int = 1, discontinuity: bool = False) -> list[int]:
        """Who is remembered in a frame that has `seen`."""
        self.clock_s += max(0.0, after_s)
        if epoch != self.epoch:
            self.epoch, self._until_s = epoch, {}
        elif discontinuity:
            self._until_s = {name: self._seen_s[name] + 30.0 for name in self._until_s}
        self._seen_s |= dict.fromkeys(seen, self.clock_s)
        self._until_s |= dict.fromkeys(seen, self.clock_s + 1.0)
        self._until_s = {name: until_s for name, until_s in self._until_s.items() if self.clock_s < until_s + 1e-3}
        return list(self.known - {*seen})

    @property
    def known(self) -> set[int]:
        return {*self._until_s}

    @property
    def forgotten(self) -> set[int]:
        """Who was known once."""
        return self._seen_s.keys() - self.known


class Watch:
    """A counter, its clock, and everything it reported."""

    def __init__(self, *zones: Polygon | Line, store: DictStore | None = None) -> None:
        self.store = store or DictStore()
        self.counter = ZoneCounter("hall", zones, self.store)
        self.memory = Memory()
        self.classes: tuple[str, ...] = PEOPLE
        self.class_of: dict[int, str] = {}
        """Of those who are not of the first class."""
        self.events: list[ZoneEvent] = []

    def see(
        self,
        people: People,
        after_s: float = FRAME_S,
        predicted: Iterable[int] = (),
        box_height: float = BOX_HEIGHT,
        **changes: Any,
    ) -> list[list[str]]:
        of_tracker = {name: value for name, value in changes.items() if name != "picture"}
        remembered = self.memory.see(people.keys() - {*predicted}, after_s, **of_tracker)
        lost = self.memory.forgotten & {*predicted}  # no tracker guesses where somebody is whom it has forgotten
        people = {name: foot for name, foot in people.items() if name not in lost}
        seen = tracks(people, predicted, box_height, {*remembered} - people.keys(), self.memory.clock_s)
        zones = self.counter.observe(self._frame(seen, **changes))
        self.events += self.counter.events
        return zones

    def _frame(self, seen: Tracks, **changes: Any) -> TrackedFrame:
        places = [self.classes.index(self.class_of.get(name, self.classes[0])) for name in seen.ids.tolist()]
        classes = np.array(places, np.int32) if len(self.classes) > 1 else None
        return frame(replace(seen, classes=classes), classes=self.classes, **changes)

    def predict(self, people: People, after_s: float) -> None:
        """A frame that nobody saw, `after_s` after the last one: the tracker forgets nobody meanwhile."""
        memory = self.memory
        people = {name: foot for name, foot in people.items() if name not in memory.forgotten}
        seen = tracks(people, people, BOX_HEIGHT, memory.known - people.keys(), memory.clock_s + after_s)
        self.counter.observe(frame(seen, epoch=memory.epoch))
        self.events += self.counter.events

    def walk(self, *feet: tuple[float, float], track: int = 1) -> None:
        for foot in feet:
            self.see({track: foot})

    def pass_time(self, seconds: float) -> None:
        """Frames with nobody in them."""
        for _ in range(round(seconds / FRAME_S)):
            self.see({})

    def counts(self, zone: str = "square") -> Any:
        return next(one for one in self.counter.counts().zones if one.id == zone)

    @property
    def story(self) -> list[tuple[object, ...]]:
        """Events in short: ("enter", zone, track), ("forward", line, track)."""
        return [(event.direction or event.type, event.zone, event.track) for event in self.events]


def numbers(watch: Watch) -> Sequence[Mapping[str, Any]]:
    """All counts, without the time at which counting began."""
    return [one.model_dump(exclude={"since"}) for one in watch.counter.counts().zones]
