"""Frames per second against the keyframe period K, for every mode.

    python -m benchmarks.fps
    python -m benchmarks.fps --source ../shared/data/sequences/MOT17-09 --name fps-mot17-09

The frames are decoded beforehand; timed is what the pipeline does with each of them: letterbox, network, association,
and for AttTrack the moved heatmap. Runs of all modes and periods are interleaved and repeated, since machines drift;
rates are medians over the repeats. Writes JSON with the conditions, and a plot, to benchmarks/results.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.conditions import RESULTS, conditions, save
from benchmarks.fps_plot import plot
from benchmarks.speed_law import fit
from edge.backend import SHIPPED_MODELS, Backend, open_backend
from edge.config import PipelineSettings, parse_size
from edge.modes import MODES, Mode
from edge.pipeline import PipelineError, TrackingPipeline
from edge.sources import open_source
from edge.sources.base import Frame, SourceError
from engines.errors import EngineError

SOURCE = "synthetic://?seed=1&people=20&width=1280&height=720"
PERIODS = tuple(range(1, 13))
ALONE: tuple[Mode, ...] = ("teacher", "student")
"""Modes without a period: what the law is made of."""


@dataclass(slots=True)
class Setting:
    """One mode at one period, and what was measured there."""

    mode: Mode
    k: int
    fps: list[float] = field(default_factory=list)  # one per repeat
    latencies_ms: dict[str, list[float]] = field(default_factory=lambda: {"teacher": [], "student": []})
    stages_ms: dict[str, float] = field(default_factory=dict)  # per frame of the stage, last repeat

    def measure(self, backend: Backend, frames: Sequence[Frame]) -> None:
        """One repeat: a period to warm up, then as many whole periods as there are frames."""
        pipeline = TrackingPipeline(backend, PipelineSettings(mode=self.mode, k=self.k, max_lanes=1))
        pipeline.add_lane("source")
        total_s, periods = 0.0, len(frames) // self.k - 1
        for index, frame in enumerate(frames[: (periods + 1) * self.k]):
            started_s = perf_counter()
            (tracked,) = pipeline.collect(pipeline.submit({"source": frame}))
            took_s = perf_counter() - started_s
            if index >= self.k:
                total_s += took_s
                self.latencies_ms[tracked.kind].append(1e3 * took_s)
        self.fps.append(periods * self.k / total_s)
        self.stages_ms = {name: round(watch.ms_per_frame, 4) for name, watch in pipeline.times.stages().items()}

    def to_json(self) -> dict[str, Any]:
        """Median and spread of the rate, latencies by kind of frame, stages."""
        return {
            "mode": self.mode,
            "k": self.k,
            "fps": round(median(self.fps), 3),
            "fps_of_repeats": [round(rate, 3) for rate in self.fps],
            "latency_ms": {kind: _percentiles(values) for kind, values in self.latencies_ms.items() if values},
            "stages_ms_per_frame": self.stages_ms,
        }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; 2 after one line that says what was wrong."""
    options = _parser().parse_args(arguments)
    try:
        with_modes = [*ALONE, *(mode for mode in options.modes if mode not in ALONE)]
        backend = open_backend(options.models, options.size, "cpu", "atttrack", options.pair, options.threads)
        frames = _read(options.source, options.frames + max(options.k))
        settings = measure(backend, with_modes, frames, options.k, options.repeats)
        result = report(settings) | {
            "source": options.source,
            "size": f"{options.size[0]}x{options.size[1]}",
            "frames_per_repeat": options.frames,
            "repeats": options.repeats,
            "threads": options.threads,
            "conditions": conditions(sorted((options.models or SHIPPED_MODELS).glob(f"{options.pair}-*.onnx"))),
        }
        path = save(options.name, result, options.results)
        plot(result, path.with_suffix(".png"))
    except (SourceError, EngineError, PipelineError, ValueError, OSError) as error:
        print(f"python -m benchmarks.fps: {error}", file=sys.stderr)
        return 2
    print(_table(result))
    print(f"\n{path}\n{path.with_suffix('.png')}")
    return 0


def measure(
    backend: Backend, modes: Sequence[Mode], frames: Sequence[Frame], periods: Sequence[int], repeats: int
) -> list[Setting]:
    """Every mode at every period, in a new random order each time round."""
    settings = [Setting(mode, k) for mode in modes for k in ([1] if mode in ALONE else periods) if len(frames) >= 2 * k]
    rng = np.random.default_rng(0)
    order = np.concatenate([rng.permutation(len(settings)) for _ in range(repeats)])
    for chosen in tqdm(order, unit="run", disable=None):
        settings[chosen].measure(backend, frames)
    return settings


def report(settings: Sequence[Setting]) -> dict[str, Any]:
    """Rates by mode and period, and the law fitted for each mode."""
    rates: dict[str, dict[int, float]] = {}
    for setting in settings:
        rates.setdefault(setting.mode, {})[setting.k] = median(setting.fps)
    laws = {}
    for mode, fps in rates.items():
        if mode not in ALONE:
            law = fit(fps, rates["teacher"][1], rates["student"][1])
            laws[mode] = {"c_ms": round(law.c_ms, 4), "worst_residual": round(law.worst_residual(fps), 4)}
    return {
        "fps_teacher": round(rates["teacher"][1], 3),
        "fps_student": round(rates["student"][1], 3),
        "laws": laws,
        "runs": [setting.to_json() for setting in settings],
    }


def _read(source: str, count: int) -> list[Frame]:
    opened = open_source(source)
    try:
        frames = list(islice(opened, count))
    finally:
        opened.close()
    if len(frames) < 2:
        raise ValueError(f"{source} has {len(frames)} frames; a measurement needs some more")
    return frames


def _percentiles(values: Sequence[float]) -> dict[str, float]:
    p50, p95, p99 = np.percentile(values, (50, 95, 99))
    return {"p50": round(float(p50), 3), "p95": round(float(p95), 3), "p99": round(float(p99), 3), "count": len(values)}


def _table(result: dict[str, Any]) -> str:
    lines = [f"{'mode':<10}{'K':>4}{'FPS':>9}{'teacher p50/p95 ms':>22}{'student p50/p95 ms':>22}"]
    for run in result["runs"]:
        kinds = [run["latency_ms"].get(kind) for kind in ("teacher", "student")]
        cells = [f"{kind['p50']:.1f} / {kind['p95']:.1f}" if kind else "-" for kind in kinds]
        lines.append(f"{run['mode']:<10}{run['k']:>4}{run['fps']:>9.2f}{cells[0]:>22}{cells[1]:>22}")
    for mode, law in result["laws"].items():
        lines.append(
            f"{mode}: c = {law['c_ms']:.3f} ms a student frame, law off by {law['worst_residual']:.1%} at most"
        )
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fps",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--source", default=SOURCE, help="video, sequence folder or synthetic:// (default %(default)s)")
    parser.add_argument("--k", type=int, nargs="+", default=PERIODS, help="periods (default 1 to 12)")
    parser.add_argument("--modes", nargs="+", choices=tuple(MODES), default=tuple(MODES), help="default all")
    parser.add_argument("--frames", type=int, default=60, help="timed frames per run, about (default 60)")
    parser.add_argument("--repeats", type=int, default=3, help="runs per mode and period (default 3)")
    parser.add_argument("--size", type=parse_size, default=(576, 320), metavar="WxH", help="default 576x320")
    parser.add_argument(
        "--models", type=Path, metavar="DIR", help="folder of the model files (default: the shipped one)"
    )
    parser.add_argument("--pair", default="yolo", help="name of the model pair (default yolo)")
    parser.add_argument("--threads", type=int, help="CPU threads per network (default: one per core)")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="DIR", help="where to write")
    parser.add_argument("--name", default="fps", help="name of the files written (default fps)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
