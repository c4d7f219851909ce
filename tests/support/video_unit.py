"""A stand-in for the GPU's video unit: FFmpeg decodes on the CPU, and what comes out looks as if it lay on a GPU.

Its memory is the host's, which the stand-in for the driver takes for the device's; rows are `PITCH` bytes apart, and
the chroma lies somewhere else, as behind a picture whose height the codec rounds up. Memory whose picture is gone is
overwritten at once: who reads it too late shall notice.
"""

from types import SimpleNamespace

import av
import numpy as np
from av.codec.hwaccel import HWAccel

from edge.sources import hardware

PITCH = 512
open_on_cpu = hardware.open_decoder


class Plane:
    def __init__(self, rows: np.ndarray) -> None:
        self._memory = np.full((len(rows), PITCH), 0xEE, np.uint8)
        self._memory[:, : rows.shape[1]] = rows
        self.buffer_ptr, self.line_size = self._memory.ctypes.data, PITCH

    def __del__(self) -> None:
        self._memory.fill(0xDD)


class GpuPicture:
    """What the pipeline looks at of an `av.VideoFrame` in CUDA memory."""

    def __init__(self, picture: av.VideoFrame, layout: str = "nv12") -> None:
        self.format, self.sw_format = SimpleNamespace(name="cuda"), SimpleNamespace(name=layout)
        self.width, self.height, self.pts = picture.width, picture.height, picture.pts
        self.color_range, self.colorspace = picture.color_range, picture.colorspace
        nv12 = picture.to_ndarray(format="nv12")
        self.planes = Plane(nv12[: self.height]), Plane(nv12[self.height :])


class VideoUnit:
    """Stands in for `open_decoder`. `takes`: the codecs; `layout`: of what it hands out; `opened`: what for, so far."""

    def __init__(self, takes: tuple[str, ...] = ("h264",), layout: str = "nv12") -> None:
        self.takes, self.layout = takes, layout
        self.opened: list[tuple[str, HWAccel]] = []

    def __call__(self, codec: str, accelerator: HWAccel) -> "UnitDecoder":
        self.opened.append((codec, accelerator))
        return UnitDecoder(self, codec)


class UnitDecoder:
    def __init__(self, unit: VideoUnit, codec: str) -> None:
        self._unit, self._decoder = unit, open_on_cpu(codec)
        self.name, self.profile, self.extradata = codec, "High", b""

    def decode(self, packet: av.Packet) -> list[object]:
        if self.extradata:
            self._decoder.extradata, self.extradata = self.extradata, b""
        pictures = self._decoder.decode(packet)
        if self.name not in self._unit.takes:
            return list(pictures)  # as FFmpeg does when the unit refuses: it decodes by itself
        return [GpuPicture(picture, self._unit.layout) for picture in pictures]

    @property
    def framerate(self) -> object:
        return self._decoder.framerate
