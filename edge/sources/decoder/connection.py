"""A camera's video by FFmpeg, for whatever a decoder process does with it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import av
from av.codec.hwaccel import HWAccel

from edge.sources.base import SourceError
from edge.sources.decoder.access_units import CODECS, AccessUnits
from edge.sources.decoder.limits import seal, seal_with_driver
from edge.sources.decoder.messages import Job
from edge.sources.decoder.ring import Stop
from edge.sources.http_camera import HttpCamera
from edge.sources.picture import film_of
from edge.sources.retry import unreachable
from edge.sources.rtsp.camera_url import CameraUrl
from edge.sources.rtsp.relay import Relay, dial
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
HTTP = {"probesize": "32", "analyzeduration": "0", "fpsprobesize": "0"}
"""Nothing is looked into before the first picture is shown."""
LONGEST_SILENCE_S = 600.0
"""After which a connection is given up even where its reader waits on."""
WHOLE = ("mjpeg",)
"""Codecs whose payloads FFmpeg joins to pictures without its parser, at RTP's marker. All others it has to parse."""


@dataclass(frozen=True, slots=True)
class CodedPicture:
    """One coded picture of a camera."""

    packet: "av.Packet[av.VideoStream]"
    monotonic_s: float
    """When its last piece came, on the system's monotonic clock."""
    unix_s: float
    key: bool = True
    """Whether it says that video can be decoded from it on."""


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
                yield CodedPicture(packet, *came, packet.is_keyframe)
            elif unit := units.add(bytes(packet), packet.pts, came):
                whole = cast("av.Packet[av.VideoStream]", av.Packet(unit.coded))
                whole.pts, whole.time_base, whole.stream = unit.pts, packet.time_base, self.stream
                yield CodedPicture(whole, *unit.came, unit.key)


class NeedsParser(Exception):
    """FFmpeg has to parse what this camera sends, so it has to be connected to anew, by a job that says so."""


@contextmanager
def camera_video(job: Job, hwaccel: HWAccel | None = None) -> Iterator[CameraVideo]:
    """Connect, by way of the relay, and hang up behind the `with` block, which ends where the camera hangs up.

    From then on this process can connect to nothing any more, whatever the camera sends.

    Raises SourceError, or FFmpeg's errors, when the camera is at fault, in the block, too; or NeedsParser.
    """
    url, settings = job.url, job.settings
    if url.scheme in ("http", "https"):
        with _http_video(job, hwaccel) as pictures:
            yield pictures
        raise SourceError("connection_failed", f"{url} closed the connection")
    mark = None if job.parsed else new_mark()
    with relayed(job, mark) as address:
        timeout_s = LONGEST_SILENCE_S  # the relay and who reads are less patient
        options = OPTIONS if mark is None else IN_PIECES
        with av.open(
            address.with_secret(), options=options, timeout=timeout_s, hwaccel=hwaccel, metadata_errors="replace"
        ) as container:
            codec = _codec_of(container)
            if mark is not None and codec not in CODECS + WHOLE:
                raise NeedsParser
            video = _video_of(container, url, settings)
            try:
                yield CameraVideo(container, video, url, mark if codec in CODECS else None)
            except av.error.ExitError:
                raise SourceError("timeout", f"{url} sent nothing for {LONGEST_SILENCE_S:g} s") from None
        raise SourceError("connection_failed", f"{url} closed the connection")


@contextmanager
def _http_video(job: Job, hwaccel: HWAccel | None) -> Iterator[CameraVideo]:
    """Motion JPEG over HTTP, each part a picture. Raises SourceError, or FFmpeg's errors."""
    url, settings = job.url, job.settings
    with HttpCamera(url, lambda: dial(url, settings)) as camera:
        camera.wait(LONGEST_SILENCE_S)
        _sealed(job)()
        with av.open(camera, format="mpjpeg", options=HTTP, hwaccel=hwaccel) as container:
            assert isinstance(container, av.container.InputContainer)  # noqa: S101
            yield CameraVideo(container, _video_of(container, url, settings), url)


def _sealed(job: Job) -> Callable[[], None]:
    return seal_with_driver if job.with_driver else seal


@contextmanager
def relayed(job: Job, mark: bytes | None = None) -> Iterator[CameraUrl]:
    """An address on this machine behind which the camera is. Raises SourceError where the relay cut it off.

    `mark`: what comes behind each picture of H.264 and H.265.
    """
    with Relay(job.url, job.settings, mark, _sealed(job)) as relay:
        try:
            yield relay.url
        except (Stop, NeedsParser):
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
    codec = getattr(film_of(container), "codec_context", None)
    return None if codec is None else codec.name


def _video_of(container: av.container.InputContainer, url: CameraUrl, settings: SourceSettings) -> av.VideoStream:
    """The video stream with a decoder. Raises SourceError no_video, codec_unsupported, resolution_too_high."""
    if not container.streams.video:
        raise SourceError("no_video", f"{url} offers no video; check the path")
    video = film_of(container)
    assert video is not None  # noqa: S101
    if getattr(video, "codec_context", None) is None:
        raise SourceError("codec_unsupported", f"{url} sends a codec that cannot be decoded; set it to H.264 or H.265")
    check_size(url, settings, video.codec_context.width, video.codec_context.height)
    return video


def camera_error(error: Exception, url: CameraUrl, settings: SourceSettings, took_s: float) -> SourceError:
    """The `SourceError` of a camera that could not be opened or read. No secret, no exception's name is in it.

    FFmpeg's own exceptions carry the URL that they were given. They are translated here and never chained.
    """
    if isinstance(error, SourceError):
        return error
    if isinstance(error, av.error.HTTPUnauthorizedError | av.error.HTTPForbiddenError):
        return SourceError("auth_failed", f"{url} refused the credentials; check user name and password")
    if isinstance(error, av.error.HTTPNotFoundError):
        return SourceError("not_found", f"{url}: the camera has no such stream; check the path")
    if isinstance(error, av.error.DecoderNotFoundError):
        return SourceError("codec_unsupported", f"{url} sends a codec that cannot be decoded; set it to H.264 or H.265")
    if isinstance(error, MemoryError | BlockingIOError):  # FFmpeg's word for a thread without room for its stack
        limit = f"{settings.decoder_memory_mb} MB"
        return SourceError("decoder_crashed", f"decoding {url} takes more than {limit}; choose a smaller stream")
    if isinstance(error, OSError) and not isinstance(error, av.error.FFmpegError):  # ours, on the way to the camera
        return unreachable(url, error)
    if isinstance(error, av.error.ExitError | TimeoutError) or took_s >= settings.connect_timeout_s:
        return SourceError("timeout", f"{url} did not answer in {settings.connect_timeout_s:g} s")
    if isinstance(error, av.error.HTTPError):
        return SourceError("connection_failed", f"{url}: the camera answered with an error; it may be busy")
    if isinstance(error, av.error.InvalidDataError):
        return SourceError("connection_failed", f"{url}: what answered does not speak RTSP")
    if isinstance(error, av.error.FFmpegError):
        return SourceError("connection_failed", f"{url}: the connection broke")
    return SourceError("internal", f"{url}: reading it failed within this program, which is a fault of its own")
