"""A picture's pixels as they were decoded: BGR or NV12 on the host, or NV12 that never left the GPU.

`Ops.letterbox` takes all three as they are. Whoever draws on a picture or shows it wants BGR on the host: `as_bgr`.
"""

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np

from edge.arrays import U8
from engines.device import Event, GpuArray, GpuDevice


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


Pixels: TypeAlias = U8 | Surface
"""(height, width, 3) BGR or (height * 3/2, width) NV12 with even sides, C-contiguous, on the host; or a Surface.

NV12 is read as ITU-R BT.601, video range."""


def size_of(pixels: Pixels) -> tuple[int, int]:
    """(width, height) of the picture."""
    if isinstance(pixels, Surface):
        return pixels.width, pixels.height
    height, width = pixels.shape[:2]
    return (width, height) if pixels.ndim == 3 else (width, height * 2 // 3)


def as_bgr(pixels: Pixels) -> U8:
    """(height, width, 3) BGR on the host: the picture itself where it is that already, else a new array."""
    on_host = pixels.download() if isinstance(pixels, Surface) else pixels
    if on_host.ndim == 3:
        return on_host
    return np.asarray(cv2.cvtColor(on_host, cv2.COLOR_YUV2BGR_NV12), np.uint8)
