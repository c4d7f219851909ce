"""What host and device do in some ticks of four streams, as numbers and as a picture."""

from collections import deque
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.gpu_subject import Check
from edge.pipeline.config import PipelineSettings
from edge.pipeline.pipeline import TrackingPipeline
from edge.pipeline.tick import InFlight

Span = tuple[int, str, float, float]
"""Tick, what, begin and end in ms."""
LANES = 4
SHOWN_TICKS = 12
COLOURS = {"in flight": "#DDDDDD", "submit": "#0072B2", "wait": "#888888", "track": "#E69F00"}
"""Told apart by people with any kind of colour blindness."""


def timeline(check: Check) -> dict[str, Any]:
    """Spans of some ticks, two of them in flight where the device works on its own; drawn, if matplotlib is there."""
    lanes = min(LANES, check.largest_batch)
    pipeline = TrackingPipeline(check.backend(check.fastest()), PipelineSettings(k=6, max_lanes=lanes))
    for lane in range(lanes):
        pipeline.add_lane(str(lane))
    spans, most = record(pipeline, check, 5 if check.quick else 40)
    first = max(tick for tick, *_ in spans) - SHOWN_TICKS
    shown = [(tick, what, round(begin, 3), round(end, 3)) for tick, what, begin, end in spans if tick > first]
    result: dict[str, Any] = {"most_in_flight": most, "spans": shown}
    if find_spec("matplotlib"):
        result["picture"] = draw(shown, check.out / "timeline.png").name
    return result


def record(pipeline: TrackingPipeline, check: Check, count: int) -> tuple[list[Span], int]:
    """All spans of `count` ticks, in the worker's order, and how many ticks were in flight at most."""
    waiting: deque[tuple[int, InFlight, float]] = deque()
    spans: list[Span] = []
    origin_s, most = perf_counter(), 0

    def add(tick: int, what: str, begin_s: float, end_s: float) -> None:
        spans.append((tick, what, 1e3 * (begin_s - origin_s), 1e3 * (end_s - origin_s)))

    def collect() -> None:
        tick, flight, submitted_s = waiting.popleft()
        waited_s, begin_s = pipeline.times.wait.seconds, perf_counter()
        pipeline.collect(flight)
        found_s = begin_s + pipeline.times.wait.seconds - waited_s
        add(tick, "in flight", submitted_s, found_s)
        add(tick, "wait", begin_s, found_s)
        add(tick, "track", found_s, perf_counter())

    for tick, frame in enumerate(check.frames(count)):
        begin_s = perf_counter()
        flight = pipeline.submit({lane: frame for lane in pipeline.lane_ids})
        submitted_s = perf_counter()
        add(tick, "submit", begin_s, submitted_s)
        waiting.append((tick, flight, submitted_s))
        most = max(most, len(waiting))
        if len(waiting) == pipeline.depth:
            collect()
    while waiting:
        collect()
    return spans, most


def draw(spans: Sequence[Span], path: Path) -> Path:
    """Write bars over time, one line per tick, to `path`."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 4), layout="constrained")
    for tick, what, begin, end in spans:
        high = 0.9 if what == "in flight" else 0.5
        axes.barh(tick, end - begin, left=begin, color=COLOURS[what], height=high, zorder=1 if high == 0.9 else 2)
    for what, colour in COLOURS.items():
        axes.barh(spans[0][0], 0, color=colour, label=what)
    ticks = [span[0] for span in spans]
    axes.set(xlabel="ms", ylabel="tick", ylim=(max(ticks) + 0.6, min(ticks) - 0.6))
    axes.legend(loc="lower left")
    figure.savefig(path, dpi=130)
    plt.close(figure)
    return path
