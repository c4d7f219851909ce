"""`RealTime`: plays a file or a drawn scene at its own pace, so that it behaves like a camera."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace

from edge.sources.base import Frame, Source, SourceState


class RealTime:
    """The frames of `source`, each given out when its time has come.

    A `patient` one waits for whoever is too slow and plays slower; any other drops frames like a camera.
    """

    def __init__(self, source: Source, patient: bool = False) -> None:
        self.live = not patient
        self.frame_rate, self.frame_count = source.frame_rate, source.frame_count
        self._source = source
        self._closed = threading.Event()

    @property
    def state(self) -> SourceState:
        return self._source.state

    def __iter__(self) -> Iterator[Frame]:
        begin_s: float | None = None
        for frame in self._source:
            now_s = time.monotonic()
            begin_s = now_s - frame.time_s if begin_s is None else begin_s
            if not self.live:  # what was lost by waiting is not caught up
                begin_s = max(begin_s, now_s - frame.time_s)
            if self._closed.wait(max(0.0, begin_s + frame.time_s - now_s)):
                return
            yield replace(frame, captured_at_s=time.time())

    def close(self) -> None:
        self._closed.set()
        self._source.close()
