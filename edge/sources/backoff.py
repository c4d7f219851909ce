"""`Backoff`: how long to wait before the next attempt to connect."""

import random

from edge.sources.settings import SourceSettings


class Backoff:
    """Waits that double from failure to failure, with full jitter; a connection that held for a good while resets them.

    A camera that gives a picture and breaks, again and again, waits longer and longer too.
    """

    def __init__(self, settings: SourceSettings) -> None:
        self._settings = settings
        self._failures = 0
        self._random = random.Random()  # noqa: S311 - jitter, no secret; not shared with other threads

    def delay_s(self, held_s: float | None) -> float:
        """The wait after a failure; `held_s`: how long pictures came before it, None where none came."""
        good = held_s is not None and held_s >= self._settings.good_after_s
        self._failures = 1 if good else self._failures + 1
        return self._settings.backoff_s(self._failures, self._random.random())

    def reset(self) -> None:
        """The camera is back: begin with the shortest wait."""
        self._failures = 0
