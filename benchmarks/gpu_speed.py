"""How fast is it: engines alone, one stream against K, many streams, and what the host does meanwhile."""

from collections import deque
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.gpu_subject import Check
from benchmarks.speed_law import fit
from edge.config import PipelineSettings
from edge.modes import Mode
from edge.pipeline import TrackingPipeline
from edge.sources.base import Frame
from edge.tick import InFlight
from engines.device import Device
from engines.engine import Engine
from engines.errors import EngineError
from engines.load import open_device


def rates(check: Check) -> dict[str, Any]:
    """Milliseconds of every engine alone by batch size, with and without CUDA graphs."""
    device = open_device(check.device)
    queue = device.cuda_stream()
    found: dict[str, Any] = {}
    for role in ("teacher", "student"):
        for name, _, engine in check.engines(role, device, both_ways=True):
            if isinstance(engine, EngineError):
                found[f"{role}, {name}"] = {"error": str(engine)}
                continue
            execution = engine.prepare(check.batches[-1])
            table = {}
            for batch in check.batches:
                for _ in range(3):
                    execution.run(batch, queue)
                queue.synchronize()
                times = []
                for _ in range(2 if check.quick else 30):
                    started_s = perf_counter()
                    execution.run(batch, queue)
                    queue.synchronize()
                    times.append(1e3 * (perf_counter() - started_s))
                table[str(batch)] = round(median(times), 4)
            found[f"{role}, {name}"] = {"ms_by_batch": table}
    return found


def law(check: Check) -> dict[str, Any]:
    """Frames per second against K for one stream, the fit of the law, and the stages' times."""
    backend = check.backend()
    count, repeats = (6, 1) if check.quick else (240, 3)
    frames = check.frames(count)
    periods = (1, 3) if check.quick else (1, 2, 3, 4, 6, 8, 12)
    modes: list[tuple[Mode, int]] = [("teacher", 1), ("student", 1), *(("atttrack", k) for k in periods)]
    rates_of: dict[tuple[Mode, int], list[float]] = {key: [] for key in modes}
    stages: dict[str, Any] = {}
    for _ in range(repeats):
        for mode, k in modes:
            pipeline = TrackingPipeline(backend, PipelineSettings(mode=mode, k=k, max_lanes=1))
            pipeline.add_lane("one")
            ticks = [{"one": frame} for frame in frames]
            took_s, times = _run(pipeline, ticks, warm=len(frames) // 4)
            rates_of[mode, k].append(len(times) / took_s)
            stages[f"{mode} K={k}"] = {name: round(w.ms_per_frame, 4) for name, w in pipeline.times.stages().items()}
    rate = {key: median(values) for key, values in rates_of.items()}
    alone = {role: _alone_ms(engine, backend.device) for role, engine in backend.engines.items()}
    by_period = {k: rate["atttrack", k] for k in periods}
    fitted = fit(by_period, rate["teacher", 1], rate["student", 1])
    return {
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


def lanes(check: Check) -> dict[str, Any]:
    """1 to 64 streams at K=6: frames per second in total, and how long a tick takes from frame to tracks."""
    backend = check.backend()
    found = {}
    for count in check.lane_counts:
        pipeline = TrackingPipeline(backend, PipelineSettings(k=6, max_lanes=count))
        for lane in range(count):
            pipeline.add_lane(str(lane))
        frames = check.frames(4 if check.quick else 60)
        ticks = [{str(lane): frame for lane in range(count)} for frame in frames]
        took_s, times = _run(pipeline, ticks, warm=1 if check.quick else 12)
        p50, p95 = np.percentile(1e3 * np.array(times), (50, 95))
        found[str(count)] = {"fps_total": count * len(times) / took_s, "tick_ms": {"p50": p50, "p95": p95}}
    return found


def timeline(check: Check) -> dict[str, Any]:
    """What the host does in some ticks of four streams: a picture, where matplotlib is installed."""
    pipeline = TrackingPipeline(check.backend(), PipelineSettings(k=6, max_lanes=4))
    for lane in range(4):
        pipeline.add_lane(str(lane))
    spans: list[tuple[int, str, float, float]] = []  # tick, what, begin and end in ms
    origin_s = perf_counter()
    for index, frame in enumerate(check.frames(5 if check.quick else 30)):
        marks = [perf_counter()]
        flight = pipeline.submit({str(lane): frame for lane in range(4)})
        marks.append(perf_counter())
        waited_s = pipeline.times.wait.seconds
        tracked_s = perf_counter()
        pipeline.collect(flight)
        marks += [tracked_s + pipeline.times.wait.seconds - waited_s, perf_counter()]
        for what, begin_s, end_s in zip(("submit", "wait", "track"), marks, marks[1:], strict=False):
            spans.append((index, what, 1e3 * (begin_s - origin_s), 1e3 * (end_s - origin_s)))
    result: dict[str, Any] = {"spans": [(i, what, round(a, 3), round(b, 3)) for i, what, a, b in spans[-36:]]}
    if find_spec("matplotlib"):
        from benchmarks.gpu_timeline import draw

        result["picture"] = draw(spans[-36:], check.out / "timeline.png").name
    return result


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


def _run(pipeline: TrackingPipeline, ticks: Sequence[Mapping[str, Frame]], warm: int) -> tuple[float, list[float]]:
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
        if len(waiting) == pipeline.depth:
            collect()
        now_s = perf_counter()
        waiting.append((pipeline.submit(frames), now_s))
    while waiting:
        collect()
    return last_s - warm_at_s, times[warm:]
