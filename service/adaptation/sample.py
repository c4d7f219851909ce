"""Sample: what is kept of streams to learn from: stretches of consecutive pictures, in memory alone and bounded."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Lock

KEPT_SHARE = 0.25
"""Of the memory, for stretches that nothing is learnt from."""
KEPT_EVERY = 4
"""One stretch of so many is kept out of learning, for its whole life."""
LEAST_STRETCHES = 2
"""To learn from, before it is worth a round."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Consecutive pictures of one size."""

    stream_id: str
    number: int
    """Counted from 0, of each stream."""
    pictures: tuple[bytes, ...]
    """As JPEG."""
    size: tuple[int, int]
    """(width, height), pixels."""
    frame_rate: float
    """Pictures per second."""

    @property
    def name(self) -> str:
        """Of no other one in its sample."""
        return f"{self.stream_id}.{self.number:06d}"

    @property
    def kept(self) -> bool:
        """Whether nothing is learnt from it: students are compared on it."""
        return self.number % KEPT_EVERY == KEPT_EVERY - 1

    @property
    def nbytes(self) -> int:
        """Of all pictures."""
        return sum(map(len, self.pictures))


class Sample:
    """The newest stretches, within `most_bytes`. Any thread."""

    def __init__(self, most_bytes: int) -> None:
        kept = int(KEPT_SHARE * most_bytes)
        self._room = {True: kept, False: most_bytes - kept}
        self._stretches: dict[bool, deque[Excerpt]] = {True: deque(), False: deque()}
        self._lock = Lock()

    def add(self, stretch: Excerpt) -> None:
        """Keep it; the oldest of its kind make room. One that is larger than all there is for its kind is left out."""
        room, there = self._room[stretch.kept], self._stretches[stretch.kept]
        with self._lock:
            if stretch.nbytes > room:
                return
            there.append(stretch)
            while sum(one.nbytes for one in there) > room:
                there.popleft()

    @property
    def learnt(self) -> tuple[Excerpt, ...]:
        """Those to learn from, oldest first."""
        with self._lock:
            return tuple(self._stretches[False])

    @property
    def kept(self) -> tuple[Excerpt, ...]:
        """Those to compare on, oldest first."""
        with self._lock:
            return tuple(self._stretches[True])

    @property
    def ready(self) -> bool:
        """Whether there is enough for a round."""
        return len(self.learnt) >= LEAST_STRETCHES and bool(self.kept)

    @property
    def nbytes(self) -> int:
        """Of all pictures."""
        return sum(one.nbytes for one in self)

    def __iter__(self) -> Iterator[Excerpt]:
        return iter((*self.learnt, *self.kept))
