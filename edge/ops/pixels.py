"""A picture's pixels as they were decoded: BGR or NV12 on the host, or NV12 that never left the GPU.

`Ops.letterbox` takes all of them as they are. Whoever draws on a picture or shows it wants BGR on the host: `as_bgr`.
"""

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np

from edge.arrays import U8
from engines.device import Event, GpuArray, GpuDevice


@dataclass(frozen=True, slots=True)
class Colours:
    """How NV12 becomes BGR: ITU-R's coefficients in 20 bit fixed point, so that every processor rounds alike."""

    name: str
    offset: int
    """Luma of black."""
    luma: int
    red_v: int
    green_u: int
    green_v: int
    blue_u: int

    @property
    def coefficients(self) -> tuple[int, int, int, int, int, int]:
        """In the order of the fields."""
        return self.offset, self.luma, self.red_v, self.green_u, self.green_v, self.blue_u


BT601 = Colours("BT.601", 16, 1220542, 1673527, -409993, -852492, 2116026)  # OpenCV's numbers
BT601_FULL = Colours("BT.601, full range", 0, 1 << 20, 1470104, -360853, -748826, 1858077)
BT709 = Colours("BT.709", 16, 1220945, 1879825, -223607, -558796, 2215014)
BT709_FULL = Colours("BT.709, full range", 0, 1 << 20, 1651297, -196424, -490864, 1945738)
COLOURS = (BT601, BT601_FULL, BT709, BT709_FULL)


@dataclass(frozen=True, slots=True)
class Nv12:
    """An NV12 picture on the host, with even sides, in other colours than BT601."""

    planes: U8  # (height * 3/2, width), C-contiguous
    colours: Colours


@dataclass(frozen=True, slots=True)
class Surface:
    """An NV12 picture in a GPU's memory, with even sides. The memory is its own for as long as this object lives."""

    luma: GpuArray  # (height, pitch) uint8, of which the first `width` columns are the picture
    chroma: GpuArray  # (height / 2, pitch) uint8, U and V in turn
    width: int
    ready: Event
    """The pixels are there; work on a cuda_stream has to wait for it."""
    device: GpuDevice
    owner: object = None
    """Whatever has to live so that the memory is not used again."""
    colours: Colours = BT601

    @property
    def height(self) -> int:
        """Pixels."""
        return self.luma.shape[0]

    def download(self) -> U8:
        """The picture on the host: (height * 3/2, width) NV12. Waits for the GPU; may be called on any thread."""
        self.device.make_current()
        cuda_stream = self.device.cuda_stream()
        cuda_stream.wait(self.ready)
        planes = np.empty((self.height * 3 // 2, self.luma.shape[1]), np.uint8)
        self.device.copy(self.luma, planes[: self.height], cuda_stream)
        self.device.copy(self.chroma, planes[self.height :], cuda_stream)
        cuda_stream.synchronize()
        return np.ascontiguousarray(planes[:, : self.width])


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A picture on the host that is on the device, too, or on its way; see edge.ops.uploads."""

    image: U8  # BGR or NV12, as Pixels have it; in page-locked memory
    there: GpuArray  # its bytes
    ready: Event
    """They are there; work on a cuda_stream has to wait for it."""
    colours: Colours


Pixels: TypeAlias = U8 | Nv12 | Uploaded | Surface
"""(height, width, 3) BGR or (height * 3/2, width) NV12 with even sides in BT601, C-contiguous, on the host; or NV12 in
other colours; or either on its way to the device; or a Surface."""


def coloured(nv12: U8, colours: Colours) -> U8 | Nv12:
    """An NV12 picture as `Pixels` have it."""
    return nv12 if colours is BT601 else Nv12(nv12, colours)


def on_host(pixels: Pixels) -> tuple[U8, Colours]:
    """BGR or NV12 on the host, and how the latter becomes BGR."""
    if isinstance(pixels, Surface):
        return pixels.download(), pixels.colours
    if isinstance(pixels, Uploaded):
        return pixels.image, pixels.colours
    return (pixels.planes, pixels.colours) if isinstance(pixels, Nv12) else (pixels, BT601)


def size_of(pixels: Pixels) -> tuple[int, int]:
    """(width, height) of the picture."""
    if isinstance(pixels, Surface):
        return pixels.width, pixels.height
    image, _ = on_host(pixels)
    height, width = image.shape[:2]
    return (width, height) if image.ndim == 3 else (width, height * 2 // 3)


def as_bgr(pixels: Pixels) -> U8:
    """(height, width, 3) BGR on the host: the picture itself where it is that already, else a new array."""
    image, colours = on_host(pixels)
    return image if image.ndim == 3 else nv12_to_bgr(image, colours)


def nv12_to_bgr(nv12: U8, colours: Colours, out: U8 | None = None) -> U8:
    """(height, width, 3) BGR of (height * 3/2, width) NV12; `out`, if given."""
    if colours is BT601:
        return np.asarray(cv2.cvtColor(nv12, cv2.COLOR_YUV2BGR_NV12, dst=out), np.uint8)
    height, width = nv12.shape[0] * 2 // 3, nv12.shape[1]
    bgr = np.empty((height, width, 3), np.uint8) if out is None else out
    offset, luma, red_v, green_u, green_v, blue_u = colours.coefficients
    y = np.maximum(nv12[:height].astype(np.int32) - offset, 0) * luma + (1 << 19)
    u, v = nv12[height:].reshape(height // 2, 1, width // 2, 1, 2).astype(np.int32).transpose(4, 0, 1, 2, 3) - 128
    for channel, chroma in enumerate((blue_u * u, green_u * u + green_v * v, red_v * v)):
        wide = np.broadcast_to(chroma, (height // 2, 2, width // 2, 2)).reshape(height, width)
        np.clip((y + wide) >> 20, 0, 255, out=bgr[:, :, channel], casting="unsafe")
    return bgr
