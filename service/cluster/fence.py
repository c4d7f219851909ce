"""Fence: what a gateway lets through, so that a client never sees a stream go back."""


class Fence:
    """Remembers the newest (run, seq) of each stream. Owners that were deposed and do not know it yet stay outside.

    The run alone is not enough: a server that hung hands out messages of the present run, many seconds late.
    """

    def __init__(self) -> None:
        self._newest: dict[str, tuple[int, int]] = {}
        self.refused = 0
        """Messages that came too late."""

    def newest(self, stream_id: str) -> tuple[int, int]:
        """The newest (run, seq) that passed or was claimed; (0, 0) for a stream that nobody knows."""
        return self._newest.get(stream_id, (0, 0))

    def passes(self, stream_id: str, run: int, seq: int) -> bool:
        """Whether this message is newer than all before it; it is the newest from now on."""
        newest = self.newest(stream_id)
        if (run, seq) <= newest:
            self.refused += (run, seq) != newest  # who follows one stream and all of them hears it twice
            return False
        self._newest[stream_id] = (run, seq)
        return True

    def claimed(self, stream_id: str, run: int) -> None:
        """The stream has a new owner: nothing of the runs before it passes any more."""
        self._newest[stream_id] = max(self.newest(stream_id), (run, 0))
