"""A camera's video by FFmpeg, for whatever a decoder process does with it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import av
from av.codec.hwaccel import HWAccel

from edge.sources.base import SourceError
from edge.sources.decoder.access_units import CODECS, AccessUnits
from edge.sources.decoder.limits import seal, seal_with_driver
from edge.sources.decoder.messages import Job
from edge.sources.decoder.outlet import Stop
from edge.sources.rtsp.camera_url import CameraUrl
from edge.sources.rtsp.relay import Relay
from edge.sources.rtsp.rtp import new_mark
from edge.sources.settings import SourceSettings

OPTIONS = {
    "rtsp_transport": "tcp",
    "allowed_media_types": "video",
    "protocol_whitelist": "rtsp,rtp,tcp",
    "probesize": "1000000",
    "analyzeduration": "500000",
    "fpsprobesize": "0",  # the frame rate is not worth waiting for: a third of a second sooner to the first picture
}
IN_PIECES = OPTIONS | {"fflags": "noparse+nofillin", "probesize": "32"}
"""RTP's payloads as they come. The first one, a mark, is all that FFmpeg looks into before it begins."""
WHOLE = ("mjpeg",)
"""Codecs whose payloads FFmpeg joins to pictures without its parser, at RTP's marker. All others it has to parse."""


@dataclass(frozen=True, slots=True)
class CodedPicture:
    """One coded picture of a camera."""

    packet: "av.Packet[av.VideoStream]"
    monotonic_s: float
    """When its last piece came, on the system's monotonic clock."""
    unix_s: float


@dataclass(frozen=True, slots=True)
class CameraVideo:
    """An open connection."""

    container: av.container.InputContainer
    stream: av.VideoStream
    url: CameraUrl
    mark: bytes | None = None
    """What ends a picture that comes in pieces; None: packets are pictures."""

    @property
    def frame_rate(self) -> float | None:
        """Announced frames per second, as far as known by now: parameter sets say so to the decoder."""
        rate = self.stream.codec_context.framerate or self.stream.average_rate
        return float(rate) if rate else None

    def pictures(self) -> Iterator[CodedPicture]:
        """Coded pictures until the camera hangs up, each as soon as it is known to be whole."""
        units = None if self.mark is None else AccessUnits(self.stream.codec_context.name, self.mark)
        for packet in self.container.demux(self.stream):
            came = time.monotonic(), time.time()
            if not packet.size:
                continue
            if units is None:
                yield CodedPicture(packet, *came)
            elif unit := units.add(bytes(packet), packet.pts, came):
                whole = cast("av.Packet[av.VideoStream]", av.Packet(unit.coded))
                whole.pts, whole.time_base, whole.stream = unit.pts, packet.time_base, self.stream
                yield CodedPicture(whole, *unit.came)


class NeedsParser(Exception):
    """FFmpeg has to parse what this camera sends, so it has to be connected to anew, by a job that says so."""


@contextmanager
def camera_video(job: Job, hwaccel: HWAccel | None = None) -> Iterator[CameraVideo]:
    """Connect, by way of the relay, and hang up behind the `with` block, which ends where the camera hangs up.

    From then on this process can connect to nothing any more, whatever the camera sends.

    Raises SourceError, or FFmpeg's errors, when the camera is at fault, in the block, too; or NeedsParser.
    """
    url, settings = job.url, job.settings
    mark = None if job.parsed else new_mark()
    with relayed(job, mark) as address:
        timeouts_s = settings.connect_timeout_s, settings.stall_timeout_s
        options = OPTIONS if mark is None else IN_PIECES
        with av.open(address.with_secret(), options=options, timeout=timeouts_s, hwaccel=hwaccel) as container:
            codec = _codec_of(container)
            if mark is not None and codec not in CODECS + WHOLE:
                raise NeedsParser
            video = _video_of(container, url, settings)
            try:
                yield CameraVideo(container, video, url, mark if codec in CODECS else None)
            except av.error.ExitError:
                raise SourceError("timeout", f"{url} sent nothing for {settings.stall_timeout_s:g} s") from None
        raise SourceError("connection_failed", f"{url} closed the connection")


@contextmanager
def relayed(job: Job, mark: bytes | None = None) -> Iterator[CameraUrl]:
    """An address on this machine behind which the camera is. Raises SourceError where the relay cut it off.

    `mark`: what comes behind each picture of H.264 and H.265.
    """
    with Relay(job.url, job.settings, mark, seal_with_driver if job.with_driver else seal) as relay:
        try:
            yield relay.url
        except Stop:
            raise
        except NeedsParser:
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


def _codec_of(container: av.container.InputContainer) -> str | None:
    """FFmpeg's name of what the first video stream is coded with; None where there is none, or no decoder."""
    codec = getattr(container.streams.video[0], "codec_context", None) if container.streams.video else None
    return None if codec is None else codec.name


def _video_of(container: av.container.InputContainer, url: CameraUrl, settings: SourceSettings) -> av.VideoStream:
    """The video stream with a decoder. Raises SourceError no_video, codec_unsupported, resolution_too_high."""
    if not container.streams.video:
        raise SourceError("no_video", f"{url} offers no video; check the path")
    video = container.streams.video[0]
    if getattr(video, "codec_context", None) is None:
        raise SourceError("codec_unsupported", f"{url} sends a codec that cannot be decoded; set it to H.264 or H.265")
    check_size(url, settings, video.codec_context.width, video.codec_context.height)
    return video
