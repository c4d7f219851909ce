"""Gathering: from the frames of a running stream to the stretches of its sample, at next to no cost to the tick.

The device thread notes a frame, and only during a stretch; a thread of the lowest priority scales and encodes it. Where
that thread is too late the stretch ends: pictures that follow each other are what a student learns from.
"""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from edge.arrays import U8
from edge.ops.host import HostOps
from edge.ops.letterbox import Letterbox
from edge.sources.base import Frame
from engines.host import HostDevice
from service.adaptation.sample import Excerpt, Sample

log = logging.getLogger(__name__)

LONGEST, SHORTEST = 48, 24
"""Pictures of a stretch: long enough for tracks, short enough to see many moments. One that breaks off early is kept if
it has the shorter length."""
HOLE = 3
"""Frames that may be missing between two pictures of a stretch."""
MOST_WAITING = 8
"""Frames of all streams that wait to be encoded."""
QUALITY = 95
LOWEST = 19
"""Niceness."""


@dataclass(slots=True)
class _Begun:
    """A stretch under way."""

    pictures: list[bytes]
    size: tuple[int, int]
    began_s: float
    ended_s: float


class Gathering:
    """Gathers of one stream. `offer` is for the device thread, `take` and `finish` for the encoding one."""

    def __init__(
        self,
        sample: Sample,
        every_s: Callable[[], float],
        encoding: "Encoding",
        fit: tuple[int, int],
        stream_id: str = "",
    ) -> None:
        """`every_s`: from the beginning of a stretch to that of the next; `fit`: width and height that pictures fit
        into, pixels."""
        self._sample, self._every_s, self._encoding, self._fit = sample, every_s, encoding, fit
        self._stream_id = stream_id
        self._next_s = time.monotonic()
        self._left = 0  # pictures that the stretch under way may still get
        self._before: Frame | None = None
        self._begun: _Begun | None = None
        self._count = 0
        self._ops = HostOps()

    def offer(self, frame: Frame) -> None:
        """Note a frame, if there is a stretch under way or time for one."""
        if not self._left:
            now_s = time.monotonic()
            if now_s < self._next_s:
                return
            self._next_s, self._left, self._before = now_s + self._every_s(), LONGEST, None
        if (before := self._before) is not None and not _follows(before, frame):
            self._end()
            return
        if not self._encoding.put(lambda: self.take(frame)):
            self._end()
            return
        self._before = frame
        self._left -= 1
        if not self._left:
            self._end()

    def _end(self) -> None:
        if self._before is not None:
            self._encoding.put(self.finish, always=True)
        self._left, self._before = 0, None

    def take(self, frame: Frame) -> None:
        """Scale and encode one more picture of the stretch."""
        picture = self._scaled(frame)
        size = picture.shape[1], picture.shape[0]
        if self._begun is None:
            self._begun = _Begun([], size, frame.time_s, frame.time_s)
        self._begun.ended_s = frame.time_s
        self._begun.pictures.append(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes())

    def finish(self) -> None:
        """The stretch is over: into the sample with it, if it is long enough."""
        begun, self._begun = self._begun, None
        if begun is None or len(begun.pictures) < SHORTEST or begun.ended_s <= begun.began_s:
            return
        rate = (len(begun.pictures) - 1) / (begun.ended_s - begun.began_s)
        self._sample.add(Excerpt(self._stream_id, self._count, tuple(begun.pictures), begun.size, rate))
        self._count += 1

    def _scaled(self, frame: Frame) -> U8:
        """(h, w, 3) BGR, no larger than it was."""
        width, height = frame.size
        box = Letterbox(width, height, *self._fit)
        if box.width >= width:
            return frame.image
        planes = np.empty((1, 3, box.height, box.width), np.uint8)
        whole = Letterbox(width, height, box.width, box.height)
        self._ops.letterbox([frame.pixels], [whole], planes, HostDevice().cuda_stream())
        return np.ascontiguousarray(planes[0, ::-1].transpose(1, 2, 0))


class Encoding:
    """The thread that encodes, for all streams; it begins with the first picture."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()
        self._news = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopping = False

    def put(self, act: Callable[[], None], always: bool = False) -> bool:
        """Have `act` done soon, in order; False where too much waits, unless it is to be done `always`."""
        with self._news:
            if len(self._waiting) >= MOST_WAITING and not always:
                return False
            self._waiting.append(act)
            self._news.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="adaptation pictures", daemon=True)
                self._thread.start()
        return True

    def close(self) -> None:
        """End the thread; what waits is given up."""
        with self._news:
            self._stopping = True
            self._news.notify()

    def _run(self) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST)
        while True:
            with self._news:
                self._news.wait_for(lambda: self._stopping or bool(self._waiting))
                if self._stopping:
                    return
                act = self._waiting.popleft()
            try:
                act()
            except Exception:  # a picture that cannot be encoded costs its stretch and nothing else
                log.exception("a picture could not be kept to learn from")
            del act  # and with it the frame


def _follows(before: Frame, frame: Frame) -> bool:
    """Whether two frames can be of one stretch."""
    alike = before.session == frame.session and before.size == frame.size
    return alike and 0 < frame.index - before.index <= 1 + HOLE and frame.time_s > before.time_s
