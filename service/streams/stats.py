"""Live numbers of one stream: written by the device thread, read by the routes."""

import time
from collections import deque
from dataclasses import dataclass
from threading import Lock

import numpy as np

WINDOW_S = 3.0
"""Rates and ages are of the last seconds only."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """Stats of one stream over the last `WINDOW_S` seconds, and totals since it was added."""

    frames: int
    """Frames tracked, all."""
    people: int
    """People in the newest frame."""
    fps: float
    """Frames tracked per second."""
    frame_age_p50_ms: float | None
    """From capture to tracks; None while no frame came."""
    frame_age_p95_ms: float | None
    width: int | None
    """Of the source picture."""
    height: int | None


class StreamStats:
    """Sliding window over the frames of one stream."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._window: deque[tuple[float, float]] = deque()  # (monotonic time of output, frame age), seconds
        self._frames = 0
        self._people = 0
        self._size: tuple[int, int] | None = None

    def record(self, age_s: float, people: int, size: tuple[int, int]) -> None:
        """Count one tracked frame; `size` is (width, height)."""
        now = time.monotonic()
        with self._lock:
            self._frames += 1
            self._people = people
            self._size = size
            self._window.append((now, age_s))
            self._forget(now)

    def numbers(self) -> Numbers:
        """Return the numbers as of now."""
        now = time.monotonic()
        with self._lock:
            self._forget(now)
            window = list(self._window)
            frames, people, size = self._frames, self._people, self._size
        ages_ms = np.array([age_s for _, age_s in window]) * 1e3
        p50, p95 = np.percentile(ages_ms, (50, 95)).round(1).tolist() if window else (None, None)
        return Numbers(
            frames=frames,
            people=people if window else 0,
            fps=_rate(window, now),
            frame_age_p50_ms=p50,
            frame_age_p95_ms=p95,
            width=size and size[0],
            height=size and size[1],
        )

    def _forget(self, now: float) -> None:
        while self._window and self._window[0][0] < now - WINDOW_S:
            self._window.popleft()


def _rate(window: list[tuple[float, float]], now: float) -> float:
    """Frames per second; counts the silence since the last frame, so a stall shows."""
    if len(window) < 2:
        return 0.0
    newest, oldest = window[-1][0], window[0][0]
    span = max(newest - oldest, 1e-9)
    period = span / (len(window) - 1)
    silence = max(0.0, now - newest - period)
    return round((len(window) - 1) / (span + silence), 1)
