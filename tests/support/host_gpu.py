"""A GPU made of host memory: addresses, queue handles and graphs as `engines.device.GpuDevice` has them, at once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from engines.device import CudaStream
from engines.errors import DeviceError
from engines.host import HostEvent


class AddressedArray(np.ndarray[Any, Any]):
    """A NumPy array that knows its address by the name that device arrays use."""

    @property
    def pointer(self) -> int:
        return int(self.ctypes.data)


class HostQueue:
    """A cuda_stream whose work has always been done; keeps what was asked of it."""

    def __init__(self, handle: int) -> None:
        self.handle = handle
        self.said: list[str] = []

    def record(self) -> HostEvent:
        self.said.append("record")
        return HostEvent()

    def wait(self, event: HostEvent) -> None:
        self.said.append("wait")

    def synchronize(self) -> None:
        self.said.append("synchronize")


class RepeatingGraph:
    """Calls the recorded work again."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self.launches = 0

    def launch(self, cuda_stream: CudaStream) -> None:
        self.launches += 1
        self._work()


class HostGpu:
    """Keeps the GpuDevice contract; `capable` says whether it can record graphs."""

    kind: Literal["cuda"] = "cuda"
    asynchronous = True

    def __init__(self, compute_capability: tuple[int, int] = (8, 6), capable: bool = True) -> None:
        self.name, self.index, self.driver_version = "Host GPU", 0, 13000
        self.compute_capability, self.capable = compute_capability, capable
        self.queues: list[HostQueue] = []
        self.graphs: list[RepeatingGraph] = []
        self.allocations = 0
        self.capturing = False

    def make_current(self) -> None:
        pass

    def cuda_stream(self) -> HostQueue:
        self.queues.append(HostQueue(1000 + len(self.queues)))
        return self.queues[-1]

    def empty(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> AddressedArray:
        self.allocations += 1
        return np.zeros(shape, dtype).view(AddressedArray)

    def host_empty(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        return np.empty(shape, dtype)

    def copy(self, source: npt.NDArray[Any], out: npt.NDArray[Any], cuda_stream: CudaStream) -> None:
        np.copyto(out, source, casting="no")

    def capture(self, work: Callable[[], None], cuda_stream: CudaStream) -> RepeatingGraph:
        if not self.capable:
            raise DeviceError("this device records no graphs")
        with self._recording():
            work()
        self.graphs.append(RepeatingGraph(work))
        return self.graphs[-1]

    @contextmanager
    def _recording(self) -> Iterator[None]:
        self.capturing = True
        yield
        self.capturing = False
