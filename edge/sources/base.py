"""The seam between pictures and the pipeline: a `Source` yields `Frame`s, each with its own time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
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
    corrupt_video."""
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

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        """connection_failed, auth_failed, tls_certificate, tls_handshake, timeout, not_found, codec_unsupported,
        decoder_crashed, resolution_too_high, invalid_url, scheme_not_allowed, no_video or internal."""
