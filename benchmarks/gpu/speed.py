"""How fast is it: one stream against K, and what of that is the engines."""

from collections import deque
from collections.abc import Mapping, Sequence
from statistics import median
from time import perf_counter
from typing import Any

from benchmarks.gpu.subject import Check, ModelFiles
from benchmarks.speed.law import fit
from edge.pipeline.config import LaneSettings, PipelineSettings
from edge.pipeline.modes import Mode
from edge.pipeline.pipeline import TrackingPipeline
from edge.pipeline.tick import InFlight
from edge.sources.base import Frame
from engines.device import Device
from engines.engine import Engine

PERIODS = (1, 2, 3, 4, 6, 8, 12)


def law(check: Check) -> dict[str, Any]:
    """Frames per second against K for one stream, the fit of the law, and the stages' times, by set of model files."""
    found: dict[str, Any] = {}
    for files in check.sets_of_files():
        found[files] = _law_of(check, files)
        check.note(found)
    return found


def _law_of(check: Check, files: ModelFiles) -> dict[str, Any]:
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
            stages[f"{mode} K={k}"] = {name: round(w.ms_per_frame, 4) for name, w in pipeline.times.stages().items()}
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
