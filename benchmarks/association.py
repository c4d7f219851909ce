"""Milliseconds that the tracker takes per frame, by size of the crowd and by stage.

    OPENBLAS_NUM_THREADS=1 python -m benchmarks.association
    OPENBLAS_NUM_THREADS=1 python -m benchmarks.association --people 50 200 --frames 500 --json association.json

A drawn crowd (benchmarks.crowd) walks at 30 frames per second with misses and false alarms, embeddings of 64
numbers; the variable keeps NumPy on one core. `wall` is the whole update by the clock on the wall, `core` the time the
core worked for it, which a busy machine disturbs less: targets are judged by it. The stages are core times of a second
tracker, so that reading their clocks does not count in the first.

Afterwards a race: the same recorded detections, frame by frame, through ours and through trackers that a user could
install instead (benchmarks.peers), as far as they are here:

    pip install -e '.[bench]' && pip install --no-deps trackers norfair

Without dependencies, since `trackers` would put opencv-python over opencv-python-headless, and norfair 2.3 asks for
numpy 1; both run with what is here.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.association_race import OURS, Runner, growth, race, race_table
from benchmarks.conditions import conditions
from benchmarks.crowd import Crowd
from benchmarks.peers import PEERS
from edge.tracking.tracker import Tracker

PEOPLE = (0, 10, 50, 100, 200, 500)
RACE = (10, 50, 200, 500)
TARGETS_MS = {50: 0.5, 200: 3.0}
"""People: p50 of the core time that has to hold."""
WARM_UP = 20
"""Frames that do not count: caches, and the crowd's confirmation."""
STAGES = {
    "_select": "detections",
    "_advance": "predict",
    "_first_cost": "first cost",
    "_associate": "associate",
    "_correct": "update",
    "_start": "new",
    "_forget": "forget",
    "_report": "report",
}
"""The tracker's methods in order. `associate` includes `first cost`."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Milliseconds per frame."""

    p50_ms: float
    p95_ms: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Spread":
        p50, p95 = np.percentile(np.asarray(seconds) * 1e3, (50, 95))
        return cls(round(float(p50), 4), round(float(p95), 4))


@dataclass(frozen=True, slots=True)
class CrowdTimes:
    """What a crowd of one size costs."""

    people: int
    tracks: float
    """Mean number of tracks reported per frame."""
    wall: Spread
    core: Spread
    stages: dict[str, Spread]


def measure(people: int, frames: int) -> CrowdTimes:
    """Track a crowd of `people` for `frames` frames, twice: as it is, and with a clock in each stage."""
    crowd = Crowd(people)
    film = [crowd.step()[0] for _ in range(WARM_UP + frames)]
    whole, staged = Tracker(), Tracker()
    clocks = {stage: _clock(staged, method) for method, stage in STAGES.items()}
    wall: list[float] = []
    core: list[float] = []
    reported = 0
    for detections in tqdm(film, desc=f"{people} people", unit="frame", leave=False, disable=None):
        wall_start, core_start = time.perf_counter(), time.thread_time()
        tracks = whole.update(detections, crowd.dt_s)
        core.append(time.thread_time() - core_start)
        wall.append(time.perf_counter() - wall_start)
        reported += len(tracks)
        staged.update(detections, crowd.dt_s)
    return CrowdTimes(
        people=people,
        tracks=round(reported / len(film), 1),
        wall=Spread.of(wall[WARM_UP:]),
        core=Spread.of(core[WARM_UP:]),
        stages={stage: Spread.of(times[WARM_UP:] or [0.0]) for stage, times in clocks.items()},
    )


def table(results: Sequence[CrowdTimes]) -> str:
    """The results for people: p50/p95, milliseconds."""
    names = ["wall", "core", *STAGES.values()]
    lines = [f"{'people':>6} {'tracks':>6}" + "".join(f"{name:>15}" for name in names)]
    for result in results:
        spreads = [result.wall, result.core, *result.stages.values()]
        cells = "".join(f"{f'{spread.p50_ms:.3f}/{spread.p95_ms:.3f}':>15}" for spread in spreads)
        lines.append(f"{result.people:>6} {result.tracks:>6}{cells}")
    return "\n".join(lines)


def missed_targets(results: Sequence[CrowdTimes]) -> list[str]:
    """Sentences on the targets that do not hold."""
    return [
        f"{result.people} people: {result.core.p50_ms:.3f} ms of the core per frame, should be below {target} ms"
        for result in results
        if result.core.p50_ms >= (target := TARGETS_MS.get(result.people, np.inf))
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, save. Returns 1 when a target does not hold."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.association",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--people", type=int, nargs="+", default=PEOPLE, help="sizes of the crowd (default: %(default)s)"
    )
    parser.add_argument("--frames", type=int, default=300, help="frames per size (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers and their conditions here")
    parser.add_argument("--race", type=int, nargs="*", default=RACE, help="sizes of the race (default: %(default)s)")
    parser.add_argument("--race-frames", type=int, default=100, help="frames per size (default: %(default)s)")
    parser.add_argument("--peers", nargs="*", choices=tuple(PEERS), default=tuple(PEERS), help="default: all")
    options = parser.parse_args(arguments)
    if min(options.frames, options.race_frames) < 1 or min(options.people) < 0:
        parser.error("--frames must be at least 1 and --people 0 or more")
    results = [measure(people, options.frames) for people in options.people]
    threads = os.environ.get("OPENBLAS_NUM_THREADS", "as many as it likes")
    print(f"milliseconds per frame, p50/p95 over {options.frames} frames; BLAS threads: {threads}\n{table(results)}")
    exponent = growth({result.people: result.core.p50_ms for result in results})
    print(f"time grows as people^{exponent}")
    runners: list[Runner] = []
    missing: dict[str, str] = {}
    for people in options.race:
        found, missing = race(people, options.race_frames, options.peers)
        runners += found
    if runners:
        print(f"\nrace over {options.race_frames} recorded frames: p50, and times ours ({OURS})\n{race_table(runners)}")
    for name, reason in missing.items():
        print(f"{name} left out: {reason}")
    missed = missed_targets(results)
    for sentence in missed:
        print(sentence, file=sys.stderr)
    if options.json:
        report: dict[str, Any] = {"conditions": conditions(), "blas_threads": threads, "frames": options.frames}
        report["results"] = [asdict(result) for result in results]
        report |= {"growth": exponent, "race": [asdict(runner) for runner in runners], "left_out": missing}
        report["race_growth"] = {
            name: growth({runner.people: runner.p50_ms for runner in runners if runner.name == name})
            for name in dict.fromkeys(runner.name for runner in runners)
        }
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    return 1 if missed else 0


def _clock(tracker: Tracker, method: str) -> list[float]:
    """Seconds of each call of `method` of this one tracker, from now on."""
    seconds: list[float] = []
    original: Callable[..., Any] = getattr(tracker, method)

    def timed(*arguments: Any) -> Any:
        start = time.thread_time()
        result = original(*arguments)
        seconds.append(time.thread_time() - start)
        return result

    setattr(tracker, method, timed)
    return seconds


if __name__ == "__main__":
    sys.exit(main())
