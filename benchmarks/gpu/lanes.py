"""Many streams at K=6: how many frames a second there are at most, and how old a frame is when its tracks come out."""

import time
from collections.abc import Sequence
from dataclasses import replace
from threading import Event, Thread
from typing import Any

import numpy as np

from benchmarks.gpu.speed import run_ticks
from benchmarks.gpu.subject import Check
from edge.pipeline.backend import Backend
from edge.pipeline.config import LaneSettings, PipelineSettings
from edge.pipeline.pipeline import TrackedFrame, TrackingPipeline
from edge.sources.base import Frame
from service.streams.worker import Worker

FRAME_RATE = 30.0
PATIENCE_S = 60.0
"""What is added to a measurement at most."""


def lanes(check: Check) -> dict[str, Any]:
    """1 to 64 streams, first as fast as they can, then as cameras of 30 FPS through the service's device thread."""
    backend = check.backend(check.fastest())
    frames = check.frames(4 if check.quick else 60)
    found: dict[str, Any] = {}
    for count in check.lane_counts:
        found[str(count)] = {
            **_flat_out(backend, count, frames),
            "paced": _paced(backend, count, frames, *((0.1, 0.2) if check.quick else (2.0, 4.0))),
        }
        check.note(found)
    return found


def _flat_out(backend: Backend, count: int, frames: Sequence[Frame]) -> dict[str, Any]:
    pipeline = TrackingPipeline(backend, PipelineSettings(max_lanes=count))
    for lane in range(count):
        pipeline.add_lane(str(lane))
    ticks = [{str(lane): frame for lane in range(count)} for frame in frames]
    took_s, times = run_ticks(pipeline, ticks, warm=len(frames) // 5 + 1)
    p50, p95 = np.percentile(1e3 * np.array(times), (50, 95))
    stages = {name: round(watch.ms_per_frame, 4) for name, watch in pipeline.times.stages().items()}
    return {
        "fps_total": count * len(times) / took_s,
        "tick_ms": {"p50": p50, "p95": p95},
        "stages_ms_per_frame": stages,
    }


def _paced(backend: Backend, count: int, frames: Sequence[Frame], warm_s: float, measured_s: float) -> dict[str, Any]:
    """Frames come when cameras would send them, and of a camera the newest counts.

    A slow machine is measured for longer, until there is a frame of each camera.
    """
    worker = Worker(lambda: TrackingPipeline(backend, PipelineSettings(max_lanes=count)))
    worker.start()
    begin_s = time.perf_counter() + 0.05
    cameras = [Camera(str(index), frames, begin_s + index / count / FRAME_RATE) for index in range(count)]
    done = Event()
    clock = Thread(target=_ring, args=(worker, max(1 / FRAME_RATE / count, 0.002), done), daemon=True)
    try:
        for camera in cameras:
            worker.add(camera).result()
        clock.start()
        done.wait(max(0.0, begin_s + warm_s - time.perf_counter()))
        began_s = time.perf_counter()
        for camera in cameras:
            camera.forget()
        while time.perf_counter() < began_s + measured_s or not all(
            camera.ages_s or camera.failed for camera in cameras
        ):
            if time.perf_counter() > began_s + measured_s + PATIENCE_S:
                break
            done.wait(0.05)
        took_s = time.perf_counter() - began_s
        ages_ms = 1e3 * np.array([age_s for camera in cameras for age_s in tuple(camera.ages_s)])
        missed = sum(camera.missed for camera in cameras)
    finally:
        done.set()
        worker.stop(10)
    if failed := [camera.failed for camera in cameras if camera.failed]:
        return {"error": failed[0]}
    if not len(ages_ms):
        return {"fps_total": 0.0, "missed": missed}
    p50, p95, p99 = np.percentile(ages_ms, (50, 95, 99))
    return {"fps_total": len(ages_ms) / took_s, "missed": missed, "age_ms": {"p50": p50, "p95": p95, "p99": p99}}


def _ring(worker: Worker, every_s: float, done: Event) -> None:
    """Wake the device thread as cameras' decoders would."""
    while not done.wait(every_s):
        with worker.bell:
            worker.bell.notify_all()


class Camera:
    """A stream whose frames are there when the clock says so: a `service.streams.worker.Trackable`."""

    settings = LaneSettings()

    def __init__(self, name: str, frames: Sequence[Frame], first_s: float) -> None:
        """`first_s`: when its first frame is there, by `time.perf_counter`."""
        self.id = name
        self.failed = ""
        self.missed = 0
        """Frames that a newer one replaced."""
        self.ages_s: list[float] = []
        """From a frame's arrival to its tracks."""
        self._frames, self._first_s, self._taken = frames, first_s, -1

    @property
    def ready(self) -> bool:
        """Whether a frame waits."""
        return self._newest() > self._taken

    def take(self) -> Frame | None:
        """The newest frame; the film runs forwards and backwards, so that nothing leaps."""
        number = self._newest()
        if number <= self._taken:
            return None
        self.missed += number - self._taken - 1
        self._taken = number
        turn = max(2 * len(self._frames) - 2, 1)
        place = min(number % turn, turn - number % turn)
        return replace(self._frames[place], index=number, time_s=self._first_s + number / FRAME_RATE)

    def publish(self, tracked: TrackedFrame) -> None:
        """Its tracks are there."""
        self.ages_s.append(time.perf_counter() - tracked.frame.time_s)

    def fail(self, code: str, message: str) -> None:
        """The pipeline gave it up."""
        self.failed = f"{code}: {message}"

    def forget(self) -> None:
        """Begin to measure."""
        self.ages_s, self.missed = [], 0

    def _newest(self) -> int:
        return int((time.perf_counter() - self._first_s) * FRAME_RATE // 1)
