"""Our tracker beside others, frame by frame in the same run: how much longer do they take, and how does it grow?"""

import math
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.crowd import Crowd
from benchmarks.peers import open_peers
from edge.tracking.tracker import Tracker

OURS = "AttTrack"
WARM_UP = 20
"""Frames that do not count."""
GROWTH_FROM = 10
"""People; below, what a frame costs at all hides how it grows."""


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


def race(people: int, frames: int, peers: Sequence[str], seed: int = 0) -> tuple[list[Runner], dict[str, str]]:
    """Everybody tracks the same recorded detections, each frame one after the other; and who is left out and why.

    Ours gets embeddings of 64 numbers and uses them; the peers have boxes and scores alone.
    """
    crowd = Crowd(people, seed)
    film = [crowd.step()[0] for _ in range(WARM_UP + frames)]
    opened, missing = open_peers(peers)
    ours = Tracker()
    entrants: list[tuple[Any, list[Any]]] = [(lambda seen: ours.update(seen, crowd.dt_s), film)]
    entrants += [(peer.update, [peer.convert(seen) for seen in film]) for peer in opened]
    times = np.zeros((len(film), len(entrants)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs
        for row in tqdm(range(len(film)), desc=f"race of {people}", unit="frame", leave=False, disable=None):
            for column, (update, seen) in enumerate(entrants):
                begin = time.perf_counter()
                update(seen[row])
                times[row, column] = time.perf_counter() - begin
    times = times[WARM_UP:]
    names = [(OURS, ""), *((peer.name, peer.version) for peer in opened)]
    runners = []
    for column, (name, version) in enumerate(names):
        p50, p95 = (1e3 * np.percentile(times[:, column], (50, 95))).tolist()
        ratio = float(np.median(times[:, column] / times[:, 0]))
        runners.append(Runner(name, version, people, round(p50, 4), round(p95, 4), round(ratio, 3)))
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
