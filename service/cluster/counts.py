"""LeasedCounts: zone counts of the streams that this node has, kept in the bucket under the lease of their stream."""

import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

PATIENCE_S = 0.02
"""How long counts hold up who counts, so that what is told of them is kept already."""
HASTY_S = 5.0
"""How long nobody is held up after that was in vain."""


@dataclass(slots=True)
class Unsaved:
    """Counts of one stream that the bucket does not have yet."""

    counts: dict[str, Any]
    waiting: list["Future[None]"] = field(default_factory=list)
    """Done when they are kept, with the error where that cannot be."""


class LeasedCounts:
    """Implements `service.zones.counter.CountStore`. Any thread; `take` is for the one that writes."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: dict[str, dict[str, Any]] = {}
        self._unsaved: dict[str, Unsaved] = {}
        self._hasty_until_s = 0.0
        self.wake: Callable[[], None] = lambda: None
        """Called when there is something to write."""

    def restore(self, stream_id: str, counts: dict[str, Any]) -> None:
        """Begin with what the owner before has left."""
        with self._lock:
            self._counts[stream_id] = counts
            self._unsaved.pop(stream_id, None)

    def forget(self, stream_id: str) -> None:
        """The stream is somebody else's, or gone."""
        with self._lock:
            self._counts.pop(stream_id, None)
            self._unsaved.pop(stream_id, None)

    def counts(self, stream_id: str) -> dict[str, Any]:
        """Return the counts of a stream, from memory."""
        with self._lock:
            return self._counts.get(stream_id, {})

    def put_counts(self, stream_id: str, counts: dict[str, Any], *, patient: bool = False) -> None:
        """Write them soon; the newest win. `patient`: return when they are written, after `PATIENCE_S` at most."""
        waits = patient and time.monotonic() >= self._hasty_until_s
        done = self._put(stream_id, counts, waits)
        if done is None:
            return
        try:
            done.result(PATIENCE_S)
        except Exception:  # they are tried again, or are somebody else's by now
            self._hasty_until_s = time.monotonic() + HASTY_S

    def keep_counts(self, stream_id: str, counts: dict[str, Any]) -> "Future[None]":
        """Replace the counts of a stream for good."""
        done = self._put(stream_id, counts, True)
        assert done is not None  # noqa: S101  (asked for)
        return done

    def lose_counts(self, stream_id: str, reason: str) -> None:
        """Counts that make no sense are written over by the next ones."""
        self.forget(stream_id)

    def take(self, stream_id: str | None = None) -> dict[str, Unsaved]:
        """Return what is to be written, of one stream or of all; it counts as written unless it comes back."""
        with self._lock:
            if stream_id is None:
                taken, self._unsaved = self._unsaved, {}
                return taken
            one = self._unsaved.pop(stream_id, None)
            return {} if one is None else {stream_id: one}

    def back(self, stream_id: str, unsaved: Unsaved) -> None:
        """They could not be written now; newer ones go before."""
        with self._lock:
            if stream_id in self._unsaved:
                self._unsaved[stream_id].waiting += unsaved.waiting
            elif stream_id in self._counts:
                self._unsaved[stream_id] = unsaved

    def _put(self, stream_id: str, counts: dict[str, Any], waits: bool) -> "Future[None] | None":
        done: Future[None] | None = Future() if waits else None
        with self._lock:
            self._counts[stream_id] = counts
            unsaved = self._unsaved.setdefault(stream_id, Unsaved(counts))
            unsaved.counts = counts
            if done is not None:
                unsaved.waiting.append(done)
        self.wake()
        return done
