"""Milliseconds that the tracker takes per frame, by size of the crowd.

    OPENBLAS_NUM_THREADS=1 atttrack bench association
    OPENBLAS_NUM_THREADS=1 atttrack bench association --people 50 200 --frames 500 --output runs

A drawn crowd (testbed.crowd) walks at 30 frames per second with misses and false alarms, embeddings of 64 numbers; the
variable keeps NumPy on one core. `wall` is the whole update by the clock on the wall, `core` the time the core worked
for it, which a busy machine disturbs less: targets are judged by it.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.command import command
from benchmarks.conditions import RESULTS, conditions, percentiles, save
from edge.tracking.tracker import Tracker
from testbed.crowd import CrowdFilm

PEOPLE = (0, 10, 50, 100, 200, 500)
TARGETS_MS = {50: 0.5, 200: 3.0}
"""People: p50 of the core time that has to hold."""
WARM_UP = 20
"""Frames that do not count: caches, and the crowd's confirmation."""


@dataclass(frozen=True, slots=True)
class CrowdTimes:
    """What a crowd of one size costs."""

    people: int
    tracks: float
    """Mean number of tracks reported per frame."""
    wall_ms: dict[str, float]
    """Per frame: percentiles."""
    core_ms: dict[str, float]


def measure(people: int, frames: int) -> CrowdTimes:
    """Track a crowd of `people` for `frames` frames after the warm-up."""
    crowd, tracker = CrowdFilm(people), Tracker()
    film = [crowd.step()[0] for _ in range(WARM_UP + frames)]
    times: list[tuple[float, float, int]] = []
    for seen in tqdm(film, desc=f"{people} people", unit="frame", leave=False, disable=None):
        wall_s, core_s = time.perf_counter(), time.thread_time()
        tracks = tracker.update(seen, crowd.dt_s)
        core_s, wall_s = time.thread_time() - core_s, time.perf_counter() - wall_s
        times.append((wall_s, core_s, len(tracks)))
    wall_ms, core_ms = (percentiles([1e3 * one[clock] for one in times[WARM_UP:]]) for clock in (0, 1))
    return CrowdTimes(people, round(sum(n for *_, n in times) / len(times), 1), wall_ms, core_ms)


def missed_targets(results: Sequence[CrowdTimes]) -> list[str]:
    """Sentences on the targets that do not hold."""
    return [
        f"{result.people} people: {result.core_ms['p50']:.3f} ms of the core per frame, should be below {target} ms"
        for result in results
        if result.core_ms["p50"] >= (target := TARGETS_MS.get(result.people, np.inf))
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, save. Returns 1 when a target does not hold."""
    parser = command("association", __doc__)
    parser.add_argument("--people", type=int, nargs="+", default=PEOPLE, help="crowds' sizes")
    parser.add_argument("--frames", type=int, default=300, help="frames per size")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="DIR", help="folder for association.json")
    parser.add_argument("--json", type=Path, help=argparse.SUPPRESS)  # the file itself, as it was before
    options = parser.parse_args(arguments)
    if options.frames < 1 or min(options.people) < 0:
        parser.error("--frames must be at least 1 and --people 0 or more")
    results = [measure(people, options.frames) for people in options.people]
    threads = os.environ.get("OPENBLAS_NUM_THREADS", "as many as it likes")
    print(f"milliseconds per frame, p50/p95 over {options.frames} frames; BLAS threads: {threads}")
    print(f"{'people':>6} {'tracks':>6} {'wall':>15} {'core':>15}")
    for one in results:
        wall, core = (f"{clock['p50']:.3f}/{clock['p95']:.3f}" for clock in (one.wall_ms, one.core_ms))
        print(f"{one.people:>6} {one.tracks:>6} {wall:>15} {core:>15}")
    for sentence in (missed := missed_targets(results)):
        print(sentence, file=sys.stderr)
    about = {"conditions": conditions(), "blas_threads": threads, "frames": options.frames}
    path: Path = options.json or options.output / "association.json"
    print(f"saved {save(path.stem, about | {'results': [asdict(one) for one in results]}, path.parent)}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
