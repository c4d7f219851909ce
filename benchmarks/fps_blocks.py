"""Short timed blocks of frames, each between two of the teacher alone: rates relative to it outlive a machine's drift.

A machine changes its clock, and others work on it, within seconds. So nothing is compared with what was measured
minutes before: a block of some arm at some K lasts a second or so, and its rate is divided by the mean of the two
reference blocks next to it. Arms and periods come in a new random order each time round.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np
from tqdm import tqdm

from benchmarks.frame_skipping import Arm, FrameTracker, has_period
from edge.backend import Backend
from edge.config import PipelineSettings
from edge.pipeline import TrackingPipeline
from edge.sources.base import Frame

LEAST_WARM_UP = 3
"""Frames that do not count at a block's beginning; a whole period where that is longer."""


@dataclass(frozen=True, slots=True)
class Block:
    """What one stretch of frames took."""

    fps: float
    latencies_ms: dict[str, list[float]]  # by kind of frame
    stages_ms: dict[str, float]  # per frame that the stage treated


@dataclass(slots=True)
class Setting:
    """One arm at one period, and all its blocks."""

    arm: Arm
    k: int
    blocks: list[Block] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    """Rate over that of the reference next to it, one per repeat."""


class Bench:
    """A pipeline with a place for one source, and the frames that every block sees."""

    def __init__(self, backend: Backend, frames: Sequence[Frame]) -> None:
        self._pipeline = TrackingPipeline(backend, PipelineSettings(max_lanes=1))
        self._frames = frames

    def block(self, arm: Arm, k: int, frames: int) -> Block:
        """Warm up, then time whole periods: at least `frames` frames."""
        latencies: dict[str, list[float]] = {"teacher": [], "student": [], "predicted": []}
        warm_up, timed = block_frames(k, frames)
        watches = self._pipeline.times.stages()
        with FrameTracker(self._pipeline, arm, k) as tracker:
            for frame in self._frames[:warm_up]:
                tracker.track(frame)
            before = {name: (watch.seconds, watch.frames) for name, watch in watches.items()}
            for frame in self._frames[warm_up : warm_up + timed]:
                started_s = perf_counter()
                tracked = tracker.track(frame)
                latencies[tracked.kind].append(1e3 * (perf_counter() - started_s))
        stages = {
            name: 1e3 * (watch.seconds - seconds) / max(watch.frames - count, 1)
            for (name, watch), (seconds, count) in zip(watches.items(), before.values(), strict=True)
        }
        total_ms = sum(map(sum, latencies.values()))
        return Block(1e3 * timed / total_ms, latencies, stages)


def block_frames(k: int, frames: int) -> tuple[int, int]:
    """Frames that do not count and frames that do; both are whole periods."""
    return k * -(-LEAST_WARM_UP // k), k * -(-frames // k)


def measure(
    bench: Bench, arms: Sequence[Arm], periods: Sequence[int], frames: int, repeats: int
) -> tuple[Setting, list[Setting]]:
    """The reference and all others; the reference's blocks are half as long."""
    reference = Setting("teacher", 1)
    settings = [Setting(arm, k) for arm in arms if arm != "teacher" for k in (periods if has_period(arm) else [1])]
    order = list(_shuffled(len(settings), repeats))
    half = -(-frames // 2)
    reference.blocks.append(bench.block("teacher", 1, half))
    for chosen in tqdm(order, unit="block", desc="fps", disable=None):
        setting = settings[chosen]
        setting.blocks.append(bench.block(setting.arm, setting.k, frames))
        reference.blocks.append(bench.block("teacher", 1, half))
        before, after = (block.fps for block in reference.blocks[-2:])
        setting.ratios.append(setting.blocks[-1].fps * (1 / before + 1 / after) / 2)
    return reference, settings


def _shuffled(count: int, repeats: int) -> Iterator[int]:
    rng = np.random.default_rng(0)
    for _ in range(repeats):
        yield from rng.permutation(count).tolist()
