"""The host as a device: memory is NumPy's, work is done when a call returns, so queues and events are empty shells."""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from engines.device import CudaStream, Event


class HostEvent:
    """A point that is always reached."""

    reached = True

    def synchronize(self) -> None:
        """Nothing to wait for."""


class HostStream:
    """A queue that is always empty."""

    handle = 0

    def record(self) -> HostEvent:
        """An event that has happened."""
        return HostEvent()

    def wait(self, event: Event) -> None:
        """The event has happened."""

    def synchronize(self) -> None:
        """Nothing to wait for."""


class HostDevice:
    """The processor this program runs on."""

    name = "cpu"
    kind: Literal["cpu"] = "cpu"
    asynchronous = False

    def cuda_stream(self) -> HostStream:
        """A new (empty) queue."""
        return HostStream()

    def empty(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Uninitialised NumPy array."""
        return np.empty(shape, dtype)

    def host_empty(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """The same: all memory is the host's."""
        return np.empty(shape, dtype)

    def copy(self, source: npt.NDArray[Any], out: npt.NDArray[Any], cuda_stream: CudaStream) -> None:
        """Copy now."""
        np.copyto(out, source, casting="no")
