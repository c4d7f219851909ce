"""The way of inputs from the host to a device that works on its own: one page-locked buffer, used round and round."""

from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.device import CudaStream, Event, GpuArray, GpuDevice

_ALIGNMENT = 256
"""Bytes; every block starts at a multiple of it."""


class StagingRing:
    """Page-locked memory and as much on the device, for one cuda_stream.

    reserve, fill `host`, `send`: what was sent may be used, at `pointer`, by work that is enqueued on the same
    cuda_stream before the next `reserve`. The host waits only where it laps the device. Grows when more is wanted than
    ever before, so after the first ticks nothing is allocated.
    """

    def __init__(self, device: GpuDevice, cuda_stream: CudaStream, nbytes: int = 1 << 20) -> None:
        self._device, self._cuda_stream = device, cuda_stream
        self._sent: deque[tuple[int, int, Event]] = deque()  # start, end, when the copy is done; oldest first
        self._start = self._end = 0
        self._allocate(nbytes)

    @property
    def host(self) -> npt.NDArray[np.uint8]:
        """The block reserved last, to be filled."""
        return self._buffer[self._start : self._end]

    @property
    def pointer(self) -> int:
        """Where that block's contents will be on the device."""
        return self._memory.pointer + self._start

    def reserve(self, nbytes: int) -> None:
        """Make `host` and `pointer` a block of at least `nbytes`."""
        size = aligned(nbytes)
        if 2 * size > len(self._buffer):  # two blocks must fit, or each would wait for the one before
            self._cuda_stream.synchronize()  # the old memory goes
            self._sent.clear()
            self._allocate(2 * size)
        self._start = self._end if self._end + size <= len(self._buffer) else 0
        self._end = self._start + size
        while self._sent and self._sent[0][2].reached:
            self._sent.popleft()  # nobody has to wait for these, nor look at them
        while any(start < self._end and self._start < end for start, end, _ in self._sent):
            self._sent.popleft()[2].synchronize()

    def put(self, offset: int, array: npt.NDArray[Any]) -> int:
        """Copy `array`, of any layout, to `offset` bytes from the block's start; returns its address on the device."""
        np.copyto(self.host[offset : offset + array.nbytes].view(array.dtype).reshape(array.shape), array)
        return self.pointer + offset

    def send(self) -> None:
        """Enqueue the copy of the block."""
        self._device.copy(self.host, self._memory[self._start : self._end], self._cuda_stream)
        self._sent.append((self._start, self._end, self._cuda_stream.record()))

    def _allocate(self, nbytes: int) -> None:
        self._buffer: npt.NDArray[np.uint8] = self._device.host_empty((nbytes,), np.uint8)
        self._memory: GpuArray = self._device.empty((nbytes,), np.uint8)
        self._start = self._end = 0


def aligned(nbytes: int) -> int:
    """`nbytes`, rounded up so that whatever comes behind it is aligned."""
    return -(-nbytes // _ALIGNMENT) * _ALIGNMENT
