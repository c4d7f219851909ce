"""Rates relative to that of the teacher alone, measured in turns so short that a machine's drift falls on both.

A machine changes its clock, and others work on it, within a second. So in a block the teacher alone and some arm at
some K take turns of a tenth of a second, each with its own tracker, and each turn's rate is divided by that of the
teacher's turn before it. The block's ratio is the median of these: a turn that was held up does not count. Blocks of
all arms and periods come in a new random order each time round. After the rounds that all take part in, those whose
ratio is not certain enough go on.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from statistics import median
from time import perf_counter

import numpy as np
from tqdm import tqdm

from benchmarks.arms import Arm, FrameTracker, has_period
from edge.pipeline.backend import Backend
from edge.pipeline.config import PipelineSettings
from edge.pipeline.pipeline import TrackingPipeline
from edge.sources.base import Frame

LEAST_WARM_UP = 3
"""Frames that do not count at a block's beginning; a whole period where that is longer."""
TURN_S = 0.08
"""A turn ends with the first whole period after this."""
MOST_ROUNDS = 4
"""No ratio is measured more often than this times the rounds that all take part in, however uncertain it stays."""
ERROR_OF_QUARTILE = 1.01
"""Standard error of a quartile of n normal numbers is this times their quartiles' distance / sqrt(n)."""


@dataclass(frozen=True, slots=True)
class TimedBlock:
    """What one stretch of frames took."""

    fps: float
    latencies_ms: dict[str, list[float]]  # by kind of frame
    stages_ms: dict[str, float]  # per frame that the stage treated


@dataclass(frozen=True, slots=True)
class PairedBlock:
    """An arm's turns, and the teacher's between them."""

    reference: TimedBlock
    block: TimedBlock
    ratio: float
    """Of the two rates, the arm's over the teacher's: the median over turns."""


@dataclass(slots=True)
class Setting:
    """One arm at one period, and all its blocks."""

    arm: Arm
    k: int
    blocks: list[TimedBlock] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    """Of each block; none for the reference."""


def undisturbed(values: Sequence[float]) -> float:
    """The third quartile of rates, or of ratios to the teacher's.

    What else a machine does makes frames slower, never faster; with one thread per network, light ones more than heavy
    ones. So blocks scatter to one side: there, two runs' third quartiles differ less than their medians (rms 0.7 to
    1.1 %). With both cores they differ a little more (1.1 to 0.8 %), but still tell what the machine can do.
    """
    return float(np.percentile(values, 75))


def relative_error(values: Sequence[float]) -> float:
    """Standard error of `undisturbed(values)`, divided by it."""
    low, high = (float(quartile) for quartile in np.percentile(values, (25, 75)))
    return ERROR_OF_QUARTILE * (high - low) / high / math.sqrt(len(values))


class Player:
    """One arm at one period within a block: plays frames to its tracker, with a stopwatch."""

    def __init__(self, tracker: FrameTracker, frames: Sequence[Frame]) -> None:
        self._tracker, self._frames = tracker, ping_pong(frames)
        self._watches = tracker.pipeline.times.stages()
        self._latencies: dict[str, list[float]] = {"teacher": [], "student": [], "predicted": []}
        for _ in range(tracker.k * -(-LEAST_WARM_UP // tracker.k)):
            tracker.track(next(self._frames))
        self._before = {name: (watch.seconds, watch.frames) for name, watch in self._watches.items()}

    def turn(self) -> float:
        """Whole periods for at least TURN_S; returns seconds per frame."""
        frames, total_s = 0, 0.0
        while total_s < TURN_S:
            for _ in range(self._tracker.k):
                frame = next(self._frames)
                started_s = perf_counter()
                tracked = self._tracker.track(frame)
                took_s = perf_counter() - started_s
                self._latencies[tracked.kind].append(1e3 * took_s)
                total_s += took_s
            frames += self._tracker.k
        return total_s / frames

    def block(self) -> TimedBlock:
        """All turns so far."""
        times_ms = [value for values in self._latencies.values() for value in values]
        stages = {
            name: 1e3 * (watch.seconds - self._before[name][0]) / max(watch.frames - self._before[name][1], 1)
            for name, watch in self._watches.items()
        }
        return TimedBlock(1e3 * len(times_ms) / sum(times_ms), self._latencies, stages)


class Bench:
    """A pipeline for the teacher alone and one for the others, and the frames that everybody sees."""

    def __init__(self, backend: Backend, frames: Sequence[Frame]) -> None:
        self._reference, self._pipeline = (TrackingPipeline(backend, PipelineSettings(max_lanes=1)) for _ in range(2))
        self._frames = frames

    def block(self, arm: Arm, k: int, turns: int) -> PairedBlock:
        """Warm up, then `turns` turns each."""
        with FrameTracker(self._reference, "teacher") as teacher, FrameTracker(self._pipeline, arm, k) as other:
            reference, player = Player(teacher, self._frames), Player(other, self._frames)
            ratios = [reference.turn() / player.turn() for _ in range(turns)]
            return PairedBlock(reference.block(), player.block(), median(ratios))


def ping_pong(frames: Sequence[Frame]) -> Iterator[Frame]:
    """Forwards, backwards and so on without end; people never jump, and time always goes on."""
    steps_s = [after.time_s - before.time_s for before, after in pairwise(frames)]
    position, direction, time_s, index = 0, 1, frames[0].time_s, 0
    while True:
        yield replace(frames[position], time_s=time_s, index=index)
        if not 0 <= position + direction < len(frames):
            direction = -direction
        time_s += steps_s[min(position, position + direction)]
        position, index = position + direction, index + 1


def measure(
    bench: Bench, arms: Sequence[Arm], periods: Sequence[int], turns: int, repeats: int, error: float = math.inf
) -> tuple[Setting, list[Setting]]:
    """The reference and all others: `repeats` blocks each, and more while a ratio's relative error is above `error`."""
    reference = Setting("teacher", 1)
    settings = [Setting(arm, k) for arm in arms if arm != "teacher" for k in (periods if has_period(arm) else [1])]
    rng = np.random.default_rng(0)
    planned = len(settings) * repeats
    with tqdm(total=planned, unit="block", desc="fps", disable=None) as progress:
        for wanted in _rounds(settings, repeats, error):
            progress.total = max(planned, progress.n + len(wanted))
            for chosen in rng.permutation(len(wanted)).tolist():
                setting = wanted[chosen]
                found = bench.block(setting.arm, setting.k, turns)
                reference.blocks.append(found.reference)
                setting.blocks.append(found.block)
                setting.ratios.append(found.ratio)
                progress.update()
    return reference, settings


def _rounds(settings: Sequence[Setting], repeats: int, error: float) -> Iterator[Sequence[Setting]]:
    """Who takes part in each round."""
    for _ in range(repeats):
        yield settings
    for _ in range((MOST_ROUNDS - 1) * repeats):
        uncertain = [setting for setting in settings if relative_error(setting.ratios) > error]
        if not uncertain:
            return
        yield uncertain
