"""The cell in which a source keeps its `SourceState`: written by one thread, read by any, observed on change."""

import time
from threading import Event

from edge.sources.base import SourceError, SourceState, StateObserver


class StateCell:
    """The current state and whether the source was closed. Each source has one."""

    def __init__(self, observer: StateObserver | None = None) -> None:
        self._observer = observer
        self.now = SourceState("pending", time.time())
        self.closed = Event()
        """Set by `close()`; every wait of a source waits on it."""

    def connecting(self) -> None:
        """Somebody wants frames; the first attempt begins."""
        self._change(SourceState("connecting", time.time()))

    def running(self) -> None:
        """A frame came."""
        if self.now.phase != "running":
            self._change(SourceState("running", time.time()))

    def degraded(self, code: str, message: str) -> None:
        """Frames come, but they are not worth much."""
        if (self.now.phase, self.now.code) != ("degraded", code):
            self._change(SourceState("degraded", time.time(), code, message))

    def reconnecting(self, error: SourceError, attempts: int, delay_s: float) -> None:
        """The connection failed or broke; the next attempt starts in `delay_s`. `since_s` is when the trouble began."""
        now = time.time()
        since_s = self.now.since_s if self.now.phase == "reconnecting" else now
        self._change(SourceState("reconnecting", since_s, error.code, str(error), attempts, now + delay_s))

    def failed(self, error: SourceError, attempts: int = 0) -> SourceError:
        """The source gave up; returns the error, to be raised."""
        self._change(SourceState("failed", time.time(), error.code, str(error), attempts))
        return error

    def ended(self) -> None:
        """The last frame was given or the source was closed; a failure is kept."""
        if self.now.phase not in ("ended", "failed"):
            self._change(SourceState("ended", time.time()))
        self._observer = None  # who observes a source often owns it: together they would wait for the garbage collector

    def _change(self, state: SourceState) -> None:
        self.now = state
        if self._observer is not None:
            self._observer(state)
