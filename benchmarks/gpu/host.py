"""What the host does for each frame of a stream on a GPU, without the GPU: its driver does nothing, at once.

    OPENBLAS_NUM_THREADS=1 atttrack bench host
    OPENBLAS_NUM_THREADS=1 atttrack bench host --lanes 16 64 128 --people 20

Drawn crowds (testbed.crowd) are the networks' answers, at K=6 with the shipped mode. Pictures come as the readers of
cameras send them: on their way to the device. Counted is the time that the device thread worked (`thread_time`).
`steps` is the same in small steps of NumPy, the unit in which machines can be compared. What the driver itself takes,
some microseconds for each call, is left out: the calls of a tick are as many for one lane as for a hundred.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.command import command
from benchmarks.conditions import RESULTS, conditions, save
from edge.ops.cuda_ops import CudaOps
from edge.ops.letterbox import Letterbox
from edge.ops.pixels import BT601, Uploaded
from edge.pipeline.backend import Backend
from edge.pipeline.config import LaneSettings, PipelineSettings
from edge.pipeline.pipeline import TrackingPipeline
from edge.sources.base import Frame
from engines.host import HostDevice, HostStream
from engines.signature import STRIDE, Signature
from testbed.crowd import CrowdFilm

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


class _Case:
    """A pipeline with a frame of every lane in each tick."""

    def __init__(self, lanes: int, people: int) -> None:
        self.lanes, self.people = lanes, people
        device: Any = _Idle()  # no CudaDevice, but it has all that is called
        self._device: _Idle = device
        ops, teacher, student = CudaOps(device, b""), _Engine(TEACHER, device), _Engine(STUDENT, device)
        self._pipeline = TrackingPipeline(
            Backend(device, ops, teacher, student), PipelineSettings(LaneSettings(k=6), max_lanes=lanes)
        )
        self._names = [str(lane) for lane in range(lanes)]
        for name in self._names:
            self._pipeline.add_lane(name)
        self._films = [CrowdFilm(people, seed) for seed in range(lanes)]
        black, there = np.zeros((SOURCE[1], SOURCE[0], 3), np.uint8), device.empty((1,), np.uint8)
        self._picture = Uploaded(black, there, HostStream().record(), BT601)
        self._spent_s: list[float] = []
        self._steps_s: list[float] = []

    def tick(self, number: int) -> None:
        frame = Frame(self._picture, number, number / 30, time.time(), "host")
        _answer(self._device, self._films)
        began_s = time.thread_time()
        self._pipeline.collect(self._pipeline.submit(dict.fromkeys(self._names, frame)))
        self._spent_s.append(time.thread_time() - began_s)
        self._steps_s.append(_step_s())

    def forget(self) -> None:
        """What was measured so far does not count."""
        self._spent_s, self._steps_s = [], []
        for watch in self._pipeline.times.stages().values():
            watch.seconds, watch.frames = 0.0, 0

    def times(self) -> HostTimes:
        frames = self.lanes * len(self._spent_s)
        watches = self._pipeline.times.stages().items()
        stages = {name: round(1e3 * watch.seconds / frames, 4) for name, watch in watches}
        tick_ms, step_ms = (1e3 * float(np.median(one)) for one in (self._spent_s, self._steps_s))
        each_ms = tick_ms / self.lanes
        return HostTimes(self.lanes, self.people, round(each_ms, 4), round(each_ms / step_ms, 1), stages)


def measure(cases: Sequence[tuple[int, int]], ticks: int) -> list[HostTimes]:
    """For each number of lanes and of people, so many ticks with a frame of every lane.

    The cases take turns, tick by tick: what else the machine does meanwhile meets all of them alike.
    """
    measured = [_Case(lanes, people) for lanes, people in cases]
    for number in range(WARM_UP + ticks):
        for case in measured:
            if number == WARM_UP:
                case.forget()
            case.tick(number)
    return [case.times() for case in measured]


def _answer(device: _Idle, films: Sequence[CrowdFilm]) -> None:
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a table, save."""
    parser = command("host", __doc__)
    parser.add_argument("--lanes", type=int, nargs="+", default=[1, 4, 16, 64, 128], help="numbers of streams")
    parser.add_argument("--people", type=int, nargs="+", default=[0, 5, 20, 50], help="numbers of people in each")
    parser.add_argument("--ticks", type=int, default=30, help="frames of each stream")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="DIR", help="folder for host.json")
    options = parser.parse_args(arguments)
    if min(*options.lanes, options.ticks) < 1 or min(options.people) < 0:
        parser.error("--lanes and --ticks must be at least 1, --people 0 or more")
    found = measure([(lanes, people) for people in options.people for lanes in options.lanes], options.ticks)
    print(f"{'people':>6} {'lanes':>5} {'device thread ms':>16} {'steps':>7}  stages")
    for one in found:
        stages = " ".join(f"{name} {value:.3f}" for name, value in one.stages_ms.items())
        print(f"{one.people:6} {one.lanes:5} {one.device_thread_ms:16.3f} {one.steps:7.1f}  {stages}")
    result = {"conditions": conditions(), "ticks": options.ticks, "results": [asdict(one) for one in found]}
    print(f"saved {save('host', result, options.output)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
