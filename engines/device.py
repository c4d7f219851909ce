"""What a device is to the rest of the program: memory, copies, and the order in which work is done.

A call that touches the device names the `cuda_stream` it is ordered on and writes into memory that its caller owns.
The host keeps the same Protocols (`engines.host`): there, everything has happened when the call returns.
"""

from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = Any
"""An array in the memory of one device: `numpy.ndarray` on the host, a device array on a GPU.

Every such array has `shape`, `dtype` and slicing of its first axis (`array[:batch]`, a view). Only the package that
belongs to the device looks further into it, hence no narrower type.
"""


class Event(Protocol):
    """A point in the order of a cuda_stream."""

    def synchronize(self) -> None:
        """Wait on the host until all work before this point is done."""
        ...


class CudaStream(Protocol):
    """Work in order. Two of them run side by side unless an event says otherwise."""

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
