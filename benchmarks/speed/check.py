"""A short run that fails where something became clearly slower; compares ratios with stored ones, never times.

    python -m benchmarks.speed.check            # make bench-check
    python -m benchmarks.speed.check --store    # these ratios are the new standard

Every ratio is of two things measured next to each other in this run: rates over the teacher's, what a stage takes over
what the student's network takes, the tracker over a fixed piece of NumPy, a large crowd over a small one. What looks
lost is measured once more before it counts. Exit codes: 1 for a loss, 2 where nothing can be compared. Ratios between
networks depend on the kind of CPU and its number of cores: on another machine, store first.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.arms import Arm
from benchmarks.conditions import RESULTS, conditions, save
from benchmarks.fps import SOURCE, read_frames
from benchmarks.speed.blocks import Bench, measure
from benchmarks.speed.report import report
from edge.pipeline.backend import SHIPPED_MODELS, open_backend
from edge.pipeline.config import parse_size
from edge.tracking.tracker import Tracker
from engines.errors import EngineError
from testbed.crowd import Crowd

RATE_LOSS, COST_LOSS = 0.1, 0.3
"""Relative losses that count: of a rate, and of the much smaller time of a stage."""
STAGES = ("letterbox", "extrapolate", "association")
ARMS: tuple[Arm, ...] = ("student", "naive", "atttrack")
K, FRAMES, TURNS = 6, 36, 5

Ratios = Mapping[str, float]
"""By name; the higher the better for those that begin with `rate`, the lower for the others."""


def pipeline_ratios(models: Path, pair: str, size: tuple[int, int], repeats: int) -> Ratios:
    """Rates over the teacher's, and stages over the student's network."""
    bench = Bench(open_backend(models, size, "cpu", pair=pair), read_frames(SOURCE, FRAMES))
    runs = {run["mode"]: run for run in report(*measure(bench, ARMS, [K], TURNS, repeats))["runs"]}
    stages = runs["atttrack"]["stages_ms_per_frame"]
    rates = {f"rate of {arm} over teacher": runs[arm]["ratio"] for arm in ARMS}
    return rates | {f"{name} over student network": round(stages[name] / stages["student"], 4) for name in STAGES}


def tracker_ratios(frames: int) -> Ratios:
    """A crowd of 50 over a fixed piece of NumPy, and one of 200 over that of 50; frame by frame in turn."""
    crowds, trackers = [Crowd(50), Crowd(200)], [Tracker(), Tracker()]
    small, large = [], []
    for _ in range(frames + 10):
        seen = [crowd.step()[0] for crowd in crowds]
        yardstick_s = _timed(_yardstick)
        first_s, second_s = (
            _timed(tracker.update, one, crowds[0].dt_s) for tracker, one in zip(trackers, seen, strict=True)
        )
        small.append(first_s / yardstick_s)
        large.append(second_s / first_s)
    ratios = {"tracker of 50 over yardstick": small, "tracker of 200 over that of 50": large}
    return {name: round(median(values[10:]), 4) for name, values in ratios.items()}


def _timed(work: Callable[..., object], *arguments: object) -> float:
    begin = time.thread_time()
    work(*arguments)
    return time.thread_time() - begin


def _yardstick() -> None:
    """The kind of work that a tracker does: small arrays, many calls. Never change it."""
    rng = np.random.default_rng(0)
    a, b = rng.random((50, 64)), rng.random((50, 64))
    for _ in range(8):
        np.argsort(a @ b.T, axis=1)
        np.maximum(a[:, None, :4], b[None, :, :4]).prod(axis=2).sum()


def judge(found: Ratios, stored: Ratios) -> list[str]:
    """Names of what is lost. Raises ValueError where a stored ratio is missing."""
    if missing := found.keys() - stored.keys():
        raise ValueError(f"no stored ratio for {', '.join(sorted(missing))}; run with --store")
    losses = {name: _loss(name, value / stored[name]) for name, value in found.items()}
    return [name for name, loss in losses.items() if loss > (RATE_LOSS if name.startswith("rate") else COST_LOSS)]


def _loss(name: str, change: float) -> float:
    """Relative change for the worse; negative for the better."""
    return 1 - change if name.startswith("rate") else change - 1


def check(run: Callable[[], Ratios], stored: Ratios) -> int:
    """Run; what is lost has to be lost in a second run as well. Raises ValueError as `judge`."""
    lost = judge(_shown(run(), stored), stored)
    if lost:
        print(f"\nonce more, for {', '.join(lost)}")
        lost = [name for name in judge(_shown(run(), stored), stored) if name in lost]
    for name in lost:
        print(f"LOST: {name}", file=sys.stderr)
    return 1 if lost else 0


def _shown(found: Ratios, stored: Ratios) -> Ratios:
    """The same, once printed."""
    for name, value in found.items():
        change = f"{value / stored[name] - 1:+.1%}" if name in stored else "-"
        print(f"{name:<32}{value:>9.3f}{change:>9}")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, compare or store."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed.check", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--store", action="store_true", help="write these ratios as the standard")
    parser.add_argument("--stored", type=Path, default=RESULTS / "check.json")
    parser.add_argument("--models", type=Path, default=SHIPPED_MODELS)
    parser.add_argument("--pair", default="yolo")
    parser.add_argument("--size", type=parse_size, default=(576, 320), metavar="WxH")
    parser.add_argument("--repeats", type=int, default=10, help="default 10")
    parser.add_argument("--frames", type=int, default=150, help="for the tracker (default 150)")
    options = parser.parse_args(arguments)
    now = conditions(options.models.glob(f"{options.pair}-*-{options.size[0]}x{options.size[1]}.onnx"))

    def run() -> Ratios:
        pipeline = pipeline_ratios(options.models, options.pair, options.size, options.repeats)
        return {**pipeline, **tracker_ratios(options.frames)}

    try:
        if options.store:
            result = {"conditions": now, "ratios": _shown(run(), {})}
            print(f"saved {save(options.stored.stem, result, options.stored.parent)}")
            return 0
        stored = json.loads(options.stored.read_text())
        for name in ("cpu", "cores"):
            if stored["conditions"][name] != now[name]:
                print(f"stored on another machine ({name} {stored['conditions'][name]}, here {now[name]})")
        if stored["conditions"]["models"] != now["models"]:
            raise ValueError("the stored ratios are of other model files; run with --store")
        return check(run, stored["ratios"])
    except (EngineError, OSError, ValueError) as error:
        print(f"python -m benchmarks.speed.check: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
