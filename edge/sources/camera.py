"""`CameraSource`: a live RTSP camera that is reconnected for as long as somebody wants its frames.

When to try again. After a failure the wait grows from `backoff_min_s` to `backoff_max_s`, with full jitter, so that a
hundred cameras behind one switch do not all come at once; it starts anew once a connection held for `good_after_s`.
Jitter alone would leave a camera that is back waiting for half a minute. So a closed TCP port is looked at every
`PROBE_EVERY_S`: once it opens it is connected to at once, with the shortest waits from there on, and while it stays
closed no decoder is started. A camera whose port is open but that refuses (busy, say) waits in full and is not looked
at: one that serves one viewer at a time would take the look for one. A refused password waits for minutes.

How long to wait for a picture. Packets that flow are life, though none of them makes a picture yet: the next key
picture may be a minute away, and the state says so. Silence is a matter of the camera's pace, see `retry.Patience`.
"""

import logging
import time
from collections.abc import Iterator
from dataclasses import replace

from edge.sources.base import Frame, SourceError, SourceState, StateCell, StateObserver
from edge.sources.clock import SourceClock
from edge.sources.decoder.messages import Pinned, Waiting
from edge.sources.decoder.process import DECODERS, DecoderServer
from edge.sources.retry import Backoff, Patience, reach
from edge.sources.rtsp.camera_url import CameraUrl
from edge.sources.session import Connect, DecodedPicture, DecodingRefused, on_cpu
from edge.sources.settings import SourceSettings

logger = logging.getLogger(__name__)

LOOK_UP_S = 0.1
"""How often a wait for pictures looks up to see whether the source was closed, and how long leave-taking may last."""
PROBE_EVERY_S = 0.5
WHOLE_AGAIN = 25
"""Pictures without fault, in a row, that make up for a connection that gave noise."""


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
        self._patience = Patience(self._settings)
        self._gone = False  # whether the port was closed when it was looked at last
        self._doubted = 0  # pictures that have to be whole before video that was broken is called so
        self._next_index = 0
        self._session = -1

    @property
    def state(self) -> SourceState:
        return self._cell.now

    def __iter__(self) -> Iterator[Frame]:
        attempts, backoff = 0, Backoff(self._settings)
        self._cell.connecting()
        try:
            with self._decoders:
                while not self._cell.closed.is_set():
                    began_s = None
                    try:
                        for frame in self._connection(probe=self._gone):
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
                    self._doubt(failure)
                    delay_s = backoff.delay_s(None if began_s is None else time.monotonic() - began_s, failure.code)
                    may_be_gone = failure.unreachable or (began_s is not None and failure.code != "timeout")
                    if self._wait_or_raise(failure, attempts, delay_s, may_be_gone):
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
        self._patience.connected(time.monotonic())
        deadline_s = time.monotonic() + self._patience.seconds
        try:
            while not self._cell.closed.is_set():
                arrival = session.next(LOOK_UP_S)
                if isinstance(arrival, DecodedPicture):
                    self._session += self._next_index == first_index
                    yield self._frame(arrival, first_index)
                    self._patience.came(time.monotonic())
                elif arrival is not None:  # packets flow
                    self._patience.flowed(time.monotonic())
                    self._tell(arrival)
                elif time.monotonic() > deadline_s:
                    waited_s = self._patience.seconds
                    self._patience.stalled()
                    raise SourceError("timeout", f"{self._url} sent no picture for {waited_s:g} s")
                if arrival is not None:
                    deadline_s = time.monotonic() + self._patience.seconds
        finally:
            self.decoder_pid = None
            session.close(LOOK_UP_S)

    def _tell(self, waiting: Waiting) -> None:
        """Say what is waited for while no picture comes of the packets."""
        if waiting.for_key:
            what = "connected, and waiting for its next key picture (I-frame), from which on video can be decoded"
            remedy = "a shorter key picture interval in the camera shortens this"
            self._cell.waiting("waiting_for_key_picture", f"{self._url}: {what}; {remedy}")

    def _doubt(self, failure: SourceError) -> None:
        """Video that was broken when the connection ended has to be whole for a while before it counts as that."""
        if failure.code == "corrupt_video" or self._cell.now.code == "corrupt_video":
            self._doubted = WHOLE_AGAIN

    def _frame(self, arrival: DecodedPicture, first_index: int) -> Frame:
        picture = arrival.picture
        self.frame_rate = picture.frame_rate
        self._doubted = WHOLE_AGAIN if picture.damaged and self._doubted else max(0, self._doubted - 1)
        if picture.damaged or self._doubted:
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

    def _wait_or_raise(self, error: SourceError, attempts: int, delay_s: float, may_be_gone: bool) -> bool:
        """Wait for the next attempt, or raise `error` when there shall be none.

        True: the camera `may_be_gone`, its port was closed and is open again, so it is worth while to connect.
        """
        never_ran = self._next_index == 0
        given_up = self._settings.max_attempts is not None and attempts >= self._settings.max_attempts
        if given_up or (never_ran and self._settings.first_must_connect):
            raise self._cell.failed(error, attempts)
        logger.warning("%s (%s); attempt %d in %.1f s", error, error.code, attempts + 1, delay_s)
        self._cell.reconnecting(error, attempts, delay_s)
        return self._wait(time.monotonic() + delay_s, may_be_gone)

    def _wait(self, deadline_s: float, look: bool) -> bool:
        """Wait until the deadline, `close`, or, where to `look`, the opening of a port that was closed (True)."""
        self._gone = look and not self._is_open()
        while (left_s := deadline_s - time.monotonic()) > 0:
            if self._cell.closed.wait(min(PROBE_EVERY_S, left_s) if self._gone else left_s):
                return False
            if self._gone and self._is_open():
                self._gone = False
                return True
        return False

    def _is_open(self) -> bool:
        try:
            return reach(self._url, self._addresses()) is None
        except SourceError:
            return False
