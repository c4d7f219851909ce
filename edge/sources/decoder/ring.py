"""The memory through which pictures or packets come, `PictureRing`, and a decoder's way to its reader, `Outlet`."""

import contextlib
import fcntl
import math
import mmap
import os
import select
import socket
from typing import Self

import numpy as np

from edge.arrays import U8
from edge.sources.decoder.messages import Format, Note, Packet, Picture, Waiting

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


SLOT_WAIT_S = 0.5
"""How long a picture waits for a free slot, unless the reader is known to be late: a burst shall lose nothing."""


class Stop(Exception):
    """The reader has closed its end."""


class Outlet:
    """The decoder's end of the channel. All methods raise `Stop` where the reader has closed its own."""

    def __init__(self, channel: socket.socket, ring: PictureRing) -> None:
        self._channel, self._ring = channel, ring
        self._free = set(range(SLOTS))
        self._late = False

    def listen(self) -> None:
        """Take back the slots that were read."""
        with contextlib.suppress(BlockingIOError):
            while slots := self._channel.recv(SLOTS, socket.MSG_DONTWAIT):
                self._free.update(slots)
            raise Stop

    def slot_for_picture(self) -> int | None:
        """A free slot; None where the reader is late and the picture has to be dropped."""
        self.listen()
        if not self._free and not self._late and select.select((self._channel,), (), (), SLOT_WAIT_S)[0]:
            self.listen()
        self._late = not self._free
        return None if self._late else self._free.pop()

    def slot_for_packet(self) -> int:
        """A free slot, however long it takes: a packet that is left out would spoil all pictures to the next key."""
        self.listen()
        while not self._free:
            select.select((self._channel,), (), ())
            self.listen()
        return self._free.pop()

    def fill(self, slot: int, array: U8) -> None:
        """Put a picture or a packet into a slot, to be announced by `send`."""
        self._ring.write(slot, array)

    def send(self, message: Picture | Packet | Format | Note | Waiting) -> None:
        """Tell the reader."""
        self._channel.send(message.pack())
