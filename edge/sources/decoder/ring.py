"""`PictureRing`: the slots of shared memory through which a decoder's pictures come."""

import fcntl
import mmap
import os
from typing import Self

import numpy as np

from edge.arrays import U8

SLOTS = 4
"""Pictures under way; with none free the decoder drops pictures until its reader has caught up."""


class PictureRing:
    """`SLOTS` BGR pictures of at most `max_pixels` each. Memory is used only as far as pictures have touched it."""

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

    def write(self, slot: int, image: U8) -> None:
        """Put a picture (H, W, 3) into a slot."""
        np.copyto(self._view(slot, image.shape[1], image.shape[0]), image)

    def read(self, slot: int, width: int, height: int) -> U8:
        """A copy (height, width, 3) of the picture in a slot. Raises ValueError where no slot can hold such a one."""
        return self._view(slot, width, height).copy()

    def close(self) -> None:
        """Unmap the memory; it is freed when the other side has done so too."""
        self._memory.close()

    def _view(self, slot: int, width: int, height: int) -> U8:
        size = width * height * 3
        if not (0 <= slot < SLOTS and 0 < size <= self._slot_bytes):
            raise ValueError(f"no slot {slot} for a picture of {width}x{height}; slots hold {self._slot_bytes} bytes")
        view: U8 = np.frombuffer(self._memory, np.uint8, size, slot * self._slot_bytes).reshape(height, width, 3)
        return view


def _slot_bytes(max_pixels: int) -> int:
    """Whole pages, so that slots share none."""
    return -(-max_pixels * 3 // mmap.PAGESIZE) * mmap.PAGESIZE
