"""Stream: one camera inside the service, from its reader to its subscribers."""

import logging
import secrets
import time
from dataclasses import dataclass

from edge.modes import Mode
from edge.pipeline import TrackedFrame
from edge.sources import open_source
from edge.sources.base import Frame, SourceState
from edge.sources.latest import FrameReader, LatestFrame
from edge.sources.settings import SourceSettings
from service.hub import TrackHub
from service.messages import encode
from service.stats import StreamStats
from service.streams import StateView, StatsView, StreamView
from service.url_policy import Address
from service.video import VideoFeed
from service.worker import Worker

log = logging.getLogger(__name__)

SOURCE_SETTINGS = SourceSettings(first_must_connect=False)
"""A service waits for its cameras: one that cannot be reached yet is tried again."""
EPOCH = 1
"""Identities outlive a reconnect, as far as the tracker finds them again, so a stream has one epoch in its life."""


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """What a user asked for; equal specs are the same stream."""

    id: str
    name: str
    address: Address
    k: int
    mode: Mode


class Stream:
    """Implements `service.worker.Lane`. `start` and `close` belong to the registry, `take` to `fail` to the worker."""

    def __init__(self, spec: StreamSpec, hub: TrackHub, worker: Worker, feed: VideoFeed) -> None:
        """Open nothing yet. Raises edge's SourceError where the address alone shows that it cannot work."""
        self.spec = spec
        self.feed = feed
        self.stats = StreamStats()
        self.created_at = time.time()
        self._hub = hub
        self._run = secrets.token_hex(4)
        self._seq = 0
        self._failure: SourceState | None = None
        self._logged: tuple[str, str | None] | None = None
        source = open_source(spec.address.opened, settings=SOURCE_SETTINGS, real_time=True, on_state=self._on_state)
        self._door = LatestFrame(worker.bell)
        self._reader = FrameReader(source, self._door, f"reader {spec.id}")

    @property
    def id(self) -> str:
        return self.spec.id

    @property
    def k(self) -> int:
        return self.spec.k

    @property
    def ready(self) -> bool:
        return self._door.ready

    def start(self) -> None:
        """Begin to read, on a thread of its own."""
        self._reader.start()

    def close(self) -> None:
        """Stop reading; may wait for the decoder."""
        self._reader.close()

    def end_subscriptions(self) -> None:
        """Let all that follow this stream go: it is removed."""
        self._hub.close_stream(self.id)
        self.feed.close()

    def take(self) -> Frame | None:
        """Return the newest frame not taken yet."""
        return self._door.take()

    def publish(self, tracked: TrackedFrame) -> None:
        """Count, show and send one tracked frame."""
        now = time.time()
        self._seq += 1
        height, width = tracked.frame.image.shape[:2]
        self.stats.record(now - tracked.frame.captured_at_s, len(tracked.tracks), (width, height))
        if self._hub.subscribers(self.id):
            self._hub.publish(self.id, encode(tracked, self.id, self._run, EPOCH, self._seq, now))
        self.feed.offer(self._seq, tracked)

    def fail(self, code: str, message: str) -> None:
        """Give up on this stream for good."""
        self._failure = SourceState("failed", time.time(), code, message)
        log.error("stream %s failed: %s: %s", self.id, code, message)
        self._reader.close(timeout_s=0)  # the device thread waits for nobody

    def view(self) -> StreamView:
        """Return the stream as the API shows it."""
        numbers = self.stats.numbers()
        return StreamView(
            id=self.id,
            name=self.spec.name,
            url=self.spec.address.shown,
            has_credentials=self.spec.address.has_credentials,
            k=self.k,
            mode=self.spec.mode,
            created_at=self.created_at,
            state=_state_view(self._failure or self._reader.state),
            stats=StatsView(
                fps=numbers.fps,
                frame_age_p50_ms=numbers.frame_age_p50_ms,
                frame_age_p95_ms=numbers.frame_age_p95_ms,
                people=numbers.people,
                frames=numbers.frames,
                dropped=self._door.dropped,
                width=numbers.width,
                height=numbers.height,
                subscribers=self._hub.subscribers(self.id),
            ),
        )

    def _on_state(self, state: SourceState) -> None:
        """Log changes of phase or cause, and not every attempt again."""
        phase_and_cause = (state.phase, state.code)
        if phase_and_cause != self._logged:
            self._logged = phase_and_cause
            why = f": {state.code}: {state.message}" if state.code else ""
            log.info("stream %s is %s%s", self.id, state.phase, why)


def _state_view(state: SourceState) -> StateView:
    return StateView(
        phase="stopped" if state.phase == "ended" else state.phase,
        since=state.since_s,
        cause="ended" if state.phase == "ended" else state.code,
        message="the source came to its end" if state.phase == "ended" else state.message,
        attempts=state.attempts,
        next_retry=state.retry_at_s,
    )
