"""When a camera is waited for, and when it is tried again: `Patience`, `Backoff`, and `reach`, a look at its port."""

import math
import random
import socket
from collections import deque
from collections.abc import Sequence

from edge.sources.base import SourceError
from edge.sources.rtsp.camera_url import CameraUrl
from edge.sources.settings import SourceSettings

PROBE_TIMEOUT_S = 1.0
"""A host on the way back does not answer in between: a lost look is repeated soon."""
LOGIN_WAITS_S = (60.0, 300.0, 900.0, 1800.0)
"""Waits after a refused password, the last one for ever on: cameras lock out whoever guesses, for half an hour."""
MOST_PATIENCE_S = 300.0
PAUSES_KEPT_S = 300.0
"""After which a pause is forgotten, by two thirds."""


class Backoff:
    """Waits that double from failure to failure, with full jitter; a connection that held for a good while resets them.

    A camera that gives a picture and breaks, again and again, waits longer and longer too.
    """

    def __init__(self, settings: SourceSettings) -> None:
        self._settings = settings
        self._failures = self._refusals = 0
        self._random = random.Random()  # noqa: S311 - jitter, no secret; not shared with other threads

    def delay_s(self, held_s: float | None, code: str | None = None) -> float:
        """The wait after a failure with this code; `held_s`: how long pictures came before it, None where none came."""
        if code == "auth_failed":
            self._refusals += 1
            wait_s = LOGIN_WAITS_S[min(self._refusals, len(LOGIN_WAITS_S)) - 1]
            return wait_s * (1 + 0.1 * self._random.random())
        good = held_s is not None and held_s >= self._settings.good_after_s
        self._failures = 1 if good else self._failures + 1
        self._refusals = 0 if held_s is not None else self._refusals
        return self._settings.backoff_s(self._failures, self._random.random())

    def reset(self) -> None:
        """The camera is back: begin with the shortest wait."""
        self._failures = 0


class Patience:
    """How long the next picture of a camera may take, at the pace that the camera has.

    What a connection begins with says little: a restreamer sends at once what it has kept, and then at the camera's
    pace. So it is waited for longer until pictures came over some time. And a camera that paused may pause again.
    """

    def __init__(self, settings: SourceSettings) -> None:
        self._settings = settings
        self._factor = 1.0
        self._gaps: deque[float] = deque(maxlen=8)
        self._pause_s = 0.0  # the longest of late between two pictures of a connection, less what was forgotten since
        self._first_s: float | None = None  # the connection's first picture
        self._last_s = 0.0

    def connected(self, now_s: float) -> None:
        """A new connection begins, on a monotonic clock."""
        self._first_s, self._last_s = None, now_s

    def flowed(self, now_s: float) -> None:
        """Packets did, though no picture."""
        self._last_s = now_s

    def came(self, now_s: float) -> None:
        """A picture did."""
        gap_s, self._last_s = now_s - self._last_s, now_s
        self._gaps.append(gap_s)
        self._pause_s *= math.exp(-gap_s / PAUSES_KEPT_S)
        if self._first_s is None:
            self._first_s = now_s
        elif gap_s > self._settings.stall_timeout_s:
            self._pause_s = max(self._pause_s, gap_s)
        if not self._new and max(self._gaps) < self._settings.stall_timeout_s:
            self._factor = 1.0

    def stalled(self) -> None:
        """It took too long. Where few came before, or seldom, that may be the camera's pace: wait longer next time."""
        if self._lasted_s < self._settings.good_after_s or max(self._gaps) > self._settings.stall_timeout_s:
            self._factor *= 2

    @property
    def seconds(self) -> float:
        """How long to wait from now on, or from the last sign of life."""
        settings = self._settings
        long_s = settings.stall_timeout_s + 2 * settings.connect_timeout_s
        slow_s = 0.0 if self._first_s is None else 3 * max(*self._gaps, self._pause_s)
        doubted_s = long_s * self._factor if self._factor > 1 else 0.0
        return max(long_s if self._new else settings.stall_timeout_s, min(MOST_PATIENCE_S, max(doubted_s, slow_s)))

    @property
    def _new(self) -> bool:
        """Whether the connection has to show yet what its pace is."""
        return self._lasted_s < 2 * self._settings.stall_timeout_s

    @property
    def _lasted_s(self) -> float:
        return 0.0 if self._first_s is None else self._last_s - self._first_s


def reach(url: CameraUrl, addresses: Sequence[str]) -> SourceError | None:
    """None where the camera's port takes a connection at one of its addresses (at least one), else why not.

    Costs next to nothing, but a camera that serves one viewer at a time may take it for one.
    """
    failures = (_reach(url, address) for address in addresses)
    first = next(failures)
    return first and (None if None in failures else first)


def _reach(url: CameraUrl, address: str) -> SourceError | None:
    try:
        with socket.create_connection((address, url.port), PROBE_TIMEOUT_S):
            return None
    except OSError as error:
        return unreachable(url, error)


def unreachable(url: CameraUrl, error: OSError) -> SourceError:
    """Why no connection was made, in words."""
    if isinstance(error, TimeoutError):
        code, what = "timeout", " does not answer; is the camera on and the address right?"
    elif isinstance(error, ConnectionRefusedError):
        code, what = "connection_failed", ": connection refused; is the camera on and the port right?"
    else:
        words = (error.strerror or "there is no way to it").lower()
        code, what = "connection_failed", f" cannot be reached: {words}"
    return SourceError(code, f"{url}{what}", unreachable=True)
