"""OverloadWatch: does this machine keep up with a stream, over seconds rather than frames?"""

import time
from dataclasses import dataclass

SPAN_S = 1.0
"""Frames are judged by the second."""
PATIENCE = 3
"""Seconds in a row that must be bad before a stream is called overloaded, and good before it no longer is."""
MOST_DROPPED = 0.1
"""Share of a second's frames that may be dropped."""
MOST_REFUSED = 0.5
"""Share of a second's looks that there may be no time for."""
OLDEST_S = 1.0
"""Mean age of a second's frames that is still live."""


@dataclass(frozen=True, slots=True)
class Overload:
    """The stream runs, but worse than it should."""

    since: float
    """Unix time."""
    message: str


class OverloadWatch:
    """Watches one stream. `record` is for the device thread; `now` may be read by any."""

    def __init__(self) -> None:
        self.now: Overload | None = None
        """None while all is well."""
        self._begun = time.monotonic()
        self._frames = 0
        self._age_s = 0.0
        self._looks = self._refused = 0
        self._dropped_before = 0
        self._opposed = 0  # seconds in a row that speak against `now`

    def record(self, age_s: float, dropped: int, looked: bool = True, refused: bool = False) -> None:
        """Count a tracked frame; `dropped` is the total of frames lost before they were tracked.

        looked: whether a network saw it; refused: whether it deserved more of a look than there was time for.
        """
        self._frames += 1
        self._looks += looked or refused
        self._refused += refused
        self._age_s += age_s
        if time.monotonic() - self._begun >= SPAN_S:
            self._judge(dropped - self._dropped_before)
            self._begun, self._frames, self._age_s, self._dropped_before = time.monotonic(), 0, 0.0, dropped
            self._looks = self._refused = 0

    def _judge(self, dropped: int) -> None:
        complaint = _complaint(self._frames, dropped, self._age_s / self._frames) or self._refusal()
        self._opposed = self._opposed + 1 if (complaint is None) != (self.now is None) else 0
        if self._opposed == PATIENCE:
            self._opposed = 0
            self.now = Overload(time.time(), complaint) if complaint else None

    def _refusal(self) -> str | None:
        if self._refused <= MOST_REFUSED * self._looks:
            return None
        return (
            f"there was time for {self._looks - self._refused} of the {self._looks} looks that a second's frames "
            "deserved; lower `quality`, or run fewer streams"
        )


def _complaint(tracked: int, dropped: int, mean_age_s: float) -> str | None:
    came = tracked + dropped
    if dropped > MOST_DROPPED * came:
        return (
            f"{dropped} of {came} frames in a second were dropped: more comes than this machine tracks; "
            "raise k, lower the camera's frame rate, or run fewer streams"
        )
    if mean_age_s > OLDEST_S:
        return f"frames are {mean_age_s:.1f} s old when they are tracked; raise k or run fewer streams"
    return None
