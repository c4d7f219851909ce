"""`VideoFile`: every frame of a video file, in order."""

import time
from collections.abc import Iterator
from pathlib import Path

import av
from av.codec.hwaccel import HWAccel

from edge.sources.base import Frame, SourceState, StateObserver
from edge.sources.picture import BgrConverter, Nv12Converter
from edge.sources.settings import SourceSettings
from edge.sources.state import StateCell
from edge.sources.timeline import STEP_S
from edge.sources.video_error import file_error

OPTIONS = {
    "protocol_whitelist": "file",  # a play list shall not reach the network
    "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,h264,hevc,m4v,ivf",
}
DEFAULT_RATE = 25.0
"""Frames per second where a file names neither a rate nor time stamps."""


class VideoFile:
    """Frames of a file without loss. Opening it may raise SourceError not_found, no_video or codec_unsupported."""

    live = False

    def __init__(
        self,
        path: Path | str,
        settings: SourceSettings | None = None,
        on_state: StateObserver | None = None,
        hwaccel: HWAccel | None = None,
    ) -> None:
        """`hwaccel`: what decodes in FFmpeg's stead where it can; pictures are NV12 then."""
        self._path = Path(path)
        self._cell = StateCell(on_state)
        self._convert = BgrConverter() if hwaccel is None else Nv12Converter()
        self._container, self._video = self._open((settings or SourceSettings()).decoder_threads, hwaccel)
        self.frame_rate: float | None = float(self._video.average_rate) if self._video.average_rate else None
        self.frame_count: int | None = self._video.frames or None

    @property
    def state(self) -> SourceState:
        return self._cell.now

    def __iter__(self) -> Iterator[Frame]:
        last_s, first_s = -STEP_S, None
        try:
            for index, picture in enumerate(self._pictures()):
                time_s = last_s + 1 / (self.frame_rate or DEFAULT_RATE) if index else 0.0
                if picture.pts is not None and picture.time_base is not None:
                    stamp_s = float(picture.pts * picture.time_base)
                    first_s = stamp_s - time_s if first_s is None else first_s
                    time_s = stamp_s - first_s
                last_s = max(time_s, last_s + STEP_S)
                self._cell.running()
                yield Frame(self._convert(picture), index, last_s, time.time(), "media", picture.pts)
        finally:
            self._container.close()
            self._cell.ended()

    def close(self) -> None:
        self._cell.closed.set()  # the iterating thread frees the decoder; it may be using it now

    def _open(self, threads: int, hwaccel: HWAccel | None) -> tuple[av.container.InputContainer, av.VideoStream]:
        try:
            container = av.open(f"file:{self._path}", options=OPTIONS, metadata_errors="replace", hwaccel=hwaccel)
            if not container.streams.video or getattr(container.streams.video[0], "codec_context", None) is None:
                codec_missing = bool(container.streams.video)
                container.close()
                raise av.error.DecoderNotFoundError(0, "") if codec_missing else ValueError("no video stream")
        except (av.error.FFmpegError, OSError, ValueError) as error:
            failure = file_error(error, str(self._path))
        else:
            video = container.streams.video[0]
            video.thread_type, video.codec_context.thread_count = "AUTO", threads
            return container, video
        raise self._cell.failed(failure)

    def _pictures(self) -> Iterator[av.VideoFrame]:
        """Decoded pictures until the end or `close`; packets that cannot be decoded are skipped, as players do."""
        for packet in self._container.demux(self._video):
            try:
                pictures = packet.decode()
            except av.error.InvalidDataError:
                continue
            for picture in pictures:
                if self._cell.closed.is_set():
                    return
                yield picture
