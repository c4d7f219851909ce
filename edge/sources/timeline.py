"""`TimeLine`: strictly increasing frame times out of time stamps that start anywhere, jump or are missing."""

JUMP_S = 2.0
"""Time stamps and arrival may drift apart by this much before the time stamps are anchored anew."""
STEP_S = 1e-4
"""Smallest difference between two frames."""


class TimeLine:
    """Seconds since the first frame. Follows the stream's own time stamps, anchored to arrival once per session.

    A camera's time stamps are even where arrival jitters, so differences between them measure motion better. They are
    anchored anew after a reconnect, and when they run away from the arrival time (a camera's clock was set, a loop).
    """

    def __init__(self) -> None:
        self._start_s: float | None = None
        self._anchor_s: float | None = None  # arrival (since start) minus time stamp
        self._last_s = -STEP_S

    def new_session(self) -> None:
        """The next time stamps have nothing to do with the last ones."""
        self._anchor_s = None

    def place(self, stamp_s: float | None, arrival_s: float) -> float:
        """Time of a frame from its time stamp (None where it has none) and a monotonic clock at its arrival."""
        if self._start_s is None:
            self._start_s = arrival_s
        time_s = arrived_s = arrival_s - self._start_s
        if stamp_s is not None:
            if self._anchor_s is None or abs(stamp_s + self._anchor_s - arrived_s) > JUMP_S:
                self._anchor_s = arrived_s - stamp_s
            time_s = stamp_s + self._anchor_s
        self._last_s = max(time_s, self._last_s + STEP_S)
        return self._last_s
