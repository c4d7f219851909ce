"""A pipeline's day: lanes of all modes, ticks of some of them, changes on the way; networks that make errors show."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace

import numpy as np

from edge.ops.host import HostOps
from edge.pipeline.backend import Backend
from edge.pipeline.config import LaneSettings, PipelineSettings
from edge.pipeline.modes import MODES
from edge.pipeline.pipeline import TrackedFrame, TrackingPipeline
from edge.pipeline.tick import InFlight
from edge.sources.base import Frame
from engines.engine import Engine
from engines.host import HostDevice
from engines.signature import Signature
from tests.support.scripted_engine import Arrays, ScriptedEngine
from tests.support.tiny_pair import signature

SIZE = (64, 32)
SIGNATURES = {
    "teacher": signature("teacher", SIZE),
    "student": signature("student", SIZE, prior=True),
    "plain": signature("student", SIZE),
}

OF_CLASSES = {
    "teacher": replace(SIGNATURES["teacher"], classes=("person", "car")),
    "student": replace(SIGNATURES["student"], classes=("car", "person")),
    "plain": replace(SIGNATURES["plain"], classes=()),
}


def see(inputs: Arrays, outputs: Arrays) -> None:
    """One person per image, where its brightness says; every byte of image and prior counts for the score."""
    brightness = int(inputs["image"].max())
    x, y = 3 + brightness % 9, 2 + brightness % 4
    known = int(inputs["prior"].view(np.uint32).astype(np.uint64).sum() % 9973) if "prior" in inputs else 0
    outputs["scores"][0] = 0.5 + (known + int(inputs["image"].astype(np.uint32).sum() % 97)) / 2e4
    outputs["points"][0] = x + 0.5, y + 0.5
    outputs["boxes"][0] = 4 * x - 6, 4 * y - 8, 4 * x + 10, 4 * y + 16
    outputs["embeddings"][0] = 1, 0, 0
    if "classes" in outputs:
        outputs["classes"][0] = brightness % 2
    if "heatmap" in outputs:
        outputs["heatmap"][0] = np.random.default_rng(brightness).random(outputs["heatmap"].shape[1:], np.float32)


class Day:
    """What happens to a pipeline: lanes with modes and periods, ticks of some of them, changes on the way."""

    def __init__(self, seed: int, lanes: int = 6, ticks: int = 25) -> None:
        rng = np.random.default_rng(seed)
        self.lanes = [(f"lane{i}", int(rng.integers(1, 6)), str(rng.choice(list(MODES)))) for i in range(lanes)]
        self.lanes[0] = ("lane0", 2, "atttrack")
        self.ticks = []
        for index in range(ticks):
            present = [lane for lane, _, _ in self.lanes if lane == "lane0" or rng.random() < 0.8]
            changed = str(rng.choice(present)), str(rng.choice(list(MODES))), int(rng.integers(1, 6))
            frames = {lane: self.frame(lane, index, int(rng.integers(1, 250)), rng.random() < 0.05) for lane in present}
            self.ticks.append((frames, changed if rng.random() < 0.2 and changed[0] != "lane0" else None))

    @staticmethod
    def frame(lane: str, index: int, brightness: int, small: bool) -> Frame:
        height, width = (32, 32) if small else (32, 64)
        image = np.full((height, width, 3), (brightness + int(lane[4:])) % 255, np.uint8)
        return Frame(image, index, index / 25, 0.0, "media")

    def through(self, backend: Backend, budget_ms: float | None = None) -> list[TrackedFrame]:
        """All results; as many ticks in flight as the pipeline takes."""
        pipeline = TrackingPipeline(backend, PipelineSettings(max_lanes=len(self.lanes)))
        for lane, k, mode in self.lanes:
            pipeline.add_lane(lane, LaneSettings(k, mode, 0.1, student_every=1 + int(lane[4:]) % 3))
        return list(self._results(pipeline, budget_ms))

    def _results(self, pipeline: TrackingPipeline, budget_ms: float | None) -> Iterator[TrackedFrame]:
        waiting: deque[InFlight] = deque()
        for frames, change in self.ticks:
            if change:
                lane, mode, k = change
                pipeline.change_lane(lane, LaneSettings(k, mode, 0.1))
            waiting.append(pipeline.submit(frames, budget_ms))
            if len(waiting) == pipeline.depth:
                yield from pipeline.collect(waiting.popleft())
        while waiting:
            yield from pipeline.collect(waiting.popleft())


def swapping(backend: Backend, day: Day, make: Callable[[], Engine], seed: int) -> list[TrackedFrame]:
    """A day on which lanes get students of their own and lose them, while ticks are in flight."""
    rng = np.random.default_rng(seed)
    pipeline = TrackingPipeline(backend, PipelineSettings(max_lanes=len(day.lanes)))
    for lane, k, mode in day.lanes:
        pipeline.add_lane(lane, LaneSettings(k, mode, 0.1, student_every=1 + int(lane[4:]) % 3))  # type: ignore[arg-type]
    own = [make(), make(), None]
    results: list[TrackedFrame] = []
    waiting: deque[InFlight] = deque()
    for ticks, change in day.ticks:
        if change:
            lane, mode, k = change
            pipeline.change_lane(lane, LaneSettings(k, mode, 0.1))  # type: ignore[arg-type]
        for lane, _, _ in day.lanes:
            if rng.random() < 0.4:
                pipeline.set_student(lane, own[int(rng.integers(3))])
        waiting.append(pipeline.submit(ticks))
        if len(waiting) == pipeline.depth:
            results += pipeline.collect(waiting.popleft())
    while waiting:
        results += pipeline.collect(waiting.popleft())
    return results


def assert_same(ours: list[TrackedFrame], theirs: list[TrackedFrame]) -> None:
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        where = (a.lane_id, a.frame.index)
        for name in ("lane_id", "kind", "settings", "since_teacher", "epoch"):
            assert getattr(a, name) == getattr(b, name), (where, name)
        for ours_too, theirs_too in ((a.tracks, b.tracks), (a.tracks.gone, b.tracks.gone)):
            for one in fields(ours_too):
                if one.name != "gone":
                    same = np.array_equal(getattr(ours_too, one.name), getattr(theirs_too, one.name))
                    assert same, (where, one.name)


def on_host(signatures: Mapping[str, Signature] = SIGNATURES) -> Backend:
    """The scripted networks where everything happens at once."""
    return Backend(HostDevice(), HostOps(), **{name: ScriptedEngine(s, see) for name, s in signatures.items()})
