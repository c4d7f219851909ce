"""An engine whose outputs a Python function writes: the stand-in for a network in tests."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from engines.device import CudaStream
from engines.signature import Signature

Arrays: TypeAlias = Mapping[str, npt.NDArray[Any]]
Script: TypeAlias = Callable[[Arrays, Arrays], None]
"""Called with the inputs and the outputs of ONE image (no batch axis); fills the outputs, which come as zeros."""


class ScriptedEngine:
    """Keeps the whole `Engine` contract on the host without a model file."""

    def __init__(self, signature: Signature, script: Script) -> None:
        self.signature = signature
        self._script = script

    def prepare(self, max_batch: int) -> "ScriptedExecution":
        """Allocate buffers for up to `max_batch` images."""
        return ScriptedExecution(self.signature, self._script, max_batch)


class ScriptedExecution:
    """Buffers and the function that fills them."""

    def __init__(self, signature: Signature, script: Script, max_batch: int) -> None:
        self._script = script
        self.max_batch = max_batch
        self.inputs = {
            name: np.zeros(shape, dtype) for name, (shape, dtype) in signature.input_arrays(max_batch).items()
        }
        self.outputs = {
            name: np.zeros(shape, dtype) for name, (shape, dtype) in signature.output_arrays(max_batch).items()
        }
        self.batches: list[int] = []
        """Batch size of every run so far."""

    def run(self, batch: int, cuda_stream: CudaStream) -> None:
        """Play the script once per image."""
        if not 1 <= batch <= self.max_batch:
            raise ValueError(f"batch must be 1..{self.max_batch}, got {batch}")
        self.batches.append(batch)
        for row in range(batch):
            outputs = {name: array[row] for name, array in self.outputs.items()}
            for array in outputs.values():
                array.fill(0)
            self._script({name: array[row] for name, array in self.inputs.items()}, outputs)
