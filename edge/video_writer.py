"""Annotated pictures into a video file."""

from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import av

from edge.arrays import U8

CODECS = {".mp4": "mpeg4", ".webm": "libvpx"}
"""Container -> encoder. Neither is under the GPL: MPEG-4 part 2 is FFmpeg's own (LGPL), libvpx is under BSD."""
_TICK = Fraction(1, 1000)


class VideoWriter:
    """Writes frames with their own times; the file is complete after `close` or the end of the `with` block."""

    def __init__(self, path: Path) -> None:
        """Raises ValueError for a name that ends in neither .mp4 nor .webm, OSError where it cannot be written."""
        if path.suffix.lower() not in CODECS:
            raise ValueError(f"a video's name ends in {' or '.join(CODECS)}, got {path.name!r}")
        self._codec = CODECS[path.suffix.lower()]
        self._file = path.open("wb")  # now, where it can be refused; FFmpeg would open it with the first picture
        self._container = av.open(self._file, "w", format=path.suffix.lower()[1:])
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
        self._file.close()

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
        stream.bit_rate = 6 * stream.height * stream.width  # about 5.5 Mbit/s at 720p
        if self._codec == "libvpx":
            stream.options = {"deadline": "realtime", "cpu-used": "6"}
        return stream
