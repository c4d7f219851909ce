"""Room: how many streams a node could carry at full quality, by what its streams cost now."""

BUSY = 0.9
"""Share of the device thread's time that streams may take; the rest is for whoever else runs here."""
SPAN_S = 5.0
"""Time over which costs are measured."""
QUIET = 0.2
"""Below this share of the time nothing is known: fixed costs hide what a stream takes."""
CHANGE = 1.3
"""A new measure counts when it differs by so much from what is said: shares shall not sway."""


class Room:
    """Takes the time that the device thread was busy. One thread."""

    def __init__(self) -> None:
        self.weight: int | None = None
        """Streams at full quality; None while nothing was measured."""
        self.load = 0.0
        """Share of the last span in which the device thread was busy, 0..1."""
        self._since: tuple[float, float] | None = None

    def observe(self, now_s: float, busy_s: float, streams: int) -> None:
        """`busy_s`: in all, of one thread; `streams` that run now. `now_s` is of a monotonic clock."""
        if self._since is None:
            self._since = (now_s, busy_s)
            return
        began_s, before_s = self._since
        if now_s - began_s < SPAN_S:
            return
        self._since = (now_s, busy_s)
        self.load = min(1.0, max(0.0, (busy_s - before_s) / (now_s - began_s)))
        if streams == 0 or self.load < QUIET:
            return
        measured = max(1, round(BUSY * streams / self.load))
        if self.weight is None or not self.weight / CHANGE < measured < self.weight * CHANGE:
            self.weight = measured
