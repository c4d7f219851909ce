"""`LatestFrame`: the one-slot door between a source's thread and the thread that owns the device."""

import logging
import threading
from collections.abc import Callable
from dataclasses import replace

from edge.ops.pixels import Pixels
from edge.sources.base import Frame, Source, SourceError, SourceState

logger = logging.getLogger(__name__)


class LatestFrame:
    """Holds the newest frame of one lane. Doors that share a `bell` can be waited for together.

    A live source replaces a frame that nobody took, and the loss is counted; a file waits until its frame is taken.
    """

    def __init__(self, bell: threading.Condition | None = None) -> None:
        self.bell = bell or threading.Condition()
        """Rung whenever a frame comes, is taken, or the door closes; its owner may wait for more than that."""
        self.received = 0
        """Frames that came."""
        self.dropped = 0
        """Frames that were replaced before anybody took them."""
        self._frame: Frame | None = None
        self._closed = False

    @property
    def ready(self) -> bool:
        """Whether a frame waits."""
        return self._frame is not None

    @property
    def finished(self) -> bool:
        """Whether the door is closed and the last frame was taken."""
        return self._closed and self._frame is None

    def put(self, frame: Frame, *, replace: bool = True) -> bool:
        """Leave a frame; without `replace`, wait until the one before was taken. False: the door is closed."""
        with self.bell:
            if not replace:
                self.bell.wait_for(lambda: self._frame is None or self._closed)
            if self._closed:
                return False
            self.dropped += self._frame is not None
            self.received += 1
            self._frame = frame
            self.bell.notify_all()
            return True

    def take(self) -> Frame | None:
        """The newest frame, once; None when there is none. Never waits."""
        with self.bell:
            frame, self._frame = self._frame, None
            if frame is not None:
                self.bell.notify_all()
            return frame

    def wait(self, timeout_s: float) -> Frame | None:
        """The newest frame, waiting for it until `timeout_s` passed or the door is finished."""
        with self.bell:
            self.bell.wait_for(lambda: self.ready or self._closed, timeout_s)
            return self.take()

    def close(self) -> None:
        """No more frames; the one that waits can still be taken."""
        with self.bell:
            self._closed = True
            self.bell.notify_all()


class FrameReader:
    """The thread that carries frames from a source to its door. The door closes when the source ends or fails."""

    def __init__(
        self,
        source: Source,
        door: LatestFrame,
        name: str = "reader",
        prepare: Callable[[Pixels], Pixels] = lambda pixels: pixels,
    ) -> None:
        """`prepare`: what this thread does to each picture, so that who takes it need not; see `Ops.upload`."""
        self.source, self.door = source, door
        self._prepare = prepare
        self.error: SourceError | None = None
        """Why the source gave up; also in `state`."""
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def state(self) -> SourceState:
        """What the source is doing now."""
        state = self.source.state
        if self.error is not None and state.phase == "ended":
            return SourceState("failed", state.since_s, self.error.code, str(self.error))
        return state

    @property
    def alive(self) -> bool:
        """Whether frames may still come."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin to read."""
        try:
            self._thread.start()
        except RuntimeError:  # the system has no thread left
            self.error = SourceError("internal", "the system starts no more threads; add the stream again later")
            self.source.close()
            self.door.close()

    def close(self, timeout_s: float = 2.0) -> bool:
        """End the reading and wait for the thread. False when it did not end in time."""
        self.source.close()
        self.door.close()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            for frame in self.source:
                pixels = self._prepare(frame.pixels)
                frame = frame if pixels is frame.pixels else replace(frame, pixels=pixels)
                if not self.door.put(frame, replace=self.source.live):
                    return
        except SourceError as error:
            self.error = error
        except Exception:  # a bug must not leave a lane waiting in silence
            logger.exception("%s: the source broke", self._thread.name)
            self.error = SourceError("internal", "the source broke; the log has the reason")
        finally:
            self.source.close()
            self.door.close()
