"""Milliseconds that the tracker takes per frame, by size of the crowd, beside trackers that others make.

    OPENBLAS_NUM_THREADS=1 atttrack bench association
    OPENBLAS_NUM_THREADS=1 atttrack bench association --people 50 200 --frames 500 --json association.json

A drawn crowd (testbed.crowd) walks at 30 frames per second with misses and false alarms, embeddings of 64 numbers; the
variable keeps NumPy on one core. What was recorded goes, frame by frame, through ours and through trackers that a user
could install instead (benchmarks.speed.peers), as far as they are here:

    pip install -e '.[bench]' && pip install --no-deps trackers norfair

Without dependencies, since `trackers` would put opencv-python over opencv-python-headless, and norfair 2.3 asks for
numpy 1; both run with what is here. `wall` is the whole update by the clock on the wall, `core` the time the core
worked for it, which a busy machine disturbs less: targets are judged by it.
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
from edge.tracking.tracker import Tracker
from testbed.crowd import Crowd

PEOPLE = (0, 10, 50, 100, 200, 500)
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
class Racer:
    """One tracker among a crowd of one size."""

    name: str
    version: str
    people: int
    tracks: float
    """Mean number of tracks reported per frame."""
    wall: Spread
    core: Spread
    ratio: float
    """Its time over ours in the same frame, median over the frames; ours is 1."""


def race(people: int, frames: int, peers: Sequence[str]) -> tuple[list[Racer], dict[str, str]]:
    """Everybody, ours first, tracks the same recorded detections, each frame one after the other; and who is left out.

    Ours gets embeddings and uses them; the peers have boxes and scores alone.
    """
    crowd, ours = Crowd(people), Tracker()
    recorded = [crowd.step()[0] for _ in range(WARM_UP + frames)]
    opened, missing = open_peers(peers)
    everybody = [Peer(OURS, "", lambda seen: seen, lambda seen: ours.update(seen, crowd.dt_s)), *opened]
    theirs = [[peer.convert(seen) for seen in recorded] for peer in everybody]
    times = np.zeros((len(recorded), len(everybody), 3))  # wall, core, tracks
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs
        for row in tqdm(range(len(recorded)), desc=f"{people} people", unit="frame", leave=False, disable=None):
            for column, peer in enumerate(everybody):
                wall_s, core_s = time.perf_counter(), time.thread_time()
                tracks = peer.update(theirs[column][row])
                core_s, wall_s = time.thread_time() - core_s, time.perf_counter() - wall_s
                times[row, column] = wall_s, core_s, len(tracks)
    wall, core, counts = np.moveaxis(times[WARM_UP:], 2, 0)
    ratios = np.median(wall / wall[:, :1], axis=0).round(3).tolist()
    racers = [
        Racer(
            peer.name,
            peer.version,
            people,
            round(counts[:, i].mean(), 1),
            Spread.of(wall[:, i]),
            Spread.of(core[:, i]),
            ratios[i],
        )
        for i, peer in enumerate(everybody)
    ]
    return racers, missing


def growth(times_ms: Mapping[int, float]) -> float | None:
    """The exponent e of time ~ people ** e, fitted to times by number of people; None for fewer than two sizes."""
    points = [(math.log(people), math.log(ms)) for people, ms in times_ms.items() if people >= GROWTH_FROM and ms > 0]
    if len({x for x, _ in points}) < 2:
        return None
    x, y = np.array(points).T
    return round(float(np.polyfit(x, y, 1)[0]), 2)


def table(racers: Sequence[Racer]) -> str:
    """A line per tracker and size; the growth of each last."""
    lines = [f"{'tracker':<18}{'people':>7}{'tracks':>8}{'wall p50/p95':>17}{'core p50/p95':>17}{'times ours':>12}"]
    for one in sorted(racers, key=lambda one: one.people):
        lines.append(f"{one.name:<18}{one.people:>7}{one.tracks:>8}{one.wall!s:>17}{one.core!s:>17}{one.ratio:>12.1f}")
    for name in dict.fromkeys(one.name for one in racers):
        exponent = growth({one.people: one.core.p50_ms for one in racers if one.name == name})
        lines.append(f"{name:<18} time grows as people^{exponent}")
    return "\n".join(lines)


def missed_targets(racers: Sequence[Racer]) -> list[str]:
    """Sentences on our targets that do not hold."""
    return [
        f"{one.people} people: {one.core.p50_ms:.3f} ms of the core per frame, should be below {target} ms"
        for one in racers
        if one.name == OURS and one.core.p50_ms >= (target := TARGETS_MS.get(one.people, np.inf))
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, save. Returns 1 when a target does not hold."""
    parser = command("association", __doc__)
    parser.add_argument("--people", type=int, nargs="+", default=PEOPLE, help="crowds' sizes")
    parser.add_argument("--frames", type=int, default=300, help="frames per size")
    parser.add_argument("--peers", nargs="*", choices=tuple(PEERS), default=tuple(PEERS), help="default: all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="file for the numbers (default: nowhere)")
    options = parser.parse_args(arguments)
    if options.frames < 1 or min(options.people) < 0:
        parser.error("--frames must be at least 1 and --people 0 or more")
    threads = os.environ.get("OPENBLAS_NUM_THREADS", "as many as it likes")
    racers: list[Racer] = []
    missing: dict[str, str] = {}
    for people in options.people:
        found, missing = race(people, options.frames, options.peers)
        racers += found
    print(f"milliseconds per frame, over {options.frames} frames; BLAS threads: {threads}\n{table(racers)}")
    for name, reason in missing.items():
        print(f"{name} left out: {reason}")
    for sentence in (missed := missed_targets(racers)):
        print(sentence, file=sys.stderr)
    if options.json:
        report: dict[str, Any] = {"conditions": conditions(), "blas_threads": threads, "frames": options.frames}
        report |= {"left_out": missing, "results": [asdict(one) for one in racers]}
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
