"""Annotated pictures into a video file."""

from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import av

from edge.arrays import U8

CODECS = {".mp4": ("libopenh264", "libx264", "mpeg4"), ".webm": ("libvpx",)}
"""Container -> encoders, the first that this machine's FFmpeg has. Browsers play H.264 and VP8, not MPEG-4 part 2.

We bring no encoder along; PyAV's wheels have libx264. libopenh264 and libvpx are under BSD, mpeg4 is FFmpeg's own.
"""
_OPTIONS: dict[str, dict[str, object]] = {
    "libx264": {"preset": "veryfast", "crf": "23", "bf": "0"},
    "libvpx": {"deadline": "realtime", "cpu-used": "6"},
}
_MUXING = {".mp4": {"movflags": "+faststart"}}
"""The index in front: a browser shows the first picture before it has the last one."""
_KEY_EVERY = 50
"""Pictures; what a player can jump to."""
_TICK = Fraction(1, 1000)


class VideoWriter:
    """Writes frames with their own times; the file is complete after `close` or the end of the `with` block."""

    def __init__(self, path: Path) -> None:
        """Raises ValueError for a name that ends in neither .mp4 nor .webm, OSError where it cannot be written."""
        suffix = path.suffix.lower()
        if suffix not in CODECS:
            raise ValueError(f"a video's name ends in {' or '.join(CODECS)}, got {path.name!r}")
        self._codec = next((name for name in CODECS[suffix] if name in av.codecs_available), CODECS[suffix][-1])
        path.open("wb").close()  # now, where it can be refused; FFmpeg opens it with the first picture
        self._container = av.open(f"file:{path}", "w", format=suffix[1:], options=_MUXING.get(suffix, {}))
        self._stream: av.VideoStream | None = None
        self._first_s = 0.0
        self._last_tick = -1

    def write(self, image: U8, time_s: float) -> None:
        """Append one picture (height, width, 3) BGR; pictures of another size than the first are scaled to it."""
        if self._stream is None:
            self._stream = self._open(image)
            self._first_s = time_s
        frame = av.VideoFrame.from_ndarray(image, format="bgr24")
        frame = frame.reformat(self._stream.width, self._stream.height, "yuv420p")
        self._last_tick = max(self._last_tick + 1, round((time_s - self._first_s) / _TICK))
        frame.pts, frame.time_base = self._last_tick, _TICK
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Write what the encoder still holds."""
        if self._stream is not None:
            self._container.mux(self._stream.encode())
        self._container.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self, image: U8) -> av.VideoStream:
        stream = cast(av.VideoStream, self._container.add_stream(self._codec, rate=Fraction(1000)))
        stream.height, stream.width = (side - side % 2 for side in image.shape[:2])  # 4:2:0 wants even sides
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = _TICK
        stream.codec_context.gop_size = _KEY_EVERY
        stream.options = _OPTIONS.get(self._codec, {})
        if "crf" not in stream.options:
            stream.bit_rate = 6 * stream.height * stream.width  # about 5.5 Mbit/s at 720p
        return stream
