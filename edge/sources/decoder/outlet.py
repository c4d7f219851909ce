"""`Outlet`: a decoder's way to its reader: messages, and the free slots of the ring."""

import contextlib
import select
import socket

from edge.arrays import U8
from edge.sources.decoder.messages import Format, Note, Packet, Picture, Waiting
from edge.sources.decoder.ring import SLOTS, PictureRing

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
