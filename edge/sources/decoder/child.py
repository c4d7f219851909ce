"""The decoder process of one camera: connects, decodes, and leaves each picture in the ring."""

import contextlib
import os
import select
import socket
import time
from fractions import Fraction

import av

from edge.sources.base import SourceError
from edge.sources.camera_url import CameraUrl
from edge.sources.decoder.damage import Damage
from edge.sources.decoder.frozen import FrozenPicture
from edge.sources.decoder.limits import confine
from edge.sources.decoder.messages import Job, Picture, pack_error
from edge.sources.decoder.ring import SLOTS, PictureRing
from edge.sources.picture import BgrConverter
from edge.sources.relay import Relay
from edge.sources.video_error import camera_error

LONGEST_JOB = 16384
SLOT_WAIT_S = 0.5
"""How long a picture waits for a free slot, unless the reader is known to be late: a burst shall lose nothing."""
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


def run(channel: socket.socket) -> None:
    """Do the job that comes over `channel` until its other end is closed, or say why that is not possible."""
    message, descriptors, _, _ = socket.recv_fds(channel, LONGEST_JOB, 1)
    if not message:
        return
    job = Job.unpack(message)
    ring = PictureRing(descriptors[0], job.settings.max_pixels)
    os.close(descriptors[0])
    confine(job.settings.decoder_memory_mb)
    began_s = time.monotonic()
    try:
        _Decoder(channel, ring, job).run()
    except Exception as error:  # FFmpeg's, ours or a bug: the reader is told before this process ends
        failure = camera_error(error, job.url, job.settings, time.monotonic() - began_s)
        with contextlib.suppress(OSError):
            channel.send(pack_error(failure))


class _Stop(Exception):
    """The reader has closed its end."""


class _Decoder:
    """One connection to a camera."""

    def __init__(self, channel: socket.socket, ring: PictureRing, job: Job) -> None:
        self._channel, self._ring = channel, ring
        self._url, self._settings = job.url, job.settings
        self._convert = BgrConverter()
        self._frozen = FrozenPicture(job.settings.frozen_after_s)
        self._damage = Damage()
        self._free = set(range(SLOTS))
        self._late = False
        self._number = 0

    def run(self) -> None:
        """Hand over pictures until the reader is gone. Raises SourceError, or FFmpeg's errors, when the camera is."""
        with Relay(self._url, self._settings) as relay:
            try:
                self._read(relay.url)
            except _Stop:
                return
            except Exception:  # FFmpeg only saw a connection break; the relay knows why
                if relay.failure is not None:
                    raise relay.failure from None
                raise

    def _read(self, url: CameraUrl) -> None:
        settings = self._settings
        with av.open(
            url.with_secret(),
            options=OPTIONS,
            timeout=(settings.connect_timeout_s, settings.stall_timeout_s),
        ) as container:
            video = self._video(container)
            video.thread_type, video.codec_context.thread_count = "SLICE", settings.decoder_threads
            try:
                self._decode(container, video)
            except av.error.ExitError:
                raise SourceError("timeout", f"{self._url} sent nothing for {settings.stall_timeout_s:g} s") from None
        raise SourceError("connection_failed", f"{self._url} closed the connection")

    def _video(self, container: av.container.InputContainer) -> av.VideoStream:
        """The video stream with a decoder. Raises SourceError no_video, codec_unsupported, resolution_too_high."""
        if not container.streams.video:
            raise SourceError("no_video", f"{self._url} offers no video; check the path")
        video = container.streams.video[0]
        if getattr(video, "codec_context", None) is None:
            raise SourceError(
                "codec_unsupported", f"{self._url} sends a codec that cannot be decoded; set it to H.264 or H.265"
            )
        self._check_size(video.codec_context.width, video.codec_context.height)
        return video

    def _decode(self, container: av.container.InputContainer, video: av.VideoStream) -> None:
        """Every picture until the camera hangs up; broken packets are skipped, unless nothing else comes."""
        came = time.monotonic(), time.time()
        fruitful_s, rate = came[0], float(video.average_rate) if video.average_rate else None
        for packet in container.demux(video):
            now = time.monotonic(), time.time()
            monotonic_s, unix_s = came if video.codec_context.name in CUT_LATE else now
            came = now
            try:
                pictures = packet.decode() if packet.size else []
            except av.error.InvalidDataError:
                pictures = []
                self._damage.count(broken=True)
            for picture in pictures:
                self._hand_over(picture, monotonic_s, unix_s, rate)
                fruitful_s = now[0]
            self._listen()
            if now[0] > fruitful_s + self._settings.stall_timeout_s:
                raise SourceError("timeout", f"{self._url} sends video that cannot be decoded")

    def _hand_over(self, picture: av.VideoFrame, monotonic_s: float, unix_s: float, rate: float | None) -> None:
        """Leave a picture in a free slot; drop it where the reader is late."""
        self._check_size(picture.width, picture.height)
        frozen = self._frozen.look(picture, monotonic_s)
        self._damage.count(picture.is_corrupt)
        number, self._number = self._number, self._number + 1
        self._listen()
        if not self._free and not self._late and select.select((self._channel,), (), (), SLOT_WAIT_S)[0]:
            self._listen()
        self._late = not self._free
        if self._late:
            return
        image = self._convert(picture)
        slot = self._free.pop()
        self._ring.write(slot, image)
        self._channel.send(
            Picture(
                slot=slot,
                width=image.shape[1],
                height=image.shape[0],
                number=number,
                pts=picture.pts,
                time_base=_ratio(picture.time_base),
                monotonic_s=monotonic_s,
                unix_s=unix_s,
                frame_rate=rate,
                frozen=frozen,
                damaged=self._damage.most,
            ).pack()
        )

    def _listen(self) -> None:
        """Take back the slots that were read. Raises _Stop when the reader has closed its end."""
        with contextlib.suppress(BlockingIOError):
            while slots := self._channel.recv(SLOTS, socket.MSG_DONTWAIT):
                self._free.update(slots)
            raise _Stop

    def _check_size(self, width: int, height: int) -> None:
        most = self._settings.max_pixels
        if width * height > most:
            what = f"{self._url} sends pictures of {width}x{height}, {width * height / 1e6:.1f} megapixels"
            raise SourceError("resolution_too_high", f"{what}; {most / 1e6:.1f} are allowed: choose a smaller stream")


def _ratio(time_base: Fraction | None) -> tuple[int, int]:
    return (0, 0) if time_base is None else (time_base.numerator, time_base.denominator)
