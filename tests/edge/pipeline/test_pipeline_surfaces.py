"""Pictures that a video unit leaves on a device that works on its own: nothing races, nothing crosses the host."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edge.arrays import U8
from edge.ops.pixels import Surface
from edge.pipeline.backend import Backend
from edge.pipeline.pipeline import TrackedFrame
from edge.sources.base import Frame
from tests.support.day import SIGNATURES, Day, assert_same, on_host, see
from tests.support.recording_device import DeviceArray, Race, RecordingDevice, RecordingEngine, RecordingOps


class Unit:
    """Decodes on a queue of its own into memory that it takes back when a picture is gone, and uses again."""

    def __init__(self, device: RecordingDevice, *, hasty: bool = False) -> None:
        self.device, self.queue, self.hasty = device, device.cuda_stream(), hasty
        self.free: list[tuple[DeviceArray, DeviceArray]] = []
        self.memories = 0

    def decode(self, nv12: U8) -> Surface:
        height, pitch = nv12.shape[0] * 2 // 3, 64
        fitting = [planes for planes in self.free if planes[0].shape == (height, pitch)]
        if fitting:
            self.free.remove(fitting[0])
        else:
            self.memories += 1
        planes = fitting[0] if fitting else (self.make(height, pitch), self.make(height // 2, pitch))

        def work() -> None:
            planes[0]._data[:, : nv12.shape[1]] = nv12[:height]
            planes[1]._data[:, : nv12.shape[1]] = nv12[height:]

        self.queue.enqueue("the video unit", work, [], planes)
        if self.hasty:
            self.free.append(planes)
        return Surface(*planes, nv12.shape[1], self.queue.record(), self.device, Owner(self, planes))

    def make(self, rows: int, pitch: int) -> DeviceArray:
        return self.device.empty((rows, pitch), np.uint8)


class Owner:
    def __init__(self, unit: Unit, planes: tuple[DeviceArray, DeviceArray]) -> None:
        self.unit, self.planes = unit, planes

    def __del__(self) -> None:
        if not self.unit.hasty:
            self.unit.free.append(self.planes)


def as_nv12(frame: Frame) -> U8:
    shade, (width, height) = int(frame.image[0, 0, 0]), frame.size
    nv12 = np.full((height * 3 // 2, width), shade, np.uint8)
    nv12[height:] = 128
    return nv12


class FilmedDay(Day):
    """A day whose pictures are decoded when their tick comes, and forgotten when its results are there."""

    unit: Unit | None = None

    def through(self, backend: Backend) -> list[TrackedFrame]:
        ticks = self.ticks
        self.ticks = self._decoded(ticks)  # type: ignore[assignment]
        try:
            return super().through(backend)
        finally:
            self.ticks = ticks

    def _decoded(self, ticks: list[Any]) -> Iterator[Any]:
        for frames, change in ticks:
            pictures = {lane: as_nv12(frame) for lane, frame in frames.items()}
            decoded = {lane: self.unit.decode(nv12) if self.unit else nv12 for lane, nv12 in pictures.items()}
            yield {lane: replace(frame, pixels=decoded.pop(lane)) for lane, frame in frames.items()}, change

    def _results(self, pipeline: Any, budget_ms: float | None) -> Iterator[TrackedFrame]:
        nothing = np.zeros((2, 2, 3), np.uint8)
        for tracked in super()._results(pipeline, budget_ms):
            yield replace(tracked, frame=replace(tracked.frame, pixels=nothing))


def filmed(day: int, chance: int, *, hasty: bool = False) -> tuple[list[TrackedFrame], Unit]:
    device = RecordingDevice(chance)
    copy = device.copy

    def only_from_the_device(source: Any, out: Any, cuda_stream: Any) -> None:
        assert isinstance(source, DeviceArray), "something of the host's went to the device"
        copy(source, out, cuda_stream)

    device.copy = only_from_the_device
    engines = {name: RecordingEngine(s, see, device) for name, s in SIGNATURES.items()}
    plan = FilmedDay(day)
    plan.unit = Unit(device, hasty=hasty)
    return plan.through(Backend(device, RecordingOps(), **engines)), plan.unit


@pytest.mark.parametrize(("day", "chance"), [(0, 0), (1, 7), (2, 5), (99, 1234)])
def test_pictures_that_stay_on_the_device_give_what_the_host_gives(day: int, chance: int) -> None:
    expected = FilmedDay(day).through(on_host())
    assert any(len(tracked.tracks) for tracked in expected)
    found, unit = filmed(day, chance)
    assert_same(found, expected)
    assert unit.memories < len(found) / 2, "memory is used again"


def test_a_picture_whose_memory_is_used_again_too_early_is_noticed() -> None:
    with pytest.raises(Race, match="the video unit"):
        for seed in range(4):
            filmed(seed, seed, hasty=True)
