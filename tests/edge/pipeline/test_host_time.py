"""The host keeps up with many streams on a GPU: in small steps of NumPy, so the machine's own speed does not count.

The driver does nothing, at once. Drawn crowds are the networks' answers, at K=6 with the shipped mode. Pictures come as
the readers of cameras send them: on their way to the device. Counted is the time that the device thread worked. What a
driver itself takes, some microseconds for each call, is left out: the calls of a tick are as many for one lane as for a
hundred.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from edge.ops.cuda_ops import CudaOps
from edge.ops.letterbox import Letterbox
from edge.ops.pixels import BT601, Uploaded
from edge.pipeline.backend import Backend
from edge.pipeline.config import LaneSettings, PipelineSettings
from edge.pipeline.pipeline import TrackingPipeline
from edge.sources.base import Frame
from engines.host import HostDevice, HostStream
from engines.signature import STRIDE, Role, Signature
from testbed.crowd import Crowd

MOST_STEPS = 900
"""Of the device thread for a frame of a stream among 64 with 20 people; before lanes were tracked together: 1,850."""
SOURCE = (1920, 1080)
WARM_UP = 8
"""Ticks that do not count."""


class OnDevice(np.ndarray[Any, Any]):
    """Host memory that goes for the device's."""

    @property
    def pointer(self) -> int:
        return int(self.ctypes.data)


class IdleGpu(HostDevice):
    """A GPU whose work is never done; and its kernels."""

    kind = "cuda"  # type: ignore[assignment]  # of a HostDevice it is "cpu"; this one goes for a GPU
    asynchronous = True
    index, compute_capability, driver_version = 0, (9, 0), 13000

    def __init__(self) -> None:
        self.results: list[np.ndarray[Any, Any]] = []

    def make_current(self) -> None: ...
    def copy(self, source: Any, out: Any, cuda_stream: Any) -> None: ...
    def launch(self, *_: object) -> None: ...

    def kernels(self, image: bytes, names: Sequence[str]) -> "dict[str, IdleGpu]":
        return dict.fromkeys(names, self)

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        return np.empty(shape, dtype).view(OnDevice)

    def host_empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        self.results.append(np.zeros(shape, dtype))
        return self.results[-1]


class IdleEngine:
    """A network of that GPU, and its execution."""

    def __init__(self, role: Role, device: IdleGpu) -> None:
        prior = role == "student"
        self.signature = Signature(role, 320, 576, 128, 64, "idle", "idle", prior=prior)
        self._device = device

    def prepare(self, max_batch: int) -> "IdleEngine":
        arrays = self.signature.input_arrays(max_batch), self.signature.output_arrays(max_batch)
        self.inputs, self.outputs = (
            {name: self._device.empty(*array) for name, array in table.items()} for table in arrays
        )
        self.max_batch = max_batch
        return self

    def run(self, batch: int, cuda_stream: Any) -> None: ...


@dataclass(frozen=True, slots=True)
class HostTime:
    """What a frame of one stream costs the device thread, median over the ticks."""

    ms: float
    steps: float
    """The same in small steps of NumPy on this machine, at this time."""


def measure(lanes: int, people: int, ticks: int = 12) -> HostTime:
    """So many ticks, each with a frame of every lane."""
    device = IdleGpu()
    teacher, student = IdleEngine("teacher", device), IdleEngine("student", device)
    backend = Backend(device, CudaOps(device, b""), teacher, student)  # type: ignore[arg-type]  # all that is called
    pipeline = TrackingPipeline(backend, PipelineSettings(LaneSettings(k=6), max_lanes=lanes))
    names = [str(lane) for lane in range(lanes)]
    for name in names:
        pipeline.add_lane(name)
    films = [Crowd(people, seed) for seed in range(lanes)]
    pixels = np.zeros((SOURCE[1], SOURCE[0], 3), np.uint8)
    picture = Uploaded(pixels, device.empty((1,), np.uint8), HostStream().record(), BT601)
    spent, steps = [], []
    for tick in range(WARM_UP + ticks):
        frame = Frame(picture, tick, tick / 30, time.time(), "host")
        answer(device, teacher.signature, films)
        began_s = time.thread_time()
        pipeline.collect(pipeline.submit(dict.fromkeys(names, frame)))
        spent.append(time.thread_time() - began_s)
        steps.append(step_s())
    ms, step_ms = (1e3 * float(np.median(one[WARM_UP:])) for one in (spent, steps))
    return HostTime(ms / lanes, ms / lanes / step_ms)


def answer(device: IdleGpu, signature: Signature, films: Sequence[Crowd]) -> None:
    """Leave the next frame's detections of every lane where results lie on the host.

    Which row of a batch a lane has is not known here, so every row gets the people of all its lanes' order: the lane of
    its own number. A lane that changes rows finds others; lanes of one network keep their order, and K=6 moves them
    once in six ticks.
    """
    box = Letterbox(*SOURCE, signature.width, signature.height)
    shown = []
    for film in films:
        seen, _ = film.step()
        shown.append((box.to_input(seen.xyxy)[:128], seen.scores[:128], seen.embeddings[:128]))
    for array in device.results:
        kind = array.shape[2:] if array.ndim == 3 else ()
        for row, (xyxy, scores, embeddings) in enumerate(shown[: len(array)]):
            count = len(scores)
            if kind == (4,):
                array[row, :count] = xyxy
            elif kind == (2,):
                array[row, :count] = (xyxy[:, :2] + xyxy[:, 2:]) / (2 * STRIDE)
            elif kind == (64,):
                array[row, :count] = embeddings
            elif array.ndim == 2 and array.shape[1] == signature.peaks:
                array[row] = 0
                array[row, :count] = scores


def step_s() -> float:
    """What a small step of NumPy takes now: adding two arrays of eighty numbers."""
    numbers = np.ones((20, 4))
    began_s = time.thread_time()
    for _ in range(200):
        numbers + numbers
    return (time.thread_time() - began_s) / 200


@pytest.fixture(scope="module")
def times() -> dict[int, HostTime]:
    return {lanes: measure(lanes, 20) for lanes in (16, 64)}


def test_nobody_costs_next_to_nothing_and_people_at_most_in_proportion(times: dict[int, HostTime]) -> None:
    nobody, more = measure(16, 0), measure(16, 40)
    assert nobody.steps < times[16].steps < more.steps
    assert more.ms < 2.6 * times[16].ms


def test_a_frame_of_one_stream_among_many_costs_the_device_thread_little(times: dict[int, HostTime]) -> None:
    assert times[64].steps < MOST_STEPS, times[64]


def test_more_streams_make_no_frame_dearer(times: dict[int, HostTime]) -> None:
    assert times[64].ms < 1.3 * times[16].ms
