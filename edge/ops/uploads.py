"""Pictures on their way to a GPU, sent by the threads that read them, so that the device thread touches no pixel.

A picture is copied into page-locked memory, from where the GPU fetches it on a cuda_stream of its own, beside all that
computes. Memory is used again when nobody looks at the picture any more; after some frames nothing is allocated.
"""

import ctypes
import threading
import weakref
from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from edge.arrays import U8
from edge.ops.pixels import Pixels, Surface, Uploaded, on_host
from engines.device import Event, GpuArray, GpuDevice


@dataclass(slots=True)
class _Slot:
    """Room for one picture, on the host and on the device."""

    host: U8  # (bytes,) page-locked
    there: GpuArray  # (bytes,)
    sent: Event | None = None


class Uploads:
    """May be called on any thread."""

    def __init__(self, device: GpuDevice) -> None:
        self._device, self._cuda_stream = device, device.cuda_stream()
        self._lock = threading.Lock()
        self._free: dict[int, list[_Slot]] = defaultdict(list)  # by size

    def __call__(self, pixels: Pixels) -> Pixels:
        """The same picture, also on the device or soon; one that is there already stays as it is."""
        if isinstance(pixels, Surface | Uploaded):
            return pixels
        image, colours = on_host(pixels)
        self._device.make_current()
        with self._lock:
            free = self._free[image.nbytes]
            slot = free.pop() if free else None
        if slot is None:
            size = (image.nbytes,)
            slot = _Slot(self._device.host_empty(size, np.uint8), self._device.empty(size, np.uint8))
        if slot.sent is not None:
            slot.sent.synchronize()  # of a picture that was dropped on its way, the copy may still run
        lease = (ctypes.c_uint8 * image.nbytes).from_address(slot.host.ctypes.data)
        weakref.finalize(lease, self._give_back, slot).atexit = False  # when the last view of the picture is gone
        kept: U8 = np.ndarray(image.shape, np.uint8, memoryview(lease))
        np.copyto(kept, image)
        self._device.copy(slot.host, slot.there, self._cuda_stream)
        slot.sent = self._cuda_stream.record()
        return Uploaded(kept, slot.there, slot.sent, colours)

    def _give_back(self, slot: _Slot) -> None:
        self._free[len(slot.host)].append(slot)  # without the lock, which this very thread may hold: it is one step
