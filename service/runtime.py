"""Runtime: what lives as long as the service does: the device thread, the hub and the streams."""

import asyncio
import logging
import secrets
from collections.abc import Callable

from edge.pipeline.backend import PairFiles
from edge.sources.decoding import ON_CPU, choose_decoding
from engines.gpu import built_in
from service.adaptation.adaptations import Adaptations
from service.adaptation.member import Member
from service.adaptation.settings import AdaptationSettings
from service.demo import SCENES
from service.logs import fields
from service.memory import keep_tidy
from service.metrics import Metrics
from service.readiness import Readiness, StartProgress
from service.settings import Settings
from service.sinks.sinks import Sinks
from service.store import Store
from service.streams.gauges import Gauges
from service.streams.registry import StreamRegistry
from service.streams.schema import NewStream
from service.streams.spec import StreamSpec
from service.streams.stream import Stream
from service.streams.worker import Pipeline, Worker
from service.timeline.archive import FILE_NAME as ARCHIVE
from service.timeline.timeline import Timeline, TimelineSettings
from service.tracks.hub import HubSettings, TrackHub
from service.tracks.video import VideoFeed, VideoSettings
from service.zones.counter import CountStore

log = logging.getLogger(__name__)

VERSION = "0.1.0"

STUDENTS = "students"
"""Folder beside the store."""
UNUSED_GPU = "run `make up` in the project's folder, or see `atttrack doctor`; --device cpu is content with that"
"""What to do about a GPU that is not used."""
STALLED_S = 30.0
"""A device thread silent for so long is taken for dead."""


class Runtime:
    """Starts with `open`, takes streams once `readiness` says so, ends with `drain`. Belongs to the event loop."""

    def __init__(
        self, settings: Settings, build: Callable[[StartProgress], Pipeline], counts: CountStore | None = None
    ) -> None:
        """`build` loads the networks, on the device thread, and may report how far it is.

        `counts`: of a node of a cluster, which has its streams and their counts from elsewhere and keeps neither.
        """
        self.settings = settings
        self.readiness = Readiness()
        self.metrics = Metrics(VERSION)
        self.worker = Worker(lambda: build(self.readiness.report), self.metrics.tick)
        self.adaptations = Adaptations(
            adaptation_settings(settings),
            lambda: pair_files(settings),
            self.worker.open_student,
            self.worker.set_student,
        )
        self.decoding = ON_CPU
        """What streams are decoded by; chosen before the first one begins."""
        self.notice: str | None = None
        """What the owner of the service should know as long as it runs."""
        self._failure: Exception | None = None
        self.store: Store
        self.loop: asyncio.AbstractEventLoop
        self.hub: TrackHub
        self.sinks: Sinks
        beside = settings.store_path and settings.store_path.with_name(ARCHIVE)
        self.timeline = Timeline(beside, TimelineSettings(settings.timeline_days, settings.stills_mb * 1e6))
        self.registry: StreamRegistry
        self._video = VideoSettings(settings.video_fps, settings.video_width, settings.jpeg_quality)
        self._counts = counts
        self._stored = False
        self._task: asyncio.Task[None]
        self._draining: asyncio.Task[None] | None = None

    def open_store(self) -> None:
        """Open what outlives a restart; does nothing the second time. Raises StoreError."""
        if not self._stored:
            self.store = Store(self.settings.store_path if self._counts is None else None)
            self._stored = True

    async def open(self) -> None:
        """Know all streams, begin to load the networks and return: health and readiness answer meanwhile."""
        self.open_store()
        self.loop = asyncio.get_running_loop()
        self.hub = TrackHub(self.loop, hub_settings(self.settings))
        self.sinks = Sinks(self.hub, [url.get_secret_value() for url in self.settings.sinks])
        chosen = self.settings
        self.registry = StreamRegistry(
            chosen.lane,
            chosen.url_policy,
            chosen.max_streams,
            self.store,
            self.worker,
            self._make_stream,
            self.timeline.forget,
            self._adapts,
            lambda stream, removed: self.adaptations.end(stream.adaptation, removed),
        )
        self.metrics.registry.register(Gauges(self.readiness, self.registry, self.hub, self.worker, self.store))
        self.registry.restore()
        self.timeline.start(None if self._counts is not None else [stream.id for stream in self.registry.all()])
        self._task = asyncio.create_task(self._start())

    async def _start(self) -> None:
        self.readiness.report("loading_models", "loading the networks")
        try:
            self.decoding = await asyncio.to_thread(choose_decoding, self.settings.decode, self.settings.device)
            await asyncio.wrap_future(self.worker.launch())
            self._look_for_unused_gpu()
            await self.registry.begin(() if self._counts is not None else first_cameras(self.settings))
        except Exception as error:  # whatever it is, the server ends with it
            self._failure = error
            self.readiness.report("load_failed", str(error))
        else:
            self.readiness.start()
            log.info("ready", extra=fields("ready"))
            await keep_tidy()

    async def drain(self) -> None:
        """Stop reading, publish what is being tracked, let subscribers take it, and close them; once."""
        if self._draining is None:
            self._draining = asyncio.create_task(self._drain())
        await asyncio.shield(self._draining)

    async def _drain(self) -> None:
        log.info("draining", extra=fields("draining"))
        self._task.cancel()
        self.readiness.end("draining", "the service is shutting down")
        await asyncio.to_thread(self.adaptations.close)
        await self.registry.close()
        grace_s = self.settings.shutdown_grace_s
        await asyncio.to_thread(self.worker.stop, grace_s)
        if self.worker.alive and not self.worker.building:
            log.error("the device thread does not end; not waiting for it", extra=fields("worker_left_behind"))
        self.hub.close()
        for stream in self.registry.all():
            frames = stream.view().stats.frames
            extra = fields("stream_closed", stream_id=stream.id, frames=frames)
            log.info("stream %s: %d frames tracked", stream.id, frames, extra=extra)
            stream.feed.close()
        await asyncio.gather(
            self.hub.drained(grace_s), self.sinks.close(grace_s), asyncio.to_thread(self.timeline.close)
        )
        await asyncio.to_thread(self.store.close)

    @property
    def streams(self) -> StreamRegistry:
        """All streams."""
        return self.registry

    @property
    def failure(self) -> Exception | None:
        """What ended the start, or the loss of the device: the process should end with it."""
        return self._failure or self.worker.lost

    @property
    def stalled(self) -> bool:
        """Whether the device thread gives no sign of life, though it has nothing left to load."""
        return self.worker.silent_s > STALLED_S and not self.worker.building

    def _look_for_unused_gpu(self) -> None:
        if self.settings.device == "auto" and not self.worker.on_gpu and (gpu := built_in()):
            self.notice = f"this machine has {gpu}, but the networks run on the CPU: {UNUSED_GPU}"
            log.warning("%s", self.notice, extra=fields("unused_gpu"))

    def _adapts(self, stream: Stream) -> None:
        spec = stream.spec
        self.adaptations.follow(stream.adaptation, spec.adapt, spec.adapt_group, spec.lane.k)

    def _make_stream(self, spec: StreamSpec, created_at: float, run: int | None = None) -> Stream:
        return Stream(
            spec,
            created_at,
            self.hub,
            self.worker,
            VideoFeed(self.loop, self._video),
            self.store if self._counts is None else self._counts,
            self.metrics.stream(spec.id),
            self.timeline.of(spec.id),
            Member(spec.id),
            lambda: self.decoding,
            secrets.token_hex(4) if run is None else f"{run:x}",
        )


def first_cameras(settings: Settings) -> list[NewStream]:
    """Streams to begin with, by ids that are the same at every start."""
    cameras = [NewStream(id=f"camera-{number}", url=url) for number, url in enumerate(settings.cameras, start=1)]
    return [*map(NewStream.model_validate, SCENES), *cameras] if settings.demo else cameras


def adaptation_settings(settings: Settings) -> AdaptationSettings:
    """How streams that adapt do so."""
    return AdaptationSettings(
        settings.adapt_share,
        60 * settings.adapt_every_min,
        settings.adapt_minutes,
        int(settings.adapt_mb * 1e6),
        settings.store_path and settings.store_path.with_name(STUDENTS),
    )


def pair_files(settings: Settings) -> PairFiles:
    """The pair that learns. Raises ModelFileError where one of it is missing."""
    return PairFiles.find(settings.models, settings.pair, settings.input_size, settings.teacher_input_size)


def hub_settings(settings: Settings) -> HubSettings:
    """How much of each stream's messages is kept."""
    return HubSettings(settings.subscriber_queue, settings.history, int(settings.history_mb * 1e6))
