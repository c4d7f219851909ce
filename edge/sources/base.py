"""The seam between pictures and the pipeline: a `Source` yields `Frame`s, each with its own time, and has a state."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Event
from typing import Literal, Protocol

from edge.arrays import U8
from edge.ops.pixels import Pixels, as_bgr, size_of

Clock = Literal["camera", "host", "media"]
"""Who stamped a frame: the camera, this host on arrival, or the file's own time line."""

Phase = Literal["pending", "connecting", "running", "degraded", "reconnecting", "failed", "ended"]
"""pending: nobody reads it yet; connecting: the first attempt is under way; degraded: frames come, but see the code;
reconnecting: waiting for the next attempt, or in it."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture and when it was taken. All times in seconds."""

    pixels: Pixels
    """As they were decoded, wherever they lie."""
    index: int
    """Position since the source was opened, from 0; a gap means frames were dropped."""
    time_s: float
    """The source's own time line; strictly increasing. Only differences matter: motion is computed with them."""
    captured_at_s: float
    """Unix time at which this host got the picture (packet's arrival; read or drawn, for files and scenes)."""
    clock: Clock
    pts: int | None = None
    """Presentation time stamp as the container has it, in its own units."""
    session: int = 0
    """Grows, from 0, with every reconnect of the source; a file has only one."""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return size_of(self.pixels)

    @property
    def image(self) -> U8:
        """(height, width, 3) BGR on the host, C-contiguous; to be copied before anything is drawn on it.

        Costs nothing where the picture is that already, else a conversion, and a copy from the GPU where it is there.
        """
        return as_bgr(self.pixels)


@dataclass(frozen=True, slots=True)
class SourceState:
    """What a source is doing now, for people and for GET /streams. No secret in any field."""

    phase: Phase
    since_s: float
    """Unix time of the change to this phase; of a new cause while degraded."""
    code: str | None = None
    """Why it is reconnecting, failed or degraded; one of `SourceError.code`; while degraded, frozen_picture or
    corrupt_video; while it is connected and no picture came yet, waiting_for_key_picture; of a file that ended before
    it should have, ends_early."""
    message: str | None = None
    """The same for people."""
    attempts: int = 0
    """Connections that failed since the last frame."""
    retry_at_s: float | None = None
    """Unix time of the next attempt, while reconnecting."""


StateObserver = Callable[[SourceState], None]
"""Called on each change of state, in the thread that iterates the source; must be quick and must not raise."""


class Source(Protocol):
    """Frames of one camera, file or scene. Iterate once; closing from another thread ends the iteration."""

    live: bool
    """True: frames come at their own pace and old ones are worthless. False: every frame counts."""
    frame_rate: float | None
    """Announced frames per second; a hint only, since cameras lie."""
    frame_count: int | None
    """Number of frames where known beforehand, for progress bars."""

    @property
    def state(self) -> SourceState:
        """What the source is doing now; safe to ask from any thread."""
        ...

    def __iter__(self) -> Iterator[Frame]:
        """Yield frames in order. Raises `SourceError` when the source cannot be opened or breaks for good."""
        ...

    def close(self) -> None:
        """End the iteration and free the decoder; safe to call twice and from any thread."""
        ...


class SourceError(Exception):
    """A source that cannot be used. `code` is stable and machine-readable; the message has no secret in it."""

    def __init__(self, code: str, message: str, *, unreachable: bool = False) -> None:
        super().__init__(message)
        self.unreachable = unreachable
        """Whether no connection came about: nobody there, or the port is closed."""
        self.code = code
        """connection_failed, auth_failed, tls_certificate, tls_handshake, transport_refused, timeout, not_found,
        codec_unsupported, corrupt_video, decoder_crashed, resolution_too_high, invalid_url, scheme_not_allowed,
        no_video or internal."""


class StateCell:
    """The cell in which a source keeps its state: written by one thread, read by any, observed on change."""

    def __init__(self, observer: StateObserver | None = None) -> None:
        self._observer = observer
        self.now = SourceState("pending", time.time())
        self.closed = Event()
        """Set by `close()`; every wait of a source waits on it."""

    def connecting(self) -> None:
        """Somebody wants frames; the first attempt begins."""
        self._change(SourceState("connecting", time.time()))

    def waiting(self, code: str, message: str) -> None:
        """Connected, but something has to come before the first frame can."""
        if self.now.phase in ("connecting", "reconnecting") and self.now.code != code:
            now = self.now
            self._change(SourceState(now.phase, now.since_s, code, message, now.attempts))

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

    def ended(self, code: str | None = None, message: str | None = None) -> None:
        """The last frame was given or the source was closed; a failure is kept, and so is why it ended."""
        if self.now.phase not in ("ended", "failed"):
            self._change(SourceState("ended", time.time(), code, message))
        self._observer = None  # who observes a source often owns it: together they would wait for the garbage collector

    def _change(self, state: SourceState) -> None:
        self.now = state
        if self._observer is not None:
            self._observer(state)
