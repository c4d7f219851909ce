"""`CameraSource`: a live RTSP camera that is reconnected for as long as somebody wants its frames."""

import logging
import random
import time
from collections.abc import Iterator

from edge.sources.base import Frame, SourceError, SourceState, StateObserver
from edge.sources.camera_url import CameraUrl
from edge.sources.picture import BgrConverter
from edge.sources.session import Arrival, CameraSession
from edge.sources.settings import SourceSettings
from edge.sources.state import StateCell
from edge.sources.timeline import TimeLine

logger = logging.getLogger(__name__)

LOOK_UP_S = 0.1
"""How often a wait for pictures looks up to see whether the source was closed."""


class CameraSource:
    """Frames of an RTSP camera over TCP. `Frame.time_s` runs on through reconnects."""

    live = True
    frame_count: int | None = None

    def __init__(
        self, url: CameraUrl, settings: SourceSettings | None = None, on_state: StateObserver | None = None
    ) -> None:
        self.frame_rate: float | None = None
        self._url = url
        self._settings = settings or SourceSettings()
        self._cell = StateCell(on_state)
        self._timeline = TimeLine()
        self._convert = BgrConverter()
        self._index = 0

    @property
    def state(self) -> SourceState:
        return self._cell.now

    def __iter__(self) -> Iterator[Frame]:
        attempts = 0
        try:
            while not self._cell.closed.is_set():
                try:
                    for frame in self._session():
                        attempts = 0
                        self._cell.running()
                        yield frame
                except SourceError as error:
                    attempts += 1
                    failure = error
                else:
                    return
                self._retry_or_raise(failure, attempts)
        finally:
            self._cell.ended()

    def close(self) -> None:
        self._cell.closed.set()

    def _session(self) -> Iterator[Frame]:
        """Frames of one connection until `close`. Raises SourceError when it fails, breaks or stalls."""
        self._timeline.new_session()
        session = CameraSession(self._url, self._settings)
        patience_s = 2 * self._settings.connect_timeout_s + self._settings.stall_timeout_s
        deadline_s = time.monotonic() + patience_s
        try:
            while not self._cell.closed.is_set():
                arrival = session.next(LOOK_UP_S)
                if arrival is not None:
                    self.frame_rate = session.frame_rate
                    yield self._frame(arrival)
                    patience_s = self._settings.stall_timeout_s
                    deadline_s = time.monotonic() + patience_s
                elif time.monotonic() > deadline_s:
                    raise SourceError("timeout", f"{self._url} sent no picture for {patience_s:g} s")
        finally:
            session.close(wait_s=LOOK_UP_S)

    def _frame(self, arrival: Arrival) -> Frame:
        picture = arrival.picture
        stamp_s = None if picture.pts is None or picture.time_base is None else float(picture.pts * picture.time_base)
        index, self._index = self._index, self._index + 1
        return Frame(
            image=self._convert(picture),
            index=index,
            time_s=self._timeline.place(stamp_s, arrival.monotonic_s),
            captured_at_s=arrival.unix_s,
            clock="host",
            pts=picture.pts,
        )

    def _retry_or_raise(self, error: SourceError, attempts: int) -> None:
        """Wait for the next attempt, or raise `error` when there shall be none."""
        never_ran = self._index == 0
        given_up = self._settings.max_attempts is not None and attempts >= self._settings.max_attempts
        if given_up or (never_ran and self._settings.first_must_connect):
            raise self._cell.failed(error, attempts)
        delay_s = self._settings.backoff_s(attempts, random.random())  # noqa: S311 - jitter, no secret
        logger.warning("%s (%s); attempt %d in %.1f s", error, error.code, attempts + 1, delay_s)
        self._cell.reconnecting(error, attempts, delay_s)
        self._cell.closed.wait(delay_s)
