"""Listener: a subscriber of one stream's tracks, in a thread of its own, that comes back whenever it is sent away."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect


@dataclass(frozen=True, slots=True)
class Arrival:
    """One track message, as its subscriber got it."""

    time_s: float  # since the beginning
    age_ms: float  # from capture to tracks: ts_out - ts_capture
    delivered_ms: float  # arrival - ts_capture
    frame_id: int
    kind: str
    people: int
    gap: int

    @classmethod
    def of(cls, message: Mapping[str, Any], begin_s: float) -> Self:
        """One that came now."""
        now, captured = time.time(), message["ts_capture"]
        ages_ms = (message["ts_out"] - captured) * 1000, (now - captured) * 1000
        told = message["frame_id"], message["kind"], len(message["tracks"]), message["gap"]
        return cls(time.monotonic() - begin_s, *ages_ms, *told)


class Listener:
    """A context manager that subscribes and, in the end, leaves."""

    def __init__(
        self,
        url: str,
        begin_s: float,
        keeps: bool = True,
        hear: Callable[[Mapping[str, Any]], object] | None = None,
    ) -> None:
        """`begin_s`: the beginning, by `time.monotonic`; `keeps`: what came, which for hours is memory of its own.

        `hear` gets each message, in the listener's thread.
        """
        self.arrivals: list[Arrival] = []
        self.messages = 0
        self.clock = ""
        self._url, self._begin_s, self._keeps, self._hear = url, begin_s, keeps, hear
        self._leave, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(10)

    def leave(self) -> None:
        """Hang up, and come back."""
        self._leave.set()

    def _follow(self) -> None:
        while not self._over.is_set():
            with suppress(WebSocketException, OSError, TimeoutError), connect(self._url, max_size=None) as stream:
                while not self._over.is_set() and not self._leave.is_set():
                    message = stream.recv(5)
                    self.messages += 1
                    if self._hear is not None:
                        self._hear(json.loads(message))
                    if self._keeps:
                        told = json.loads(message)
                        self.clock = str(told["clock"])
                        self.arrivals.append(Arrival.of(told, self._begin_s))
            self._leave.clear()
            self._over.wait(0.5)
