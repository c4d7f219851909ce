"""What a network ready to run is to the rest of the program."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy.typing as npt

from engines.device import Array, CudaStream
from engines.signature import Signature


class Execution(Protocol):
    """One set of buffers of an engine; two of them never disturb each other, the weights are shared.

    A caller fills the first `batch` rows of every input, runs, and finds the results in the first `batch` rows of every
    output once the cuda_stream has come that far. The buffers stay where they are for the execution's whole life, so a
    runtime may bind them once and capture a graph per batch size.
    """

    @property
    def inputs(self) -> Mapping[str, Array]:
        """Input name -> (max_batch, ...) array on the engine's device."""
        ...

    @property
    def outputs(self) -> Mapping[str, Array]:
        """Output name -> (max_batch, ...) array on the engine's device."""
        ...

    @property
    def max_batch(self) -> int:
        """Rows of every buffer."""
        ...

    def run(self, batch: int, cuda_stream: CudaStream) -> None:
        """Enqueue the network over the first `batch` rows, 1 <= batch <= max_batch."""
        ...


class Engine(Protocol):
    """A network ready to run; its weights are shared by all its executions."""

    @property
    def signature(self) -> Signature:
        """What the model file says it is."""
        ...

    def prepare(self, max_batch: int) -> Execution:
        """Allocate buffers for up to `max_batch` images; done once, never in a tick."""
        ...


@dataclass(frozen=True, slots=True)
class Buffers:
    """Arrays for one execution, on the engine's device."""

    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]
    max_batch: int

    @classmethod
    def allocate(
        cls, signature: Signature, max_batch: int, empty: Callable[[tuple[int, ...], npt.DTypeLike], Array]
    ) -> "Buffers":
        """New ones; `empty` as in `Device.empty`."""
        arrays = (signature.input_arrays(max_batch), signature.output_arrays(max_batch))
        inputs, outputs = ({name: empty(*array) for name, array in table.items()} for table in arrays)
        return cls(inputs, outputs, max_batch)

    def check(self, batch: int) -> None:
        """Raise ValueError unless the buffers hold `batch` images."""
        if not 1 <= batch <= self.max_batch:
            raise ValueError(f"batch must be 1..{self.max_batch}, got {batch}")


class Bindable(Engine, Protocol):
    """An engine that also runs on buffers that are there already, so that it can follow another one on them."""

    def bind(self, buffers: Buffers) -> Execution:
        """An execution over these buffers; raises EngineError where the engine cannot take batches of that size."""
        ...
