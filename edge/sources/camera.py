"""`CameraSource`: a live RTSP camera that is reconnected for as long as somebody wants its frames.

When to try again. After a failure the wait grows from `backoff_min_s` to `backoff_max_s`, with full jitter, so that a
hundred cameras behind one switch do not all come at once; it starts anew once a connection held for `good_after_s`.
Jitter alone would leave a camera that is back waiting for half a minute. So a closed TCP port is looked at every
`PROBE_EVERY_S`: once it opens it is connected to at once, with the shortest waits from there on, and while it stays
closed no decoder is started. A camera whose port is open but that refuses (busy, wrong password) waits in full.
"""

import logging
import time
from collections.abc import Iterator
from dataclasses import replace

from edge.sources.backoff import Backoff
from edge.sources.base import Frame, SourceError, SourceState, StateCell, StateObserver
from edge.sources.clock import SourceClock
from edge.sources.decoder.messages import Pinned
from edge.sources.decoder.process import DECODERS, DecoderServer
from edge.sources.reach import reach
from edge.sources.rtsp.camera_url import CameraUrl
from edge.sources.session import Arrival, Connect, DecodingRefused, on_cpu
from edge.sources.settings import SourceSettings

logger = logging.getLogger(__name__)

LOOK_UP_S = 0.1
"""How often a wait for pictures looks up to see whether the source was closed, and how long leave-taking may last."""
PROBE_EVERY_S = 0.5


class CameraSource:
    """Frames of an RTSP camera over TCP. `Frame.time_s` runs on through reconnects, `Frame.session` counts them."""

    live = True
    frame_count: int | None = None

    def __init__(
        self,
        url: CameraUrl,
        settings: SourceSettings | None = None,
        on_state: StateObserver | None = None,
        decoders: DecoderServer = DECODERS,
        connect: Connect = on_cpu,
    ) -> None:
        """`connect`: what decodes, see `edge.sources.decoding`."""
        self.frame_rate: float | None = None
        self.decoder_pid: int | None = None
        """Process id of the decoder at work."""
        self._url = url
        self._settings = settings or SourceSettings()
        self._decoders, self._connect = decoders, connect
        self._cell = StateCell(on_state)
        self._clock = SourceClock()
        self._next_index = 0
        self._session = -1

    @property
    def state(self) -> SourceState:
        return self._cell.now

    def __iter__(self) -> Iterator[Frame]:
        attempts, backoff, back = 0, Backoff(self._settings), True
        self._cell.connecting()
        try:
            with self._decoders:
                while not self._cell.closed.is_set():
                    began_s = None
                    try:
                        for frame in self._connection(probe=not back):
                            began_s = began_s or time.monotonic()
                            attempts = 0
                            yield frame
                        return
                    except DecodingRefused as error:
                        logger.warning("%s is decoded on the CPU: %s", self._url, error)
                        self._connect = on_cpu
                        continue
                    except SourceError as error:
                        failure = error
                    attempts += 1
                    delay_s = backoff.delay_s(None if began_s is None else time.monotonic() - began_s)
                    back = self._wait_or_raise(failure, attempts, delay_s)
                    if back:
                        backoff.reset()
        finally:
            self._cell.ended()

    def close(self) -> None:
        self._cell.closed.set()

    def _connection(self, probe: bool) -> Iterator[Frame]:
        """Frames of one connection until `close`. Raises SourceError when it fails, breaks or stalls."""
        addresses = self._addresses()
        if probe and (unreachable := reach(self._url, addresses)):
            raise unreachable
        self._clock.new_session()
        settings = replace(self._settings, resolve=Pinned(tuple(addresses)))
        first_index, session = self._next_index, self._connect(self._url, settings, self._decoders)
        self.decoder_pid = session.decoder_pid
        patience_s = 2 * self._settings.connect_timeout_s + self._settings.stall_timeout_s
        deadline_s = time.monotonic() + patience_s
        try:
            while not self._cell.closed.is_set():
                arrival = session.next(LOOK_UP_S)
                if arrival is not None:
                    self._session += self._next_index == first_index
                    yield self._frame(arrival, first_index)
                    patience_s = self._settings.stall_timeout_s
                    deadline_s = time.monotonic() + patience_s
                elif time.monotonic() > deadline_s:
                    raise SourceError("timeout", f"{self._url} sent no picture for {patience_s:g} s")
        finally:
            self.decoder_pid = None
            session.close(LOOK_UP_S)

    def _frame(self, arrival: Arrival, first_index: int) -> Frame:
        picture = arrival.picture
        self.frame_rate = picture.frame_rate
        if picture.damaged:
            self._cell.degraded(
                "corrupt_video", f"{self._url}: most pictures arrive broken; is the network overloaded?"
            )
        elif picture.frozen:
            what = f"has been the same for {self._settings.frozen_after_s:g} s; is the camera stuck?"
            self._cell.degraded("frozen_picture", f"{self._url}: the picture {what}")
        else:
            self._cell.running()
        index = max(first_index + picture.number, self._next_index)
        self._next_index = index + 1
        return Frame(
            pixels=arrival.pixels,
            index=index,
            time_s=self._clock.place(picture.stamp_s, picture.monotonic_s),
            captured_at_s=picture.unix_s,
            clock="host",
            pts=picture.pts,
            session=self._session,
        )

    def _addresses(self) -> list[str]:
        return self._settings.resolve(self._url.host.strip("[]"), self._url.port)

    def _wait_or_raise(self, error: SourceError, attempts: int, delay_s: float) -> bool:
        """Wait for the next attempt, or raise `error` when there shall be none.

        True: the camera's port was closed and is open again, so it is worth while to connect.
        """
        never_ran = self._next_index == 0
        given_up = self._settings.max_attempts is not None and attempts >= self._settings.max_attempts
        if given_up or (never_ran and self._settings.first_must_connect):
            raise self._cell.failed(error, attempts)
        logger.warning("%s (%s); attempt %d in %.1f s", error, error.code, attempts + 1, delay_s)
        self._cell.reconnecting(error, attempts, delay_s)
        return self._wait(time.monotonic() + delay_s)

    def _wait(self, deadline_s: float) -> bool:
        """Wait until the deadline, `close`, or the opening of a port that was closed (True)."""
        look = not self._is_open()
        while (left_s := deadline_s - time.monotonic()) > 0:
            if self._cell.closed.wait(min(PROBE_EVERY_S, left_s) if look else left_s):
                return False
            if look and self._is_open():
                return True
        return False

    def _is_open(self) -> bool:
        try:
            return reach(self._url, self._addresses()) is None
        except SourceError:
            return False
