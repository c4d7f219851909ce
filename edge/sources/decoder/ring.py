"""`PictureRing`: the slots of shared memory through which a decoder's pictures or packets come."""

import fcntl
import math
import mmap
import os
from typing import Self

import numpy as np

from edge.arrays import U8

SLOTS = 4
"""Pictures under way; with none free the decoder drops pictures until its reader has caught up."""


class PictureRing:
    """`SLOTS` pictures of at most `max_pixels` each. Memory is used only as far as pictures have touched it."""

    def __init__(self, fd: int, max_pixels: int) -> None:
        """Map the memory behind `fd`, which may be closed afterwards."""
        self._slot_bytes = _slot_bytes(max_pixels)
        self._memory = mmap.mmap(fd, SLOTS * self._slot_bytes)

    @classmethod
    def create(cls, max_pixels: int) -> tuple[Self, int]:
        """A new ring, and the descriptor by which another process maps the same; its owner closes it."""
        fd = os.memfd_create("pictures", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(fd, SLOTS * _slot_bytes(max_pixels))
            # Nobody can take away the memory that the other side is reading.
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
            return cls(fd, max_pixels), fd
        except BaseException:
            os.close(fd)
            raise

    def write(self, slot: int, array: U8) -> None:
        """Put an array of any shape into a slot. Raises ValueError where it is empty or too large."""
        np.copyto(self._view(slot, array.shape), array)

    def read(self, slot: int, width: int, height: int, nv12: bool = False) -> U8:
        """A copy of the picture in a slot: (height, width, 3) BGR, or (height * 3/2, width) NV12.

        Raises ValueError where no slot can hold such a one, or NV12 shall have odd sides.
        """
        if nv12 and (width % 2 or height % 2):
            raise ValueError(f"NV12 has even sides, not {width}x{height}")
        return self._view(slot, (height * 3 // 2, width) if nv12 else (height, width, 3)).copy()

    def read_bytes(self, slot: int, nbytes: int) -> bytes:
        """A copy of the first `nbytes` of a slot. Raises ValueError where it does not have so many."""
        return self._view(slot, (nbytes,)).tobytes()

    def close(self) -> None:
        """Unmap the memory; it is freed when the other side has done so too."""
        self._memory.close()

    def _view(self, slot: int, shape: tuple[int, ...]) -> U8:
        size = math.prod(shape)
        if not (0 <= slot < SLOTS and 0 < size <= self._slot_bytes):
            raise ValueError(f"no slot {slot} for {shape} bytes; slots hold {self._slot_bytes}")
        view: U8 = np.frombuffer(self._memory, np.uint8, size, slot * self._slot_bytes).reshape(shape)
        return view


def _slot_bytes(max_pixels: int) -> int:
    """Whole pages, so that slots share none."""
    return -(-max_pixels * 3 // mmap.PAGESIZE) * mmap.PAGESIZE
