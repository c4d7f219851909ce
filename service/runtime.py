"""Runtime: what lives as long as the service does: the device thread, the hub and the streams."""

import asyncio
import logging
from collections.abc import Callable

from service.errors import ApiError
from service.hub import TrackHub
from service.readiness import Progress, Readiness
from service.registry import StreamRegistry
from service.settings import Settings
from service.stream import Stream, StreamSpec
from service.streams import NewStream
from service.video import VideoFeed, VideoSettings
from service.worker import Pipeline, Worker

log = logging.getLogger(__name__)

STALLED_S = 30.0
"""A device thread silent for so long is taken for dead."""


class Runtime:
    """Starts with `open`, takes streams once `readiness` says so, ends with `drain`. Belongs to the event loop."""

    def __init__(self, settings: Settings, build: Callable[[Progress], Pipeline]) -> None:
        """`build` loads the networks, on the device thread, and may report how far it is."""
        self.settings = settings
        self.readiness = Readiness()
        self.worker = Worker(lambda: build(self.readiness.report))
        self.failure: Exception | None = None
        """What ended the start; the process should end with it."""
        self.loop: asyncio.AbstractEventLoop
        self.hub: TrackHub
        self.registry: StreamRegistry
        self._video = VideoSettings(settings.video_fps, settings.video_width, settings.jpeg_quality)
        self._starting: asyncio.Task[None]
        self._draining: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Begin to load the networks and return at once: health and readiness answer meanwhile."""
        self.loop = asyncio.get_running_loop()
        self.hub = TrackHub(self.loop, self.settings.subscriber_queue)
        self.registry = StreamRegistry(self.settings, self.worker, self._make_stream)
        self._starting = asyncio.create_task(self._start())

    async def _start(self) -> None:
        self.readiness.report("loading_models", "loading the networks")
        try:
            await asyncio.wrap_future(self.worker.launch())
            await self._add_first_streams()
        except Exception as error:
            self.failure = error
            self.readiness.report("load_failed", str(error))
        else:
            self.readiness.start()
            log.info("ready")

    async def _add_first_streams(self) -> None:
        """Add those of the settings; one that is refused is logged and left out."""
        for number, url in enumerate(self.settings.start_urls):
            demo = self.settings.demo and number == 0
            new = NewStream(
                url=url,
                id="demo" if demo else f"camera-{number + (not self.settings.demo)}",
                name="Drawn scene" if demo else None,
            )
            try:
                await self.registry.add(new)
            except ApiError as error:
                log.error("cannot start with camera %d: %s: %s", number, error.code, error.detail)

    async def drain(self) -> None:
        """Stop reading, publish what is being tracked, let subscribers take it, and close them; once."""
        if self._draining is None:
            self._draining = asyncio.create_task(self._drain())
        await asyncio.shield(self._draining)

    async def _drain(self) -> None:
        log.info("draining")
        self._starting.cancel()
        self.readiness.end("draining", "the service is shutting down")
        await self.registry.close()
        await asyncio.to_thread(self.worker.stop)
        self.hub.close()
        for stream in self.registry.all():
            log.info("stream %s: %d frames tracked", stream.id, stream.view().stats.frames)
            stream.feed.close()
        await self.hub.drained(self.settings.shutdown_grace_s)

    @property
    def stalled(self) -> bool:
        """Whether the device thread gives no sign of life, though it has nothing left to load."""
        return self.worker.silent_s > STALLED_S and not self.worker.building

    def _make_stream(self, spec: StreamSpec) -> Stream:
        return Stream(spec, self.hub, self.worker, VideoFeed(self.loop, self._video))
