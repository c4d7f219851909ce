"""The whole pipeline on the CUDA device, whose driver and kernels run on the host: staging, kernels, results."""

import ctypes
from collections.abc import Mapping

import numpy as np
import pytest

from edge.ops.cuda_ops import CudaOps
from edge.pipeline.backend import Backend
from engines.cuda_device import CudaArray, CudaDevice, CudaQueue
from engines.signature import Signature
from tests.support.day import OF_CLASSES, SIGNATURES, Day, assert_same, on_host, see, swapping
from tests.support.host_driver import stand_in_gpu, statistic
from tests.support.scripted_engine import Script


class AddressedEngine:
    """A scripted network that finds its inputs and outputs by address, as TensorRT does; captured in a graph, too."""

    def __init__(self, signature: Signature, script: Script, device: CudaDevice) -> None:
        self.signature, self._script, self._device = signature, script, device

    def prepare(self, max_batch: int) -> "AddressedExecution":
        return AddressedExecution(self.signature, self._script, self._device, max_batch)


class AddressedExecution:
    def __init__(self, signature: Signature, script: Script, device: CudaDevice, max_batch: int) -> None:
        self.max_batch, self._script = max_batch, script
        self.inputs = {name: device.empty(*array) for name, array in signature.input_arrays(max_batch).items()}
        self.outputs = {name: device.empty(*array) for name, array in signature.output_arrays(max_batch).items()}

    def run(self, batch: int, cuda_stream: CudaQueue) -> None:
        for row in range(batch):
            outputs = {name: _look(array[row]) for name, array in self.outputs.items()}
            for array in outputs.values():
                array.fill(0)
            self._script({name: _look(array[row]) for name, array in self.inputs.items()}, outputs)


def _look(array: CudaArray) -> np.ndarray:
    """The memory at an address; only this driver's is the host's own."""
    return np.ndarray(array.shape, array.dtype, (ctypes.c_uint8 * array.nbytes).from_address(array.pointer))


def _on_cuda(signatures: Mapping[str, Signature] = SIGNATURES) -> Backend:
    device = stand_in_gpu()
    engines = {name: AddressedEngine(s, see, device) for name, s in signatures.items()}
    return Backend(device, CudaOps(device, b"\x7fELF built in"), **engines)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("signatures", [SIGNATURES, OF_CLASSES])
def test_a_day_on_the_cuda_device_is_a_day_on_the_host_bit_for_bit(
    seed: int, signatures: Mapping[str, Signature]
) -> None:
    day = Day(seed)
    assert_same(day.through(_on_cuda(signatures)), day.through(on_host(signatures)))


def test_a_tick_allocates_nothing() -> None:
    backend = _on_cuda()

    def allocations(ticks: int) -> int:
        before = statistic("allocations")
        Day(1, lanes=3, ticks=ticks).through(backend)
        return statistic("allocations") - before

    allocations(60)  # every camera's size has been seen
    assert allocations(60) == allocations(20) > 0, "the pipeline's own buffers, however long it runs"


@pytest.mark.parametrize("seed", range(3))
def test_students_of_their_own_come_and_go_on_the_cuda_device_as_well(seed: int) -> None:
    backend, day = _on_cuda(), Day(seed)
    device = backend.device
    assert isinstance(device, CudaDevice)
    found = swapping(backend, day, lambda: AddressedEngine(SIGNATURES["student"], see, device), seed)
    assert_same(found, day.through(on_host()))
