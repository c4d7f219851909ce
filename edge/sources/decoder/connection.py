"""A camera's video by FFmpeg, for whatever a decoder process does with it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import av
from av.codec.hwaccel import HWAccel

from edge.sources.base import SourceError
from edge.sources.camera_url import CameraUrl
from edge.sources.decoder.outlet import Stop
from edge.sources.relay import Relay
from edge.sources.settings import SourceSettings

OPTIONS = {
    "rtsp_transport": "tcp",
    "allowed_media_types": "video",
    "protocol_whitelist": "rtsp,rtp,tcp",
    "probesize": "1000000",
    "analyzeduration": "500000",
    "fpsprobesize": "0",  # the frame rate is not worth waiting for: a third of a second sooner to the first picture
}
CUT_LATE = ("h264", "hevc")
"""FFmpeg knows the end of a picture of these codecs by the begin of the next one: it came when the last one was cut."""


@dataclass(frozen=True, slots=True)
class CameraVideo:
    """An open connection."""

    container: av.container.InputContainer
    stream: av.VideoStream
    url: CameraUrl

    @property
    def frame_rate(self) -> float | None:
        """Announced frames per second."""
        return float(self.stream.average_rate) if self.stream.average_rate else None

    @property
    def cut_late(self) -> bool:
        """Whether a packet came when the one before it was handed out."""
        return self.stream.codec_context.name in CUT_LATE


@contextmanager
def camera_video(url: CameraUrl, settings: SourceSettings, hwaccel: HWAccel | None = None) -> Iterator[CameraVideo]:
    """Connect, by way of the relay, and hang up behind the `with` block, which ends where the camera hangs up.

    Raises SourceError, or FFmpeg's errors, when the camera is at fault, in the block, too.
    """
    with relayed(url, settings) as address:
        timeouts_s = settings.connect_timeout_s, settings.stall_timeout_s
        with av.open(address.with_secret(), options=OPTIONS, timeout=timeouts_s, hwaccel=hwaccel) as container:
            video = CameraVideo(container, _video_of(container, url, settings), url)
            try:
                yield video
            except av.error.ExitError:
                raise SourceError("timeout", f"{url} sent nothing for {settings.stall_timeout_s:g} s") from None
        raise SourceError("connection_failed", f"{url} closed the connection")


@contextmanager
def relayed(url: CameraUrl, settings: SourceSettings) -> Iterator[CameraUrl]:
    """An address on this machine behind which the camera is. Raises SourceError where the relay cut it off."""
    with Relay(url, settings) as relay:
        try:
            yield relay.url
        except Stop:
            raise
        except Exception:  # whoever reads only saw a connection break; the relay knows why
            if relay.failure is not None:
                raise relay.failure from None
            raise


def check_size(url: CameraUrl, settings: SourceSettings, width: int, height: int) -> None:
    """Raise SourceError resolution_too_high for pictures larger than the settings allow."""
    most = settings.max_pixels
    if width * height > most:
        what = f"{url} sends pictures of {width}x{height}, {width * height / 1e6:.1f} megapixels"
        raise SourceError("resolution_too_high", f"{what}; {most / 1e6:.1f} are allowed: choose a smaller stream")


def _video_of(container: av.container.InputContainer, url: CameraUrl, settings: SourceSettings) -> av.VideoStream:
    """The video stream with a decoder. Raises SourceError no_video, codec_unsupported, resolution_too_high."""
    if not container.streams.video:
        raise SourceError("no_video", f"{url} offers no video; check the path")
    video = container.streams.video[0]
    if getattr(video, "codec_context", None) is None:
        raise SourceError("codec_unsupported", f"{url} sends a codec that cannot be decoded; set it to H.264 or H.265")
    check_size(url, settings, video.codec_context.width, video.codec_context.height)
    return video
