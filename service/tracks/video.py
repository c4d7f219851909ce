"""VideoFeed: the newest tracked picture of one stream as JPEG; encoded only when asked, once for all who watch."""

import asyncio
import time
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np

from edge.annotate import Annotator
from edge.arrays import U8
from edge.pipeline.pipeline import TrackedFrame

Style = Literal["annotated", "plain", "small"]
"""small: annotated, and at most SMALL_WIDTH wide."""
SMALL_WIDTH = 480


@dataclass(frozen=True, slots=True)
class EncodedPicture:
    """One JPEG and the track message it belongs to."""

    seq: int
    jpeg: bytes


@dataclass(frozen=True, slots=True)
class VideoSettings:
    """How pictures are made."""

    fps: float
    """Most pictures per second, per stream and style."""
    max_width: int
    """Pixels; wider pictures are scaled down."""
    quality: int
    """JPEG quality, 10 to 100."""


class FeedClosed(Exception):
    """The stream is gone or the service goes away."""


class VideoFeed:
    """Pictures of one stream. `offer` is for the device thread, the rest for the event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, settings: VideoSettings) -> None:
        self._loop = loop
        self._settings = settings
        self._newest: tuple[int, TrackedFrame] | None = None
        self._waiting = 0
        self._news = asyncio.Event()
        self._closed = False
        self._encoders: dict[Style, _Encoder] = {
            "annotated": _Encoder(settings, Annotator()),
            "plain": _Encoder(settings, None),
            "small": _Encoder(replace(settings, max_width=min(SMALL_WIDTH, settings.max_width)), Annotator()),
        }

    def offer(self, seq: int, tracked: TrackedFrame) -> None:
        """Replace the newest frame; costs nothing while nobody watches."""
        self._newest = (seq, tracked)
        if self._waiting:
            self._loop.call_soon_threadsafe(self._announce)

    async def newer_than(self, seq: int, style: Style) -> EncodedPicture:
        """Wait for a picture after `seq` (0: any). Raises FeedClosed."""
        newest = await self._newest_after(seq)
        encoder = self._encoders[style]
        async with encoder.lock:  # one makes the picture, all others find it made
            if encoder.picture is None or encoder.picture.seq <= seq:
                await asyncio.sleep(encoder.due_in_s())
                await encoder.encode(*(self._newest or newest))
            assert encoder.picture is not None  # noqa: S101  (just made)
            return encoder.picture

    async def newest(self, style: Style) -> EncodedPicture | None:
        """Return the newest frame's picture, None before the first frame."""
        if self._newest is None:
            return None
        return await self.newer_than(self._newest[0] - 1, style)

    def close(self) -> None:
        """End all that wait."""
        self._closed = True
        self._announce()

    async def _newest_after(self, seq: int) -> tuple[int, TrackedFrame]:
        self._waiting += 1  # before looking: `offer` calls nobody whom it does not know of
        try:
            while (newest := self._newest) is None or newest[0] <= seq:
                if self._closed:
                    raise FeedClosed
                await self._news.wait()
            return newest
        finally:
            self._waiting -= 1

    def _announce(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


class _Encoder:
    """One style's newest JPEG."""

    def __init__(self, settings: VideoSettings, annotator: Annotator | None) -> None:
        self._settings = settings
        self._annotator = annotator
        self._made_at = -1e9
        self.lock = asyncio.Lock()
        self.picture: EncodedPicture | None = None

    def due_in_s(self) -> float:
        """Seconds until the next picture may be made."""
        return max(0.0, self._made_at + 1 / self._settings.fps - time.monotonic())

    async def encode(self, seq: int, tracked: TrackedFrame) -> None:
        """Make the picture in a worker thread."""
        self._made_at = time.monotonic()
        self.picture = EncodedPicture(seq, await asyncio.to_thread(self._render, tracked))

    def _render(self, tracked: TrackedFrame) -> bytes:
        image = tracked.frame.image
        if self._annotator is not None:
            image = image.copy()
            self._annotator.draw(image, tracked)
        return to_jpeg(image, self._settings.max_width, self._settings.quality)


def to_jpeg(image: U8, max_width: int, quality: int) -> bytes:
    """Encode a BGR picture, scaled down to `max_width` if wider."""
    height, width = image.shape[:2]
    if width > max_width:
        size = (max_width, round(height * max_width / width))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    ok, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise ValueError(f"cannot encode a picture of shape {image.shape} as JPEG")
    return encoded.tobytes()
