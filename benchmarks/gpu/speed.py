"""How fast is it: one stream against K and what of that is the engines; many streams, and how old their frames get."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import median
from threading import Event, Thread
from time import perf_counter
from typing import Any

from benchmarks.conditions import percentiles
from benchmarks.gpu.subject import GpuCheck, ModelFiles
from benchmarks.speed.report import fit
from edge.pipeline.backend import Backend
from edge.pipeline.config import LaneSettings, Mode, PipelineSettings
from edge.pipeline.pipeline import TrackedFrame, TrackingPipeline
from edge.pipeline.tick import InFlight
from edge.sources.base import Frame
from engines.device import Device
from engines.engine import Engine
from service.streams.worker import Worker

PERIODS = (1, 2, 3, 4, 6, 8, 12)
FRAME_RATE = 30.0
PATIENCE_S = 60.0
"""What is added to a measurement of many streams at most."""


def law(check: GpuCheck) -> dict[str, Any]:
    """Frames per second against K for one stream, the fit of the law, and the stages' times, by set of model files."""
    found: dict[str, Any] = {}
    for files in check.sets_of_files():
        found[files] = _law_of(check, files)
        check.note(found)
    return found


def _law_of(check: GpuCheck, files: ModelFiles) -> dict[str, Any]:
    """The law of one set of model files."""
    backend = check.backend(files)
    frames, repeats = check.frames(6 if check.quick else 240), 1 if check.quick else 3
    periods = (1, 3) if check.quick else PERIODS
    modes: list[tuple[Mode, int]] = [("teacher", 1), ("student", 1), *(("atttrack", k) for k in periods)]
    rates_of: dict[tuple[Mode, int], list[float]] = {key: [] for key in modes}
    stages: dict[str, Any] = {}
    for _ in range(repeats):
        for mode, k in modes:
            pipeline = TrackingPipeline(backend, PipelineSettings(LaneSettings(k, mode), max_lanes=1))
            pipeline.add_lane("one")
            took_s, times = run_ticks(pipeline, [{"one": frame} for frame in frames], warm=len(frames) // 4)
            rates_of[mode, k].append(len(times) / took_s)
            stages[f"{mode} K={k}"] = _stages(pipeline)
    rate = {key: median(values) for key, values in rates_of.items()}
    alone = {role: _alone_ms(engine, backend.device) for role, engine in backend.engines.items()}
    by_period = {k: rate["atttrack", k] for k in periods}
    fitted = fit(by_period, rate["teacher", 1], rate["student", 1])
    return {
        "engines": {name: type(engine).__name__ for name, engine in backend.engines.items()},
        "share_of_engines": {
            str(k): fps * (alone["teacher"] / k + (1 - 1 / k) * alone["student"]) / 1e3 for k, fps in by_period.items()
        },
        "engines_alone_ms": alone,
        "fps_teacher": rate["teacher", 1],
        "fps_student": rate["student", 1],
        "fps_by_k": {str(k): value for k, value in by_period.items()},
        "c_ms": fitted.c_ms,
        "worst_residual": fitted.worst_residual(by_period),
        "stages_ms_per_frame": stages,
    }


def _alone_ms(engine: Engine, device: Device) -> float:
    """Milliseconds per image of an engine that always has the next one queued; the best that a pipeline can reach."""
    execution, queue, count = engine.prepare(1), device.cuda_stream(), 100 if device.asynchronous else 3
    for _ in range(3):
        execution.run(1, queue)
    queue.synchronize()
    started_s = perf_counter()
    for _ in range(count):
        execution.run(1, queue)
    queue.synchronize()
    return 1e3 * (perf_counter() - started_s) / count


def run_ticks(pipeline: TrackingPipeline, ticks: Sequence[Mapping[str, Frame]], warm: int) -> tuple[float, list[float]]:
    """Seconds for all ticks after the first `warm` ones, and for each of them from its submission to its tracks."""
    waiting: deque[tuple[InFlight, float]] = deque()
    times: list[float] = []
    warm_at_s = last_s = perf_counter()

    def collect() -> None:
        nonlocal warm_at_s, last_s
        flight, submitted_s = waiting.popleft()
        pipeline.collect(flight)
        last_s = perf_counter()
        times.append(last_s - submitted_s)
        if len(times) == warm:
            warm_at_s = last_s

    for frames in ticks:
        now_s = perf_counter()
        waiting.append((pipeline.submit(frames), now_s))
        if len(waiting) == pipeline.depth:  # the worker's order: one more is on the device while this one is tracked
            collect()
    while waiting:
        collect()
    return last_s - warm_at_s, times[warm:]


def _stages(pipeline: TrackingPipeline) -> dict[str, float]:
    """Milliseconds per frame that each stage treated."""
    return {name: round(watch.ms_per_frame, 4) for name, watch in pipeline.times.stages().items()}


def lanes(check: GpuCheck) -> dict[str, Any]:
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
    return {
        "fps_total": count * len(times) / took_s,
        "tick_ms": percentiles([1e3 * one for one in times]),
        "stages_ms_per_frame": _stages(pipeline),
    }


def _paced(backend: Backend, count: int, frames: Sequence[Frame], warm_s: float, measured_s: float) -> dict[str, Any]:
    """Frames come when cameras would send them, and of a camera the newest counts.

    A slow machine is measured for longer, until there is a frame of each camera.
    """
    worker = Worker(lambda: TrackingPipeline(backend, PipelineSettings(max_lanes=count)))
    worker.start()
    begin_s = perf_counter() + 0.05
    cameras = [Camera(str(index), frames, begin_s + index / count / FRAME_RATE) for index in range(count)]
    done = Event()
    clock = Thread(target=_ring, args=(worker, max(1 / FRAME_RATE / count, 0.002), done), daemon=True)
    try:
        for camera in cameras:
            worker.add(camera).result()
        clock.start()
        done.wait(max(0.0, begin_s + warm_s - perf_counter()))
        began_s = perf_counter()
        for camera in cameras:
            camera.forget()
        done.wait(measured_s)
        while not all(one.ages_s or one.failed for one in cameras) and perf_counter() < began_s + PATIENCE_S:
            done.wait(0.05)
        took_s = perf_counter() - began_s
        ages_ms = [1e3 * age_s for camera in cameras for age_s in tuple(camera.ages_s)]
        missed = sum(camera.missed for camera in cameras)
    finally:
        done.set()
        worker.stop(10)
    if failed := [camera.failed for camera in cameras if camera.failed]:
        return {"error": failed[0]}
    return {"fps_total": len(ages_ms) / took_s, "missed": missed} | (
        {"age_ms": percentiles(ages_ms)} if ages_ms else {}
    )


def _ring(worker: Worker, every_s: float, done: Event) -> None:
    """Wake the device thread as cameras' decoders would."""
    while not done.wait(every_s):
        with worker.bell:
            worker.bell.notify_all()


class Camera:
    """A stream whose frames are there when the clock says so: a `service.streams.worker.Trackable`."""

    settings = LaneSettings()
    student = None

    def __init__(self, name: str, frames: Sequence[Frame], first_s: float) -> None:
        """`first_s`: when its first frame is there, by `perf_counter`."""
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
        self.ages_s.append(perf_counter() - tracked.frame.time_s)

    def fail(self, code: str, message: str) -> None:
        """The pipeline gave it up."""
        self.failed = f"{code}: {message}"

    def forget(self) -> None:
        """Begin to measure."""
        self.ages_s, self.missed = [], 0

    def _newest(self) -> int:
        return int((perf_counter() - self._first_s) * FRAME_RATE // 1)
