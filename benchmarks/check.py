"""A short run that fails where something became clearly slower; compares ratios with stored ones, never times.

    python -m benchmarks.check            # make bench-check
    python -m benchmarks.check --store    # these ratios are the new standard

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
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.conditions import RESULTS, conditions, save
from benchmarks.crowd import Crowd
from benchmarks.fps import SOURCE, read_frames
from benchmarks.fps_blocks import Bench, measure
from benchmarks.fps_report import report
from benchmarks.frame_skipping import Arm
from edge.pipeline.backend import SHIPPED_MODELS, open_backend
from edge.pipeline.config import parse_size
from edge.tracking.tracker import Tracker
from engines.errors import EngineError

RATE_LOSS, COST_LOSS = 0.1, 0.3
"""Relative losses that count: of a rate, and of the much smaller time of a stage."""
STAGES = ("letterbox", "extrapolate", "association")
ARMS: tuple[Arm, ...] = ("student", "naive", "atttrack")
K, FRAMES, TURNS = 6, 36, 5


@dataclass(frozen=True, slots=True)
class Ratio:
    """One thing over another; `loss` is the relative change for the worse that counts."""

    name: str
    value: float
    higher_is_better: bool
    loss: float

    def lost(self, stored: float) -> float:
        """Relative change for the worse; negative for the better."""
        return 1 - self.value / stored if self.higher_is_better else self.value / stored - 1


def pipeline_ratios(models: Path, pair: str, size: tuple[int, int], repeats: int) -> list[Ratio]:
    """Rates over the teacher's, and stages over the student's network."""
    backend = open_backend(models, size, "cpu", pair=pair)
    frames = read_frames(SOURCE, FRAMES)
    result = report(*measure(Bench(backend, frames), ARMS, [K], TURNS, repeats))
    runs = {run["mode"]: run for run in result["runs"]}
    rates = [Ratio(f"rate of {arm} over teacher", runs[arm]["ratio"], True, RATE_LOSS) for arm in ARMS]
    stages = runs["atttrack"]["stages_ms_per_frame"]
    costs = [
        Ratio(f"{name} over student network", round(stages[name] / stages["student"], 4), False, COST_LOSS)
        for name in STAGES
    ]
    return rates + costs


def tracker_ratios(frames: int) -> list[Ratio]:
    """A crowd of 50 over a fixed piece of NumPy, and one of 200 over that of 50; frame by frame in turn."""
    crowds = [Crowd(50), Crowd(200)]
    films = [[crowd.step()[0] for _ in range(frames + 10)] for crowd in crowds]
    trackers = [Tracker(), Tracker()]
    small, large = [], []
    for seen in zip(*films, strict=True):
        yardstick_s = _timed(_yardstick)
        first_s, second_s = (
            _timed(tracker.update, one, crowds[0].dt_s) for tracker, one in zip(trackers, seen, strict=True)
        )
        small.append(first_s / yardstick_s)
        large.append(second_s / first_s)
    return [
        Ratio("tracker of 50 over yardstick", round(median(small[10:]), 4), False, COST_LOSS),
        Ratio("tracker of 200 over that of 50", round(median(large[10:]), 4), False, COST_LOSS),
    ]


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


def judge(found: Sequence[Ratio], stored: Mapping[str, float]) -> list[str]:
    """Names of what is lost. Raises ValueError where a stored ratio is missing."""
    if missing := [ratio.name for ratio in found if ratio.name not in stored]:
        raise ValueError(f"no stored ratio for {', '.join(missing)}; run with --store")
    return [ratio.name for ratio in found if ratio.lost(stored[ratio.name]) > ratio.loss]


def table(found: Sequence[Ratio], stored: Mapping[str, float]) -> str:
    """A line per ratio."""
    lines = [f"{'ratio':<32}{'now':>9}{'stored':>9}{'change':>9}{'loss at':>9}"]
    for ratio in found:
        before = stored.get(ratio.name)
        shown, change = ("-", "-") if before is None else (f"{before:.3f}", f"{ratio.value / before - 1:+.1%}")
        limit = f"{'-' if ratio.higher_is_better else '+'}{ratio.loss:.0%}"
        lines.append(f"{ratio.name:<32}{ratio.value:>9.3f}{shown:>9}{change:>9}{limit:>9}")
    return "\n".join(lines)


def check(run: Callable[[], list[Ratio]], stored: Mapping[str, float]) -> int:
    """Run; what is lost has to be lost in a second run as well. Raises ValueError as `judge`."""
    found = run()
    print(table(found, stored))
    lost = judge(found, stored)
    if lost:
        print(f"\nonce more, for {', '.join(lost)}")
        again = run()
        print(table(again, stored))
        lost = [name for name in judge(again, stored) if name in lost]
    for name in lost:
        print(f"LOST: {name}", file=sys.stderr)
    return 1 if lost else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, compare or store."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.check", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--store", action="store_true", help="write these ratios as the standard")
    parser.add_argument("--stored", type=Path, default=RESULTS / "check.json")
    parser.add_argument("--models", type=Path, default=SHIPPED_MODELS)
    parser.add_argument("--pair", default="yolo")
    parser.add_argument("--size", type=parse_size, default=(576, 320), metavar="WxH")
    parser.add_argument("--repeats", type=int, default=10, help="default 10")
    parser.add_argument("--frames", type=int, default=150, help="for the tracker (default 150)")
    options = parser.parse_args(arguments)
    now = conditions(options.models.glob(f"{options.pair}-*-{options.size[0]}x{options.size[1]}.onnx"))

    def run() -> list[Ratio]:
        pipeline = pipeline_ratios(options.models, options.pair, options.size, options.repeats)
        return pipeline + tracker_ratios(options.frames)

    try:
        if options.store:
            found = run()
            result: dict[str, Any] = {"conditions": now, "ratios": {ratio.name: ratio.value for ratio in found}}
            print(table(found, {}))
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
        print(f"python -m benchmarks.check: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
