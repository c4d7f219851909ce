"""History: the recent messages of one stream, for those who come back, look back or export. Replay reads it again."""

from collections import deque
from collections.abc import Iterable, Iterator

from service.tracks.messages import Published
from service.tracks.views import Viewer


class History:
    """Ring of messages with consecutive `seq`, bounded in number and in bytes; the newest is always kept."""

    def __init__(self, messages: int, size_bytes: int) -> None:
        self._ring: deque[Published] = deque()
        self._messages = messages
        self._size_bytes = size_bytes
        self._held_bytes = 0

    def __len__(self) -> int:
        return len(self._ring)

    def append(self, message: Published) -> None:
        """Add the newest message. One whose `seq` does not follow starts the history anew."""
        if self._ring and message.seq != self._ring[-1].seq + 1:
            self.clear()
        self._ring.append(message)
        self._held_bytes += len(message.encoded)
        while len(self._ring) > 1 and (len(self._ring) > self._messages or self._held_bytes > self._size_bytes):
            self._held_bytes -= len(self._ring.popleft().encoded)

    def clear(self) -> None:
        """Forget all messages."""
        self._ring.clear()
        self._held_bytes = 0

    def refill(self, older: Iterable[Published]) -> None:
        """Begin earlier, with what was kept elsewhere: consecutive messages, oldest first, that lead up to these."""
        for message in reversed(list(older)):
            if self._ring and message.seq != self._ring[0].seq - 1:
                continue
            if len(self._ring) >= self._messages or self._held_bytes + len(message.encoded) > self._size_bytes:
                return
            self._ring.appendleft(message)
            self._held_bytes += len(message.encoded)

    def last(self, count: int) -> list[Published]:
        """The newest `count` messages, oldest first."""
        return list(self._ring)[-count:] if count > 0 else []

    def between(self, from_s: float, to_s: float) -> list[Published]:
        """Messages captured in [from_s, to_s], Unix seconds."""
        return [message for message in self._ring if from_s <= message.ts_capture <= to_s]

    def at_or_after(self, seq: int) -> Published | None:
        """The first message whose number is at least `seq`; the oldest one where the stream began anew since."""
        if not self._ring:
            return None
        index = max(0, seq - self._ring[0].seq)
        if index > len(self._ring):  # so high a number was given in an earlier run of the stream
            index = 0
        return self._ring[index] if index < len(self._ring) else None


class Replay:
    """Reads a history from a given number on, while it grows and forgets."""

    def __init__(self, history: History, from_seq: int, viewer: Viewer) -> None:
        self._history = history
        self._viewer = viewer
        self._next = from_seq
        self.gap = 0
        """Messages that were forgotten before they could be read, since the last one that `next` returned."""

    def __iter__(self) -> Iterator[Published]:
        return self

    def __next__(self) -> Published:
        while (message := self._history.at_or_after(self._next)) is not None:
            self.gap += max(0, message.seq - self._next)
            self._next = message.seq + 1
            shown = self._viewer.show(message)
            if shown is not None:
                return shown
        raise StopIteration
