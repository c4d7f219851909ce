"""`VideoFile`: all that a file holds, and whether that is all that it promises. `RealTime`: at its own pace."""

import re
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import av
from av.codec.hwaccel import HWAccel

from edge.sources.base import Frame, Source, SourceError, SourceState, StateCell, StateObserver
from edge.sources.clock import SourceClock
from edge.sources.picture import BgrConverter, Nv12Converter, film_of
from edge.sources.settings import SourceSettings

OPTIONS = {
    "protocol_whitelist": "file",  # a play list shall not reach the network
    "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,h264,hevc,m4v,ivf",
}
DEFAULT_RATE = 25.0
"""Frames per second where a file names neither a rate nor time stamps."""
ENDS_EARLY = "ends_early"
"""Code of the state of a file that has ended before it should have."""
_PROMISED_BY_DURATION = ("matroska", "webm", "flv", "asf", "ogg")
"""Formats that say beforehand how long they are; MPEG-TS and raw streams are as long as they are."""
_TAG = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")


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
        rate = self._video.average_rate
        self.frame_rate: float | None = float(rate) if rate else None
        self.frame_count: int | None = self._video.frames or None

    @property
    def state(self) -> SourceState:
        return self._cell.now

    def __iter__(self) -> Iterator[Frame]:
        clock, count = SourceClock(1 / (self.frame_rate or DEFAULT_RATE)), 0
        stamp_s = first_s = last_s = None
        promise = _Promise(self._path, self._container, self._video)
        try:
            for picture in self._pictures():
                stamp_s = None
                if picture.pts is not None and picture.time_base is not None:
                    stamp_s = last_s = float(picture.pts * picture.time_base)
                    first_s = stamp_s if first_s is None else first_s
                self._cell.running()
                time_s = clock.place(stamp_s)
                yield Frame(self._convert(picture), count, time_s, time.time(), "media", picture.pts)
                count += 1
            if not self._cell.closed.is_set() and (broken := promise.broken(count, first_s, last_s)) is not None:
                if not count:
                    raise self._cell.failed(SourceError("no_video", broken))
                self._cell.ended(ENDS_EARLY, broken)
        finally:
            self._container.close()
            self._cell.ended()

    def close(self) -> None:
        self._cell.closed.set()  # the iterating thread frees the decoder; it may be using it now

    def _open(self, threads: int, hwaccel: HWAccel | None) -> tuple[av.container.InputContainer, av.VideoStream]:
        try:
            container = av.open(f"file:{self._path}", options=OPTIONS, metadata_errors="replace", hwaccel=hwaccel)
            video = film_of(container)
            if video is None or getattr(video, "codec_context", None) is None:
                container.close()
                raise ValueError("no video stream") if video is None else av.error.DecoderNotFoundError(0, "")
        except (av.error.FFmpegError, OSError, ValueError) as error:
            failure = _error(error, self._path)
        else:
            video.thread_type, video.codec_context.thread_count = "AUTO", threads
            return container, video
        raise self._cell.failed(failure)

    def _pictures(self) -> Iterator[av.VideoFrame]:
        """Decoded pictures until the end or `close`; packets that cannot be decoded are skipped, as players do."""
        packets = self._container.demux(self._video)
        while not self._cell.closed.is_set():
            try:
                pictures = next(packets).decode()
            except StopIteration:
                return
            except av.error.InvalidDataError:
                continue
            except (av.error.FFmpegError, OSError):
                return  # a disk that cannot be read on; what is missing is counted
            for picture in pictures:
                if self._cell.closed.is_set():
                    return
                yield picture


class _Promise:
    """How many pictures a file says that it has, held against what came of it."""

    def __init__(self, path: Path, container: av.container.InputContainer, video: av.VideoStream) -> None:
        self._path = path
        self._step_s = float(1 / video.average_rate) if video.average_rate else 1 / DEFAULT_RATE
        size, entries = path.stat().st_size, video.index_entries
        names = container.format.name.split(",")
        self._total = video.frames
        self._cut = any(entry.pos + entry.size > size for entry in entries)
        self._duration_s: float | None = None
        self._slack_s = 0.0
        self._from_zero = False  # whether the duration counts from stamp zero, else from the first picture
        if "avi" in names and video.time_base:  # its index goes down with a cut, the count in its head does not
            self._duration_s = float(self._total * video.time_base)  # counts the times at which nothing is new, too
        elif not self._total and set(names) & set(_PROMISED_BY_DURATION):
            self._duration_s, self._slack_s = self._by_duration(container, video)

    def broken(self, count: int, first_s: float | None, last_s: float | None) -> str | None:
        """What is to be said where fewer pictures came than were promised; None where all is well.

        `count`: pictures that came, with stamps from `first_s` to `last_s`.
        """
        if not count:
            promised = f"of the {self._total} pictures that it announces none" if self._total else "no picture in it"
            return f"{self._path}: {promised} can be read; the file is cut off or damaged"
        total = max(self._total, count)
        if self._duration_s is not None and first_s is not None and last_s is not None:
            step_s = (last_s - first_s) / (count - 1) if count > 1 else self._step_s
            missing_s = self._duration_s - (last_s - (0.0 if self._from_zero else first_s) + step_s)
            if missing_s <= max(self._slack_s, 2.5 * step_s):
                return None
            total = count + round(missing_s / step_s)
        elif not self._cut:
            return None
        missing = f"; {total - count} are missing" if total > count else ", the last of them not whole"
        return f"{self._path} ends early, as if cut off: {count} of {total} pictures could be read{missing}"

    def _by_duration(self, container: av.container.InputContainer, video: av.VideoStream) -> tuple[float | None, float]:
        """Seconds of video that are announced, None where none are, and by how much that may be wrong."""
        tag = _TAG.fullmatch(next((text for name, text in video.metadata.items() if name.upper() == "DURATION"), ""))
        if tag is not None:
            self._from_zero = True
            return 3600 * int(tag[1]) + 60 * int(tag[2]) + float(tag[3]), 0.1
        if container.duration is None:
            return None, 0.0
        duration_s = container.duration / 1e6
        with_sound = len(container.streams) > 1  # which may go on behind the pictures
        return duration_s, max(5.0, 0.05 * duration_s) if with_sound else 0.2


def _error(error: Exception, path: Path) -> SourceError:
    """The `SourceError` of a file that could not be opened."""
    if isinstance(error, FileNotFoundError):
        return SourceError("not_found", f"{path}: no such file")
    if isinstance(error, IsADirectoryError | PermissionError):
        return SourceError("not_found", f"{path} is no file that can be read")
    if isinstance(error, av.error.DecoderNotFoundError):
        return SourceError("codec_unsupported", f"{path} holds a codec that cannot be decoded")
    return SourceError("no_video", f"{path} is no video that can be read: cut off, damaged or of another kind")


class RealTime:
    """The frames of `source`, each given out when its time has come.

    A `patient` one waits for whoever is too slow and plays slower; any other drops frames like a camera.
    """

    def __init__(self, source: Source, patient: bool = False) -> None:
        self.live = not patient
        self.frame_rate, self.frame_count = source.frame_rate, source.frame_count
        self._source = source
        self._closed = threading.Event()

    @property
    def state(self) -> SourceState:
        return self._source.state

    def __iter__(self) -> Iterator[Frame]:
        begin_s: float | None = None
        for frame in self._source:
            now_s = time.monotonic()
            begin_s = now_s - frame.time_s if begin_s is None else begin_s
            if not self.live:  # what was lost by waiting is not caught up
                begin_s = max(begin_s, now_s - frame.time_s)
            if self._closed.wait(max(0.0, begin_s + frame.time_s - now_s)):
                return
            yield replace(frame, captured_at_s=time.time())

    def close(self) -> None:
        self._closed.set()
        self._source.close()
