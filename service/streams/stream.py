"""Stream: one camera inside the service, from its reader to its subscribers."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from urllib.parse import urlsplit

from edge.pipeline.config import LaneSettings
from edge.pipeline.pipeline import TrackedFrame
from edge.sources import open_source
from edge.sources.base import Frame, SourceState
from edge.sources.decoding import Decoding
from edge.sources.latest import FrameReader, LatestFrame
from edge.sources.settings import SourceSettings
from engines.engine import Engine
from service.adaptation.member import Member
from service.cameras.url_policy import Address
from service.lane_fields import as_fields
from service.logs import fields
from service.metrics import StreamMetrics
from service.streams.overload import OverloadWatch
from service.streams.schema import StateView, StatsView, StreamView
from service.streams.spec import StreamSpec
from service.streams.stats import StreamStats
from service.streams.worker import Worker
from service.timeline.timeline import Recorder
from service.tracks.events import TrackEvents
from service.tracks.hub import TrackHub
from service.tracks.messages import encode
from service.tracks.video import VideoFeed
from service.zones.counter import CountStore, ZoneCounter

log = logging.getLogger(__name__)

SOURCE_SETTINGS = SourceSettings(first_must_connect=False)
"""A service waits for its cameras: one that cannot be reached yet is tried again."""


class Stream:
    """Implements `service.streams.worker.Trackable`.

    `take` to `fail` belong to the worker, all else to the registry. A stream lives from POST to DELETE; its reader may
    be replaced on the way, or missing where its address is refused.
    """

    def __init__(
        self,
        spec: StreamSpec,
        created_at: float,
        hub: TrackHub,
        worker: Worker,
        feed: VideoFeed,
        store: CountStore,
        metrics: StreamMetrics,
        recorder: Recorder,
        adaptation: Member,
        decoding: Callable[[], Decoding],
        run: str,
    ) -> None:
        """Open nothing yet, but go on with the counts that `store` has. Raises StoreError.

        `run` names this life of the stream in its messages.
        """
        self.spec = spec
        """May be replaced by an equal one but for lane, zones, stills_days, adapt, adapt_group, name and note."""
        self.feed = feed
        self.stats = StreamStats()
        self.metrics = metrics
        self.adaptation = adaptation
        self.created_at = created_at
        self._hub = hub
        self._worker = worker
        self._decoding = decoding
        self._run = run
        self._seq = 0
        self._epoch = 0
        self._epochs_before = 0  # of the readers that were replaced
        self._dropped_before = 0
        self._events = TrackEvents(self._run)
        self.counter = ZoneCounter(spec.id, spec.zones, store)
        self._recorder = recorder
        self._overload = OverloadWatch()
        self._failure: SourceState | None = None
        self._logged: tuple[str, str | None] | None = None
        self._address: Address | None = None
        self._reader: FrameReader | None = None

    @property
    def id(self) -> str:
        return self.spec.id

    @property
    def settings(self) -> LaneSettings:
        return self.spec.lane

    @property
    def classes(self) -> tuple[str, ...]:
        """What the networks see here."""
        return self._worker.classes

    @property
    def student(self) -> Engine | None:
        return self.adaptation.engine

    @property
    def ready(self) -> bool:
        return self._reader is not None and self._reader.door.ready

    @property
    def live(self) -> bool:
        """Whether frames come or may come yet."""
        return self.state.phase not in ("failed", "stopped")

    def reader(self, address: Address) -> FrameReader:
        """Return a reader to adopt. Raises edge's SourceError where the address alone shows that it cannot work."""
        settings = replace(SOURCE_SETTINGS, resolve=address.resolve)
        opened, decoding = address.opened, self._decoding()
        source = open_source(opened, settings=settings, real_time=True, on_state=self._on_state, decoding=decoding)
        return FrameReader(source, LatestFrame(self._worker.bell), f"reader {self.id}", self._worker.upload)

    def adopt(self, address: Address, reader: FrameReader) -> None:
        """Read from here from `start` on. Not while the worker has this stream; a reader before has to be closed."""
        if self._reader is not None:
            self._dropped_before += self._reader.door.dropped
        self._address, self._reader = address, reader
        self._failure = None
        self._epochs_before = self._epoch

    def start(self) -> None:
        """Begin to read, on a thread of its own."""
        if self._reader is not None:
            self._reader.start()

    def close(self, timeout_s: float = 2.0) -> None:
        """Stop reading; may wait for the decoder."""
        if self._reader is not None:
            self._reader.close(timeout_s)

    def end_subscriptions(self) -> None:
        """Let all that follow this stream go: it is removed."""
        self._hub.close_stream(self.id)
        self.feed.close()
        self.metrics.forget()

    def take(self) -> Frame | None:
        """Return the newest frame not taken yet."""
        return None if self._reader is None else self._reader.door.take()

    def publish(self, tracked: TrackedFrame) -> None:
        """Count, show and send one tracked frame."""
        now = time.time()
        if self._epochs_before:
            tracked = self._renumbered(tracked)
        self._seq += 1
        self._epoch = tracked.epoch
        age_s = now - tracked.frame.captured_at_s
        self.stats.record(age_s, len(tracked.tracks), tracked.frame.size)
        looked, refused = tracked.kind != "predicted", tracked.wish is not None
        self._overload.record(age_s, self._dropped, looked, refused)
        self.metrics.frame(tracked, age_s)
        zones = self.counter.observe(tracked)
        events = self._events.observe(tracked, self.counter.events) + self.adaptation.events()
        self.adaptation.observe(tracked.frame)
        self._recorder.record(tracked, self.counter.events, self.spec.zones, self.spec.stills_days, now)
        self._hub.publish_encoded(partial(encode, tracked, self.id, self._run, self._seq, now, zones, events))
        self.feed.offer(self._seq, tracked)

    def fail(self, code: str, message: str) -> None:
        """Give up on this stream, until it gets another reader."""
        self._failure = SourceState("failed", time.time(), code, message)
        extra = fields("stream_state", stream_id=self.id, epoch=self._epoch, phase="failed", code=code)
        log.error("stream %s failed: %s: %s", self.id, code, message, extra=extra)
        self.close(timeout_s=0)  # the device thread waits for nobody

    @property
    def state(self) -> StateView:
        """What the stream is doing, and why."""
        state = self._failure or (self._reader.state if self._reader else SourceState("pending", self.created_at))
        overload = self._overload.now
        if state.phase == "running" and overload is not None:
            since = max(overload.since, state.since_s)  # a reconnect since then began anew
            return StateView(phase="degraded", since=since, cause="overloaded", message=overload.message)
        return _state_view(state)

    def view(self) -> StreamView:
        """Return the stream as the API shows it."""
        numbers = self.stats.numbers()
        spec, address = self.spec, self._address
        return StreamView(
            id=spec.id,
            name=spec.name,
            note=spec.note,
            url=address.shown if address else _bare(spec.url),
            has_credentials=address.has_credentials if address else spec.credentials is not None,
            **as_fields(spec.lane),
            zones=spec.zones,
            stills_days=spec.stills_days,
            adapt=spec.adapt,
            adapt_group=spec.adapt_group,
            adaptation=self.adaptation.view(),
            classes=self.classes,
            created_at=self.created_at,
            state=self.state,
            stats=StatsView(
                fps=numbers.fps,
                frame_age_p50_ms=numbers.frame_age_p50_ms,
                frame_age_p95_ms=numbers.frame_age_p95_ms,
                people=numbers.people,
                frames=numbers.frames,
                dropped=self._dropped,
                width=numbers.width,
                height=numbers.height,
                subscribers=self._hub.subscribers(self.id),
            ),
        )

    @property
    def _dropped(self) -> int:
        return self._dropped_before + (self._reader.door.dropped if self._reader else 0)

    def _renumbered(self, tracked: TrackedFrame) -> TrackedFrame:
        """Epochs go on where those of the reader before ended, and its end is a discontinuity."""
        epoch = self._epochs_before + tracked.epoch
        return replace(tracked, epoch=epoch, discontinuity=tracked.discontinuity or epoch != self._epoch)

    def _on_state(self, state: SourceState) -> None:
        """Count reconnects; log changes of phase or cause, and not every attempt again."""
        if state.phase == "reconnecting":
            self.metrics.reconnected(state.code or "unknown")
        phase_and_cause = (state.phase, state.code)
        if phase_and_cause != self._logged:
            self._logged = phase_and_cause
            why = f": {state.code}: {state.message}" if state.code else ""
            extra = fields("stream_state", stream_id=self.id, epoch=self._epoch, phase=state.phase, code=state.code)
            log.info("stream %s is %s%s", self.id, state.phase, why, extra=extra)


def _state_view(state: SourceState) -> StateView:
    return StateView(
        phase="stopped" if state.phase == "ended" else state.phase,
        since=state.since_s,
        cause=state.code or "ended" if state.phase == "ended" else state.code,
        message=state.message or "the source came to its end" if state.phase == "ended" else state.message,
        attempts=state.attempts,
        next_retry=state.retry_at_s,
    )


def _bare(url: str) -> str:
    """A URL without all that may be secret, for one that the policy does not let through."""
    scheme, _, rest = url.rpartition("://")
    if scheme:
        return f"{scheme.rpartition('/')[2]}://{rest.rpartition('@')[2].partition('?')[0].partition('#')[0]}"
    return urlsplit(url).path
