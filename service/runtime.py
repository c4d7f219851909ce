"""Runtime: what lives as long as the service does: the device thread, the hub and the streams."""

import asyncio
import logging
from collections.abc import Callable

from service.errors import ApiError
from service.hub import TrackHub
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
    """Starts with `load` (any thread) and `open` (event loop), ends with `drain`."""

    def __init__(self, settings: Settings, build: Callable[[], Pipeline]) -> None:
        self.settings = settings
        self.worker = Worker(build)
        self.loop: asyncio.AbstractEventLoop
        self.hub: TrackHub
        self.registry: StreamRegistry
        self._video = VideoSettings(settings.video_fps, settings.video_width, settings.jpeg_quality)
        self._loaded = False
        self._draining: asyncio.Task[None] | None = None

    def load(self) -> None:
        """Load the networks. Raises what `edge.backend.open_backend` raises; does nothing the second time."""
        if not self._loaded:
            self.worker.start()
            self._loaded = True

    async def open(self) -> None:
        """Accept streams, and add those of the settings; one that is refused is logged and left out."""
        await asyncio.to_thread(self.load)
        self.loop = asyncio.get_running_loop()
        self.hub = TrackHub(self.loop, self.settings.subscriber_queue)
        self.registry = StreamRegistry(self.settings, self.worker, self._make_stream)
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
        await self.registry.close()
        await asyncio.to_thread(self.worker.stop)
        self.hub.close()
        for stream in self.registry.all():
            log.info("stream %s: %d frames tracked", stream.id, stream.view().stats.frames)
            stream.feed.close()
        await self.hub.drained(self.settings.shutdown_grace_s)

    @property
    def stalled(self) -> bool:
        """Whether the device thread gives no sign of life."""
        return self.worker.silent_s > STALLED_S

    def _make_stream(self, spec: StreamSpec) -> Stream:
        return Stream(spec, self.hub, self.worker, VideoFeed(self.loop, self._video))
