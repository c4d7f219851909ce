"""A device that works when it must, and notices every access that nothing puts in order.

Work waits in its queue until somebody waits for it; meanwhile any queue may run on by chance. Each piece of work knows,
as a vector clock, what has happened before it: what was enqueued earlier on its queue, what its queue was told to wait
for, and what the host had waited for when it enqueued it. Two accesses to the same bytes, one of them a write, must
be in such an order; else `Race` is raised, whatever the chance of this run would have made of it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edge.arrays import I32, U8
from edge.ops.base import MovedHeatmap
from edge.ops.host import HostOps
from edge.ops.letterbox import Letterbox
from edge.ops.pixels import Pixels, Surface
from engines.host import HostStream
from engines.signature import Signature
from tests.support.scripted_engine import Script

Clock = dict[int, int]
"""Queue -> how many of its pieces of work have certainly been done. The host is queue 0."""
HOST = 0


class Race(AssertionError):
    """Two accesses in no order."""


@dataclass
class Access:
    """Who touched which bytes of a memory."""

    what: str
    first: int
    end: int
    writes: bool
    queue: int
    number: int


@dataclass
class Memory:
    """Some bytes, and who touched them."""

    name: str
    accesses: list[Access] = field(default_factory=list)

    def touch(self, now: Access, clock: Clock) -> None:
        """Raise Race unless everything that may disturb this access has happened before it."""
        overlapping = [old for old in self.accesses if old.first < now.end and now.first < old.end]
        if not now.writes and not any(old.writes for old in overlapping):
            raise Race(f"{now.what} reads {self.name}, which nobody has written")
        for old in overlapping:
            if (old.writes or now.writes) and old.number > clock.get(old.queue, 0):
                verb = "writes" if now.writes else "reads"
                raise Race(f"{now.what} {verb} {self.name} without waiting for {old.what}")
        if now.writes:
            self.accesses = [o for o in self.accesses if not (now.first <= o.first and o.end <= now.end)]
        self.accesses.append(now)


class DeviceArray:
    """An array of the device: what `engines.device` promises, and nothing that lets the host look inside."""

    def __init__(self, data: np.ndarray, memory: Memory, first: int) -> None:
        self._data, self.memory, self.first = data, memory, first
        self.shape, self.dtype = data.shape, data.dtype

    def __getitem__(self, key: int | slice) -> "DeviceArray":
        view = self._data[key]
        return DeviceArray(view, self.memory, self.first + _offset(view, self._data))


class HostArray(np.ndarray):
    """Page-locked memory: looking into it counts as the host's reading."""

    recorder: "RecordingDevice"
    memory: Memory

    def __array_finalize__(self, parent: object) -> None:
        if isinstance(parent, HostArray):
            self.recorder, self.memory = parent.recorder, parent.memory

    def __getitem__(self, key: Any) -> Any:
        view = super().__getitem__(key)
        if isinstance(key, slice):
            return view
        self.recorder.host_reads(self)
        return view if np.may_share_memory(view, self) else np.asarray(view).view(np.ndarray)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        for one in inputs:
            if isinstance(one, HostArray):
                one.recorder.host_reads(one)
        plain = [one.view(np.ndarray) if isinstance(one, HostArray) else one for one in inputs]
        return getattr(ufunc, method)(*plain, **options)


class RecordingEvent:
    """A point in the order of a queue."""

    def __init__(self, queue: "RecordingQueue", number: int, clock: Clock) -> None:
        self.queue, self.number, self.clock = queue, number, clock

    def synchronize(self) -> None:
        self.queue.device.host_waits(self)

    @property
    def reached(self) -> bool:
        if self.queue.done < self.number:
            return False
        self.synchronize()  # who knows that it is done need not wait
        return True


class RecordingQueue:
    """A cuda_stream."""

    def __init__(self, device: "RecordingDevice", handle: int) -> None:
        self.device, self.handle = device, handle
        self.clock: Clock = {}
        self.work: list[Callable[[], None] | RecordingEvent] = []
        self.done = 0

    def record(self) -> RecordingEvent:
        return RecordingEvent(self, len(self.work), dict(self.clock))

    def wait(self, event: RecordingEvent) -> None:
        self._push(event)
        _merge(self.clock, event.clock)

    def synchronize(self) -> None:
        self.record().synchronize()

    def enqueue(
        self,
        what: str,
        work: Callable[[], None],
        reads: Sequence[DeviceArray | HostArray] = (),
        writes: Sequence[DeviceArray | HostArray] = (),
    ) -> None:
        """Check the accesses against all before; the work runs later."""
        _merge(self.clock, self.device.clock)  # what the host knows to be done is done before what it enqueues now
        number = self._push(work)
        self.device.touch(what, reads, False, self.handle, number, self.clock)
        self.device.touch(what, writes, True, self.handle, number, self.clock)
        self.device.work_by_chance()

    def run_to(self, number: int) -> None:
        """Do all work up to there, and all that it waits for."""
        while self.done < number:
            todo = self.work[self.done]
            self.done += 1
            if isinstance(todo, RecordingEvent):
                todo.queue.run_to(todo.number)
            else:
                todo()

    def _push(self, work: "Callable[[], None] | RecordingEvent") -> int:
        self.work.append(work)
        self.clock[self.handle] = len(self.work)
        return len(self.work)


class RecordingDevice:
    """See the module. `seed` is the chance by which queues run on although nobody waits."""

    name = "recording"
    kind = "cpu"
    asynchronous = True

    def __init__(self, seed: int = 0) -> None:
        self._rng = np.random.default_rng(seed)
        self.queues: list[RecordingQueue] = []
        self.clock: Clock = {}
        self._memories = 0

    def cuda_stream(self) -> RecordingQueue:
        self.queues.append(RecordingQueue(self, len(self.queues) + 1))
        return self.queues[-1]

    def empty(self, shape: tuple[int, ...], dtype: Any) -> DeviceArray:
        return DeviceArray(_garbage(shape, dtype), self._memory(f"device memory {shape}"), 0)

    def host_empty(self, shape: tuple[int, ...], dtype: Any) -> HostArray:
        array = _garbage(shape, dtype).view(HostArray)
        array.recorder, array.memory = self, self._memory(f"page-locked memory {shape}")
        return array

    def copy(self, source: Any, out: Any, cuda_stream: RecordingQueue) -> None:
        assert (source.shape, source.dtype) == (out.shape, out.dtype)
        taken, given = _data(source), _data(out)
        cuda_stream.enqueue("a copy", lambda: np.copyto(given, taken), [source], [out])

    def touch(self, what: str, arrays: Sequence[Any], writes: bool, queue: int, number: int, clock: Clock) -> None:
        for array in arrays:
            if isinstance(array, DeviceArray):
                first, nbytes = array.first, array._data.nbytes
            elif isinstance(array, HostArray):
                base = _base(array)
                first, nbytes = _offset(array, base), array.nbytes
            else:
                continue  # the caller's own memory
            before = clock | {queue: number - 1}
            array.memory.touch(Access(what, first, first + nbytes, writes, queue, number), before)

    def host_reads(self, array: HostArray) -> None:
        self.touch("the host", [array], False, HOST, 0, self.clock)

    def host_waits(self, event: RecordingEvent) -> None:
        event.queue.run_to(event.number)
        _merge(self.clock, event.clock)

    def work_by_chance(self) -> None:
        if self._rng.random() < 0.3:
            queue = self.queues[self._rng.integers(len(self.queues))]
            queue.run_to(int(self._rng.integers(queue.done, len(queue.work) + 1)))

    def _memory(self, name: str) -> Memory:
        self._memories += 1
        return Memory(f"{name} #{self._memories}")


class RecordingOps:
    """The specification's pixel work, later. As on a GPU, what comes from the host is taken at the call."""

    def __init__(self) -> None:
        self._ops = HostOps()

    def upload(self, pixels: Pixels) -> Pixels:
        return pixels

    def letterbox(
        self, images: Sequence[Pixels], letterboxes: Sequence[Letterbox], out: DeviceArray, cuda_stream: RecordingQueue
    ) -> None:
        surfaces = [image for image in images if isinstance(image, Surface)]
        for surface in surfaces:
            cuda_stream.wait(surface.ready)
        looks = [_look(image) for image in images]
        work = lambda: self._ops.letterbox([look() for look in looks], letterboxes, out._data, HostStream())  # noqa: E731
        reads = [plane for surface in surfaces for plane in (surface.luma, surface.chroma)]
        cuda_stream.enqueue("letterbox", work, reads, [out])

    def own(self, centres: I32, radii: I32, out: DeviceArray, cuda_stream: RecordingQueue) -> None:
        taken = centres.copy(), radii.copy()
        cuda_stream.enqueue("own", lambda: self._ops.own(*taken, out._data, HostStream()), [], [out])

    def extrapolate(self, moved: Sequence[MovedHeatmap], out: DeviceArray, cuda_stream: RecordingQueue) -> None:
        taken = [MovedHeatmap(m.heatmap._data, m.owners._data, m.shifts.copy(), m.framing) for m in moved]
        reads = [array for m in moved for array in (m.heatmap, m.owners)]
        work = lambda: self._ops.extrapolate(taken, out._data, HostStream())  # noqa: E731
        cuda_stream.enqueue("extrapolate", work, reads, [out])


class RecordingEngine:
    """A scripted network on the recording device."""

    def __init__(self, signature: Signature, script: Script, device: RecordingDevice) -> None:
        self.signature, self._script, self._device = signature, script, device

    def prepare(self, max_batch: int) -> "RecordingExecution":
        return RecordingExecution(self.signature, self._script, self._device, max_batch)


class RecordingExecution:
    """Its buffers."""

    def __init__(self, signature: Signature, script: Script, device: RecordingDevice, max_batch: int) -> None:
        self.max_batch, self._script, self._role = max_batch, script, signature.role
        self.inputs = {name: device.empty(*array) for name, array in signature.input_arrays(max_batch).items()}
        self.outputs = {name: device.empty(*array) for name, array in signature.output_arrays(max_batch).items()}

    def run(self, batch: int, cuda_stream: RecordingQueue) -> None:
        inputs = {name: array[:batch] for name, array in self.inputs.items()}
        outputs = {name: array[:batch] for name, array in self.outputs.items()}

        def work() -> None:
            for row in range(batch):
                for array in outputs.values():
                    array._data[row] = 0
                self._script(_rows(inputs, row), _rows(outputs, row))

        cuda_stream.enqueue(f"the {self._role}", work, [*inputs.values()], [*outputs.values()])


def _look(image: Pixels) -> Callable[[], U8]:
    """What the kernel will see: the host's array as it is now, the device's when the work is done."""
    if isinstance(image, Surface):
        planes, width = (image.luma._data, image.chroma._data), image.width  # and not the surface: it may go
        return lambda: np.concatenate(planes)[:, :width]
    taken = image.copy()
    return lambda: taken


def _rows(arrays: Mapping[str, DeviceArray], row: int) -> dict[str, np.ndarray]:
    return {name: array._data[row] for name, array in arrays.items()}


def _garbage(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    return np.full(math.prod(shape) * np.dtype(dtype).itemsize, 0xAB, np.uint8).view(dtype).reshape(shape)


def _data(array: Any) -> np.ndarray:
    return array._data if isinstance(array, DeviceArray) else array.view(np.ndarray)


def _base(array: np.ndarray) -> np.ndarray:
    while isinstance(array.base, HostArray):
        array = array.base
    return array


def _offset(view: np.ndarray, whole: np.ndarray) -> int:
    return int(view.__array_interface__["data"][0] - whole.__array_interface__["data"][0])


def _merge(clock: Clock, other: Clock) -> None:
    for queue, number in other.items():
        clock[queue] = max(clock.get(queue, 0), number)
