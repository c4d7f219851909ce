"""Milliseconds that the tracker takes per frame, by size of the crowd, and beside trackers that others make.

    OPENBLAS_NUM_THREADS=1 atttrack bench association
    OPENBLAS_NUM_THREADS=1 atttrack bench association --people 50 200 --frames 500 --json association.json

A drawn crowd (testbed.crowd) walks at 30 frames per second with misses and false alarms, embeddings of 64 numbers; the
variable keeps NumPy on one core. `wall` is the whole update by the clock on the wall, `core` the time the core worked
for it, which a busy machine disturbs less: targets are judged by it.

Afterwards a race: the same recorded detections, frame by frame, through ours and through trackers that a user could
install instead (benchmarks.speed.peers), as far as they are here:

    pip install -e '.[bench]' && pip install --no-deps trackers norfair

Without dependencies, since `trackers` would put opencv-python over opencv-python-headless, and norfair 2.3 asks for
numpy 1; both run with what is here.
"""

import json
import math
import os
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.command import command
from benchmarks.conditions import conditions
from benchmarks.speed.peers import PEERS, Peer, open_peers
from edge.tracking.detections import Detections
from edge.tracking.tracker import Tracker
from testbed.crowd import Crowd

PEOPLE = (0, 10, 50, 100, 200, 500)
RACE = (10, 50, 200, 500)
OURS = "AttTrack"
TARGETS_MS = {50: 0.5, 200: 3.0}
"""People: p50 of the core time that has to hold."""
WARM_UP = 20
"""Frames that do not count: caches, and the crowd's confirmation."""
GROWTH_FROM = 10
"""People; below, what a frame costs at all hides how it grows."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Milliseconds per frame."""

    p50_ms: float
    p95_ms: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Spread":
        """Of each frame's time."""
        return cls(*(round(float(ms), 4) for ms in np.percentile(np.asarray(seconds) * 1e3, (50, 95))))

    def __str__(self) -> str:
        return f"{self.p50_ms:.3f}/{self.p95_ms:.3f}"


@dataclass(frozen=True, slots=True)
class CrowdTimes:
    """What a crowd of one size costs."""

    people: int
    tracks: float
    """Mean number of tracks reported per frame."""
    wall: Spread
    core: Spread


@dataclass(frozen=True, slots=True)
class Runner:
    """One tracker among a crowd of one size."""

    name: str
    version: str
    people: int
    p50_ms: float
    p95_ms: float
    ratio: float
    """Its time over ours in the same frame, median over the frames; ours is 1."""


def film(crowd: Crowd, frames: int) -> list[Detections]:
    """What a network would see of the crowd, in `frames` frames after the warm-up."""
    return [crowd.step()[0] for _ in range(WARM_UP + frames)]


def measure(people: int, frames: int) -> CrowdTimes:
    """Track a crowd of `people` for `frames` frames."""
    crowd, tracker = Crowd(people), Tracker()
    times: list[tuple[float, float, int]] = []
    for seen in tqdm(film(crowd, frames), desc=f"{people} people", unit="frame", leave=False, disable=None):
        wall_s, core_s = time.perf_counter(), time.thread_time()
        tracks = tracker.update(seen, crowd.dt_s)
        core_s, wall_s = time.thread_time() - core_s, time.perf_counter() - wall_s
        times.append((wall_s, core_s, len(tracks)))
    wall, core, _ = zip(*times[WARM_UP:], strict=True)
    return CrowdTimes(people, round(sum(n for *_, n in times) / len(times), 1), Spread.of(wall), Spread.of(core))


def race(people: int, frames: int, peers: Sequence[str], seed: int = 0) -> tuple[list[Runner], dict[str, str]]:
    """Everybody tracks the same recorded detections, each frame one after the other; and who is left out and why.

    Ours gets embeddings of 64 numbers and uses them; the peers have boxes and scores alone.
    """
    crowd = Crowd(people, seed)
    recorded, ours = film(crowd, frames), Tracker()
    opened, missing = open_peers(peers)
    everybody = [Peer(OURS, "", lambda seen: seen, lambda seen: ours.update(seen, crowd.dt_s)), *opened]
    theirs = [[peer.convert(seen) for seen in recorded] for peer in everybody]
    times = np.zeros((len(recorded), len(everybody)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs
        for row in tqdm(range(len(recorded)), desc=f"race of {people}", unit="frame", leave=False, disable=None):
            for column, peer in enumerate(everybody):
                begin_s = time.perf_counter()
                peer.update(theirs[column][row])
                times[row, column] = time.perf_counter() - begin_s
    times = times[WARM_UP:]
    ratios = np.median(times / times[:, :1], axis=0).round(3).tolist()
    spreads = [Spread.of(column) for column in times.T.tolist()]
    runners = [
        Runner(peer.name, peer.version, people, spread.p50_ms, spread.p95_ms, ratio)
        for peer, spread, ratio in zip(everybody, spreads, ratios, strict=True)
    ]
    return runners, missing


def growth(times_ms: Mapping[int, float]) -> float | None:
    """The exponent e of time ~ people ** e, fitted to times by number of people; None for fewer than two sizes."""
    points = [(math.log(people), math.log(ms)) for people, ms in times_ms.items() if people >= GROWTH_FROM and ms > 0]
    if len({x for x, _ in points}) < 2:
        return None
    x, y = np.array(points).T
    return round(float(np.polyfit(x, y, 1)[0]), 2)


def race_table(runners: Sequence[Runner]) -> str:
    """A line per tracker, a column per size: p50 in ms and the ratio to ours; last the growth."""
    sizes = sorted({runner.people for runner in runners})
    lines = [f"{'tracker':<18}" + "".join(f"{f'{people} people':>18}" for people in sizes) + "   time ~ people^"]
    for name in dict.fromkeys(runner.name for runner in runners):
        mine = {runner.people: runner for runner in runners if runner.name == name}
        cells = [f"{mine[n].p50_ms:.2f} ms {mine[n].ratio:.1f}x" if n in mine else "-" for n in sizes]
        exponent = growth({people: runner.p50_ms for people, runner in mine.items()})
        lines.append(f"{name:<18}" + "".join(f"{cell:>18}" for cell in cells) + f"   {exponent}")
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
    parser = command("association", __doc__)
    parser.add_argument("--people", type=int, nargs="+", default=PEOPLE, help="crowds' sizes (default: %(default)s)")
    parser.add_argument("--frames", type=int, default=300, help="frames per size (default: %(default)s)")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write the numbers and their conditions here (default: nowhere)"
    )
    parser.add_argument("--race", type=int, nargs="*", default=RACE, help="sizes of the race (default: %(default)s)")
    parser.add_argument("--race-frames", type=int, default=100, help="frames per size (default: %(default)s)")
    parser.add_argument("--peers", nargs="*", choices=tuple(PEERS), default=tuple(PEERS), help="default: all")
    options = parser.parse_args(arguments)
    if min(options.frames, options.race_frames) < 1 or min(options.people) < 0:
        parser.error("--frames must be at least 1 and --people 0 or more")
    results = [measure(people, options.frames) for people in options.people]
    threads = os.environ.get("OPENBLAS_NUM_THREADS", "as many as it likes")
    print(f"milliseconds per frame, p50/p95 over {options.frames} frames; BLAS threads: {threads}")
    print(f"{'people':>6} {'tracks':>6} {'wall':>15} {'core':>15}")
    for one in results:
        print(f"{one.people:>6} {one.tracks:>6} {one.wall!s:>15} {one.core!s:>15}")
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
    for sentence in (missed := missed_targets(results)):
        print(sentence, file=sys.stderr)
    if options.json:
        report: dict[str, Any] = {"conditions": conditions(), "blas_threads": threads, "frames": options.frames}
        report |= {"results": [asdict(one) for one in results], "growth": exponent, "left_out": missing}
        options.json.write_text(json.dumps(report | {"race": [asdict(one) for one in runners]}, indent=1) + "\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
