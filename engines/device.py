"""What a device is to the rest of the program: memory, copies, and the order in which work is done.

A call that touches the device names the `cuda_stream` it is ordered on and writes into memory that its caller owns.
The host keeps the same Protocols (`engines.host`): there, everything has happened when the call returns.
"""

from collections.abc import Callable
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = Any
"""An array in the memory of one device: `numpy.ndarray` on the host, a device array on a GPU.

Every such array has `shape`, `dtype` and slicing of its first axis (`array[:batch]`, `array[row]`, views). Only what
belongs to the device looks further into it, hence no narrower type; see GpuArray.
"""


class Event(Protocol):
    """A point in the order of a cuda_stream."""

    def synchronize(self) -> None:
        """Wait on the host until all work before this point is done."""
        ...

    @property
    def reached(self) -> bool:
        """Whether all work before this point is done; waits for nothing."""
        ...


class CudaStream(Protocol):
    """Work in order. Two of them run side by side unless an event says otherwise."""

    @property
    def handle(self) -> int:
        """The runtime's cudaStream_t; 0 on the host, which has none."""
        ...

    def record(self) -> Event:
        """Mark the present end of the queue."""
        ...

    def wait(self, event: Event) -> None:
        """Let later work of this cuda_stream begin only after `event`; the host does not wait."""
        ...

    def synchronize(self) -> None:
        """Wait on the host until the queue is empty."""
        ...


class Device(Protocol):
    """Memory and queues of one processor."""

    @property
    def name(self) -> str:
        """For people: 'cpu', or the GPU's model."""
        ...

    @property
    def kind(self) -> Literal["cpu", "cuda"]:
        """What decides which engines can run here."""
        ...

    @property
    def asynchronous(self) -> bool:
        """Whether work goes on after a call has returned, so that it pays to have more of it queued."""
        ...

    def cuda_stream(self) -> CudaStream:
        """A new queue."""
        ...

    def empty(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
        """Uninitialised memory on the device, C order."""
        ...

    def host_empty(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Uninitialised memory of the host from and to which this device copies at full speed (page-locked)."""
        ...

    def copy(self, source: Array | np.ndarray, out: Array | np.ndarray, cuda_stream: CudaStream) -> None:
        """Copy between two arrays of one shape and dtype, in any direction; `source` must live until it is done."""
        ...


class GpuArray(Protocol):
    """What an `Array` of a GpuDevice is: C-ordered memory, or the leading part of one."""

    @property
    def pointer(self) -> int:
        """Address on the device; stays the same for the array's life."""
        ...

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def nbytes(self) -> int: ...

    def __getitem__(self, key: int | slice) -> "GpuArray":
        """A view of one row, or of the first `stop` rows."""
        ...


class Graph(Protocol):
    """Work that was enqueued once and can be repeated by one call."""

    def launch(self, cuda_stream: CudaStream) -> None:
        """Enqueue all of it again, on the same memory."""
        ...


class GpuDevice(Device, Protocol):
    """A Device that networks run on by address and queue handle (TensorRT, ONNX Runtime's CUDA provider)."""

    @property
    def index(self) -> int:
        """CUDA's number of it."""
        ...

    @property
    def compute_capability(self) -> tuple[int, int]:
        """(8, 6) for sm_86."""
        ...

    @property
    def driver_version(self) -> int:
        """CUDA version that the driver speaks, as 1000 major + 10 minor: 13000."""
        ...

    def make_current(self) -> None:
        """Let the calling thread use this device; the thread that made it need not."""
        ...

    def capture(self, work: Callable[[], None], cuda_stream: CudaStream) -> Graph:
        """Call `work`, which enqueues on `cuda_stream` and neither waits nor allocates, without running any of it.

        What `work` enqueued runs with each `Graph.launch`. Run it once outside before: libraries allocate on first use.
        """
        ...
