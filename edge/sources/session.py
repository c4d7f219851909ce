"""`CameraSession`: one connection to a camera, read and decoded in a thread of its own.

FFmpeg cannot be interrupted from outside while it waits for the network. So it waits here, and whoever wants frames
waits for this thread instead, which can end at any time; an abandoned session ends by its own time-out.
"""

import queue
import ssl
import threading
import time
from dataclasses import dataclass

import av

from edge.sources.base import SourceError
from edge.sources.camera_url import CameraUrl
from edge.sources.settings import SourceSettings
from edge.sources.video_error import camera_error

DEPTH = 4
"""Decoded pictures waiting for their reader; a slower reader slows the camera down through TCP."""
OPTIONS = {
    "rtsp_transport": "tcp",
    "allowed_media_types": "video",
    "protocol_whitelist": "rtsp,rtsps,rtp,tcp,tls",
    "probesize": "1000000",
    "analyzeduration": "500000",
    "fpsprobesize": "0",  # the frame rate is not worth waiting for: a third of a second sooner to the first picture
}
CUT_LATE = ("h264", "hevc")
"""FFmpeg knows the end of a picture of these codecs by the begin of the next one: it came when the last one was cut."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A decoded picture and when it came to this host."""

    picture: av.VideoFrame
    monotonic_s: float
    unix_s: float


class CameraSession:
    """Connects on construction of its thread; `next()` hands out what came."""

    def __init__(self, url: CameraUrl, settings: SourceSettings) -> None:
        self.frame_rate: float | None = None
        self._url, self._settings = url, settings
        self._arrivals: queue.Queue[Arrival | SourceError] = queue.Queue(DEPTH)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"camera {url.host}:{url.port}", daemon=True)
        self._thread.start()

    def next(self, timeout_s: float) -> Arrival | None:
        """The next picture, or None when none came in time. Raises SourceError when the session is over."""
        try:
            arrival = self._arrivals.get(timeout=timeout_s)
        except queue.Empty:
            return None
        if isinstance(arrival, SourceError):
            raise arrival
        return arrival

    def close(self, wait_s: float = 0.0) -> None:
        """Abandon the session; it hangs up as soon as FFmpeg returns from the network."""
        self._stop.set()
        self._thread.join(wait_s)

    def _run(self) -> None:
        began_s = time.monotonic()
        try:
            self._read()
        except Exception as error:
            self._hand_over(camera_error(error, self._url, self._settings, time.monotonic() - began_s))

    def _read(self) -> None:
        with av.open(
            self._url.with_secret(),
            options=OPTIONS | _tls_options(self._url, self._settings),
            timeout=(self._settings.connect_timeout_s, self._settings.stall_timeout_s),
        ) as container:
            video = _video_stream(container, self._url)
            video.thread_type, video.codec_context.thread_count = "SLICE", self._settings.decoder_threads
            self.frame_rate = float(video.average_rate) if video.average_rate else None
            try:
                self._decode(container, video)
            except av.error.ExitError:
                raise SourceError(
                    "timeout", f"{self._url} sent nothing for {self._settings.stall_timeout_s:g} s"
                ) from None
            if not self._stop.is_set():
                raise SourceError("connection_failed", f"{self._url} closed the connection")

    def _decode(self, container: av.container.InputContainer, video: av.VideoStream) -> None:
        """Hand over pictures until the camera hangs up or `close` is called; broken packets are skipped."""
        came = time.monotonic(), time.time()
        for packet in container.demux(video):
            now = time.monotonic(), time.time()
            monotonic_s, unix_s = came if video.codec_context.name in CUT_LATE else now
            came = now
            try:
                pictures = packet.decode() if packet.size else []
            except av.error.InvalidDataError:
                continue
            for picture in pictures:
                self._hand_over(Arrival(picture, monotonic_s, unix_s))
            if self._stop.is_set():
                return

    def _hand_over(self, item: Arrival | SourceError) -> None:
        while not self._stop.is_set():
            try:
                self._arrivals.put(item, timeout=0.2)
                return
            except queue.Full:
                continue


def _video_stream(container: av.container.InputContainer, url: CameraUrl) -> av.VideoStream:
    """The video stream with a decoder. Raises SourceError no_video, codec_unsupported."""
    if not container.streams.video:
        raise SourceError("no_video", f"{url} offers no video; check the path")
    video = container.streams.video[0]
    if getattr(video, "codec_context", None) is None:
        raise SourceError("codec_unsupported", f"{url} sends a codec that cannot be decoded; set it to H.264 or H.265")
    return video


def _tls_options(url: CameraUrl, settings: SourceSettings) -> dict[str, str]:
    """FFmpeg trusts every certificate unless told otherwise."""
    if url.scheme != "rtsps" or not settings.tls_verify:
        return {}
    trusted = settings.ca_file or ssl.get_default_verify_paths().cafile
    return {"tls_verify": "1", "verifyhost": url.host.strip("[]")} | ({"ca_file": str(trusted)} if trusted else {})
