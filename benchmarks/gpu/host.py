"""What the host does for each frame of a stream on a GPU, without the GPU: its driver does nothing, at once.

    OPENBLAS_NUM_THREADS=1 python -m benchmarks.gpu.host
    OPENBLAS_NUM_THREADS=1 python -m benchmarks.gpu.host --lanes 16 64 --people 20

Drawn crowds (testbed.crowd) are the networks' answers, at K=6 with the shipped mode. Pictures come as the readers of
cameras send them: on their way to the device. Counted is the time that the device thread worked (`thread_time`).
`steps` is the same in small steps of NumPy, the unit in which machines can be compared. What the driver itself takes,
some microseconds for each call, is left out: the calls of a tick are as many for one lane as for a hundred.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.command import command
from edge.ops.cuda_ops import CudaOps
from edge.ops.letterbox import Letterbox
from edge.ops.pixels import BT601, Uploaded
from edge.pipeline.backend import Backend
from edge.pipeline.config import LaneSettings, PipelineSettings
from edge.pipeline.pipeline import TrackingPipeline
from edge.sources.base import Frame
from engines.host import HostDevice, HostStream
from engines.signature import STRIDE, Signature
from testbed.crowd import Crowd

TEACHER = Signature("teacher", 320, 576, peaks=128, embedding_dim=64, pair="idle", network="idle")
STUDENT = replace(TEACHER, role="student", prior=True)
SOURCE = (1920, 1080)
WARM_UP = 8
"""Ticks that do not count."""


class _Array(np.ndarray[Any, Any]):
    """Host memory that goes for the device's."""

    @property
    def pointer(self) -> int:
        return int(self.ctypes.data)


class _Idle(HostDevice):
    """A GPU whose work is never done; and its kernels, engines and executions."""

    kind = "cuda"  # type: ignore[assignment]  # of a HostDevice it is "cpu"; this one goes for a GPU
    asynchronous = True
    index, compute_capability, driver_version = 0, (9, 0), 13000

    def __init__(self) -> None:
        self.results: list[np.ndarray[Any, Any]] = []

    def make_current(self) -> None: ...
    def copy(self, source: Any, out: Any, cuda_stream: Any) -> None: ...
    def launch(self, *_: object) -> None: ...

    def kernels(self, image: bytes, names: Sequence[str]) -> "dict[str, _Idle]":
        return dict.fromkeys(names, self)

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        return np.empty(shape, dtype).view(_Array)

    def host_empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        self.results.append(np.zeros(shape, dtype))
        return self.results[-1]


class _Engine:
    def __init__(self, signature: Signature, device: _Idle) -> None:
        self.signature, self._device = signature, device

    def prepare(self, max_batch: int) -> "_Engine":
        arrays = self.signature.input_arrays(max_batch), self.signature.output_arrays(max_batch)
        self.inputs, self.outputs = (
            {name: self._device.empty(*array) for name, array in table.items()} for table in arrays
        )
        self.max_batch = max_batch
        return self

    def run(self, batch: int, cuda_stream: Any) -> None: ...


@dataclass(frozen=True, slots=True)
class HostTimes:
    """Milliseconds per frame of a stream."""

    lanes: int
    people: int
    device_thread_ms: float
    """Median over the ticks."""
    steps: float
    """`device_thread_ms` in small steps of NumPy on this machine, at this time."""
    stages_ms: dict[str, float]
    """By the clock on the wall, where the device thread spends its time."""


def measure(lanes: int, people: int, ticks: int) -> HostTimes:
    """So many ticks, each with a frame of every lane."""
    device = _Idle()
    ops = CudaOps(device, b"")  # type: ignore[arg-type]  # no CudaDevice, but it has all that is called
    teacher, student = _Engine(TEACHER, device), _Engine(STUDENT, device)
    pipeline = TrackingPipeline(
        Backend(device, ops, teacher, student), PipelineSettings(LaneSettings(k=6), max_lanes=lanes)
    )
    names = [str(lane) for lane in range(lanes)]
    for name in names:
        pipeline.add_lane(name)
    films = [Crowd(people, seed) for seed in range(lanes)]
    picture = Uploaded(
        np.zeros((SOURCE[1], SOURCE[0], 3), np.uint8), device.empty((1,), np.uint8), HostStream().record(), BT601
    )
    spent, steps = [], []
    for tick in range(WARM_UP + ticks):
        frame = Frame(picture, tick, tick / 30, time.time(), "host")
        _answer(device, films)
        if tick == WARM_UP:
            for watch in pipeline.times.stages().values():
                watch.seconds, watch.frames = 0.0, 0
        began_s = time.thread_time()
        pipeline.collect(pipeline.submit(dict.fromkeys(names, frame)))
        spent.append(time.thread_time() - began_s)
        steps.append(_step_s())
    stages = {name: round(1e3 * watch.seconds / (lanes * ticks), 4) for name, watch in pipeline.times.stages().items()}
    tick_ms, step_ms = (1e3 * float(np.median(one[WARM_UP:])) for one in (spent, steps))
    return HostTimes(lanes, people, round(tick_ms / lanes, 4), round(tick_ms / lanes / step_ms, 1), stages)


def _answer(device: _Idle, films: Sequence[Crowd]) -> None:
    """Leave the next frame's detections of every lane where results lie on the host.

    Which row of a batch a lane has is not known here, so every row gets the people of all its lanes' order: the lane of
    its own number. A lane that changes rows finds others; lanes of one network keep their order, and K=6 moves them
    once in six ticks.
    """
    box = Letterbox(*SOURCE, TEACHER.width, TEACHER.height)
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
            elif array.ndim == 2 and array.shape[1] == TEACHER.peaks:
                array[row] = 0
                array[row, :count] = scores


def _step_s() -> float:
    """What a small step of NumPy takes now: adding two arrays of eighty numbers."""
    numbers = np.ones((20, 4))
    began_s = time.thread_time()
    for _ in range(200):
        numbers + numbers
    return (time.thread_time() - began_s) / 200


def main(arguments: list[str] | None = None) -> int:
    """Measure and print a table."""
    parser = command("host", __doc__)
    parser.add_argument("--lanes", type=int, nargs="+", default=[1, 4, 16, 64, 128])
    parser.add_argument("--people", type=int, nargs="+", default=[0, 5, 20, 50])
    parser.add_argument("--ticks", type=int, default=30)
    options = parser.parse_args(arguments)
    found = [measure(lanes, people, options.ticks) for people in options.people for lanes in options.lanes]
    print(f"{'people':>6} {'lanes':>5} {'device thread ms':>16} {'steps':>7}  stages")
    for one in found:
        stages = " ".join(f"{name} {value:.3f}" for name, value in one.stages_ms.items())
        print(f"{one.people:6} {one.lanes:5} {one.device_thread_ms:16.3f} {one.steps:7.1f}  {stages}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
