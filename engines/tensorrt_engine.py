"""TensorRT and TensorRT-RTX: one class for both, on the cuda_stream and the buffers that it is given.

The only file that imports either library, and only when one is needed: both are large, and most machines have none.
"""

import logging
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.device import Array, CudaStream, GpuDevice, Graph
from engines.engine import Buffers
from engines.errors import DeviceError, EngineError, PlanError, SignatureError
from engines.gpu import Gpu
from engines.plan import RuntimeName, check_fits, read_manifest, read_plan
from engines.signature import Signature
from engines.tensorrt_builder import Library, make_logger, name_of

log = logging.getLogger(__name__)

INSTALL = {
    "tensorrt": "it comes with NVIDIA's container and with JetPack, or: pip install tensorrt",
    "tensorrt_rtx": "pip install tensorrt-rtx",
}


def load_library(name: RuntimeName) -> Library:
    """The module of that name. Raises DeviceError, saying how it is installed, where it cannot be imported."""
    try:
        if name == "tensorrt":
            import tensorrt

            return tensorrt
        import tensorrt_rtx

        return tensorrt_rtx
    except (ImportError, OSError, AttributeError) as error:  # OSError: a library that it needs; AttributeError: another
        raise DeviceError(f"no {name} on this machine ({error}); {INSTALL[name]}; see docs/GPU.md") from error


class TensorRtEngine:
    """A plan, ready to run."""

    def __init__(
        self,
        path: Path,
        device: GpuDevice,
        library: Library | None = None,
        graphs: bool = True,
        max_batch: int = 1,
        size: tuple[int, int] | None = None,
    ) -> None:
        """Read the plan at `path`, which must take `max_batch` images of `size`; `library` stands in for the installed.

        Without `graphs` no work is recorded.

        Raises PlanError where the plan is damaged or does not fit this machine, with the command that mends it,
        DeviceError where its runtime is not installed, and SignatureError where it breaks the network contract.
        """
        manifest = read_manifest(path)
        self._trt = load_library(manifest.key.runtime) if library is None else library
        check_fits(path, manifest, str(self._trt.__version__), Gpu.of(device), max_batch)
        self.signature = Signature.from_metadata(manifest.signature, str(path)).at(size, str(path))
        self.manifest = manifest
        self._device, self._path, self._graphs = device, path, graphs
        device.make_current()  # of this thread, which may be the one that built the plan
        self._logger = make_logger(self._trt)  # must live as long as what was made with it
        self._runtime = self._trt.Runtime(self._logger)
        self._engine = self._runtime.deserialize_cuda_engine(read_plan(path, manifest))
        if self._engine is None:
            command = manifest.command(path.parent)
            raise PlanError(f"{name_of(self._trt)} cannot load {path}: {self._logger.last}; make it again: {command}")
        _check_tensors(self._trt, self._engine, self.signature, path)

    def prepare(self, max_batch: int) -> "TensorRtExecution":
        """Allocate buffers for up to `max_batch` images, and get ready for every batch size.

        Raises PlanError where the plan takes fewer.
        """
        execution = self.bind(Buffers.allocate(self.signature, max_batch, self._device.empty))
        execution.rehearse(self._device.cuda_stream())
        return execution

    def bind(self, buffers: Buffers) -> "TensorRtExecution":
        """Run on these buffers. Raises PlanError where they are larger than the plan's profile."""
        check_fits(self._path, self.manifest, str(self._trt.__version__), Gpu.of(self._device), buffers.max_batch)
        return TensorRtExecution(self._trt, self._engine, self._device, buffers, self._graphs)


class TensorRtExecution:
    """One execution context per batch size on shared scratch memory, since a graph belongs to one context and shape.

    Batch sizes are 1, 2, 4 and so on, and the largest: a batch between two runs as the larger, whose last rows mean
    nothing. One that comes for the first time without a rehearsal costs some milliseconds; from then on nothing is
    allocated.
    """

    def __init__(self, trt: Library, engine: Any, device: GpuDevice, buffers: Buffers, graphs: bool) -> None:
        self._trt, self._engine, self._device, self._buffers, self._use_graphs = trt, engine, device, buffers, graphs
        self._scratch: Array = device.empty((max(int(engine.device_memory_size_v2), 1),), np.uint8)
        self._contexts: dict[int, Any] = {}
        self._graphs: dict[int, Graph] = {}
        self.inputs, self.outputs, self.max_batch = buffers.inputs, buffers.outputs, buffers.max_batch

    def rehearse(self, cuda_stream: CudaStream) -> None:
        """Run every batch size as often as it takes to have its graph; the buffers must be nobody's yet."""
        for size in sorted({self._size(batch) for batch in range(1, self.max_batch + 1)}):
            for _ in range(2):
                self.run(size, cuda_stream)
        cuda_stream.synchronize()

    def _size(self, batch: int) -> int:
        """The batch size that a batch runs as."""
        return int(min(1 << (batch - 1).bit_length(), self.max_batch))

    def run(self, batch: int, cuda_stream: CudaStream) -> None:
        """Enqueue; a batch size's second run records a graph, later ones launch it."""
        self._buffers.check(batch)
        batch = self._size(batch)
        if graph := self._graphs.get(batch):
            graph.launch(cuda_stream)
            return
        context = self._contexts.get(batch)
        if context is None:  # the first run may allocate, which cannot be recorded
            context = self._contexts[batch] = self._context(batch, cuda_stream)
        elif self._may_record(context, cuda_stream) and (graph := self._record(context, cuda_stream)) is not None:
            self._graphs[batch] = graph
            graph.launch(cuda_stream)
            return
        self._enqueue(context, cuda_stream)

    def _may_record(self, context: Any, cuda_stream: CudaStream) -> bool:
        """Whether work can be recorded now; TensorRT-RTX cannot while it has kernels left to compile."""
        capturable = getattr(context, "is_stream_capturable", None)
        return self._use_graphs and (capturable is None or bool(capturable(cuda_stream.handle)))

    def _record(self, context: Any, cuda_stream: CudaStream) -> Graph | None:
        try:
            return self._device.capture(partial(self._enqueue, context, cuda_stream), cuda_stream)
        except EngineError as error:
            log.warning("no CUDA graph: %s; the network is enqueued kernel by kernel, which is slower", error)
            self._use_graphs = False  # what cannot be recorded at this batch size cannot be at others
            return None

    def _context(self, batch: int, cuda_stream: CudaStream) -> Any:
        strategy = self._trt.ExecutionContextAllocationStrategy.USER_MANAGED
        context = self._engine.create_execution_context(strategy)
        if context is None:
            raise PlanError(f"{name_of(self._trt)} made no execution context: out of device memory?")
        # Only an engine's first context is sure to have its profile by itself.
        taken = [context.set_optimization_profile_async(0, cuda_stream.handle)]
        context.set_device_memory(self._scratch.pointer, int(self._engine.device_memory_size_v2))
        for name, array in (*self.inputs.items(), *self.outputs.items()):
            taken.append(context.set_tensor_address(name, array.pointer))
        for name, array in self.inputs.items():
            taken.append(context.set_input_shape(name, (batch, *array.shape[1:])))
        if not all(taken):
            raise PlanError(f"{name_of(self._trt)} refuses the profile, the buffers or a batch of {batch}")
        return context

    def _enqueue(self, context: Any, cuda_stream: CudaStream) -> None:
        if not context.execute_async_v3(cuda_stream.handle):
            raise PlanError(f"{name_of(self._trt)} could not enqueue the network")


def _check_tensors(trt: Library, engine: Any, signature: Signature, path: Path) -> None:
    """Raise SignatureError unless the plan's tensors are those that its manifest announces."""
    found = {engine.get_tensor_name(index) for index in range(engine.num_io_tensors)}
    modes = ((trt.TensorIOMode.INPUT, signature.input_arrays(1)), (trt.TensorIOMode.OUTPUT, signature.output_arrays(1)))
    for mode, arrays in modes:
        for name, (shape, dtype) in arrays.items():
            if name not in found or engine.get_tensor_mode(name) != mode:
                raise SignatureError(f"{path} has no {mode.name.lower()} {name!r}, it has {sorted(found)}")
            _check_tensor(trt, engine, name, shape, dtype, path)


def _check_tensor(
    trt: Library, engine: Any, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike, path: Path
) -> None:
    types = {"uint8": trt.DataType.UINT8, "int32": trt.DataType.INT32, "float32": trt.DataType.FLOAT}
    wanted = types[np.dtype(dtype).name]
    got, sides = engine.get_tensor_dtype(name), tuple(engine.get_tensor_shape(name))
    if (
        got != wanted
        or len(sides) != len(shape)
        or any(a not in (-1, b) for a, b in zip(sides[1:], shape[1:], strict=True))
    ):
        raise SignatureError(f"{path}: {name!r} must be {np.dtype(dtype)} (batch, {shape[1:]}), is {got} {sides}")
