"""ONNX Runtime on a GPU: device pointers are bound, nothing is copied to the host, and the host does not wait."""

from collections.abc import Mapping
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import onnxruntime as ort

from engines.device import Array, CudaStream, GpuDevice
from engines.engine import Buffers
from engines.errors import MAKE_PLAN, DeviceError
from engines.onnx_engine import open_session

PROVIDER = "CUDAExecutionProvider"


class OnnxCudaEngine:
    """A model file in ONNX Runtime's CUDA provider.

    The provider is given one cuda_stream when the session opens. It gets one of the engine's own; events put its work
    in order with the cuda_stream that a run names.
    """

    def __init__(
        self, path: Path, device: GpuDevice, graphs: bool = False, size: tuple[int, int] | None = None
    ) -> None:
        """Read and check `path`; `size`: see `open_session`.

        graphs: let ONNX Runtime record its kernels per batch size. Off, since its replay waits for the GPU, which keeps
        the host from tracking meanwhile.

        Raises DeviceError where ONNX Runtime has no CUDA, ModelFileError and SignatureError as `OnnxEngine` does.
        """
        if PROVIDER not in ort.get_available_providers():
            raise DeviceError(
                "this ONNX Runtime has no CUDA; replace it (pip uninstall onnxruntime; pip install onnxruntime-gpu), "
                f"or make a plan for TensorRT: {MAKE_PLAN} {path}"
            )
        with redirect_stdout(StringIO()):  # it prints what it does not find, of which some is not needed
            ort.preload_dlls()  # CUDA and cuDNN that came as Python packages
        cuda_stream = device.cuda_stream()
        options = {
            "device_id": str(device.index),
            "user_compute_stream": str(cuda_stream.handle),
            # The default tries all algorithms at each new batch size, and so many seconds pass in a tick.
            "cudnn_conv_algo_search": "HEURISTIC",
            "use_tf32": "0",  # fp32 means fp32
            "arena_extend_strategy": "kSameAsRequested",  # the default doubles, and a small GPU's memory is full
            "enable_cuda_graph": str(int(graphs)),
        }
        # The second provider takes the few nodes on shapes that CUDA has no kernels for.
        self._session, self.signature = open_session(path, [(PROVIDER, options), "CPUExecutionProvider"], 1, size)
        # What comes first here goes first: the session, which uses the cuda_stream.
        self._cuda_stream, self._device, self._graphs = cuda_stream, device, graphs
        if PROVIDER not in self._session.get_providers():
            major, minor = device.driver_version // 1000, device.driver_version % 1000 // 10
            raise DeviceError(
                "ONNX Runtime found no usable CUDA and fell back to the CPU; it needs CUDA and cuDNN in the versions "
                f"named in docs/GPU.md, and a driver for them (this one speaks CUDA {major}.{minor}); or use the "
                "device 'cpu'"
            )

    def prepare(self, max_batch: int) -> "OnnxCudaExecution":
        """Allocate buffers for up to `max_batch` images."""
        return self.bind(Buffers.allocate(self.signature, max_batch, self._device.empty))

    def bind(self, buffers: Buffers) -> "OnnxCudaExecution":
        """Run on these buffers."""
        return OnnxCudaExecution(self._session, self._cuda_stream, self._device.index, buffers, self._graphs)


class OnnxCudaExecution:
    """Device buffers bound to a session."""

    def __init__(
        self,
        session: ort.InferenceSession,
        cuda_stream: CudaStream,
        device_index: int,
        buffers: Buffers,
        graphs: bool,
    ) -> None:
        self._session, self._cuda_stream, self._index, self._buffers = session, cuda_stream, device_index, buffers
        self.inputs: Mapping[str, Array] = buffers.inputs
        self.outputs: Mapping[str, Array] = buffers.outputs
        self.max_batch = buffers.max_batch
        self._graphs = graphs
        # Batch size -> binding and options, made on first use.
        self._prepared: dict[int, tuple[ort.IOBinding, ort.RunOptions]] = {}

    def run(self, batch: int, cuda_stream: CudaStream) -> None:
        """Enqueue: after what is on `cuda_stream` now, before what comes later. Raises DeviceError where it cannot."""
        prepared = self._prepared.get(batch)
        if prepared is None:
            self._buffers.check(batch)
            prepared = self._prepared[batch] = self._bind(batch), self._options(batch)
        self._cuda_stream.wait(cuda_stream.record())
        try:
            self._session.run_with_iobinding(*prepared)
        except Exception as error:  # ONNX Runtime's exceptions share no base but this
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise DeviceError(f"ONNX Runtime could not run {batch} images on the GPU: {reason}") from error
        cuda_stream.wait(self._cuda_stream.record())

    def _options(self, batch: int) -> ort.RunOptions:
        options = ort.RunOptions()
        options.add_run_config_entry("disable_synchronize_execution_providers", "1")
        if self._graphs:
            options.add_run_config_entry("gpu_graph_id", str(batch))  # which of the recorded ones
        return options

    def _bind(self, batch: int) -> ort.IOBinding:
        binding = self._session.io_binding()
        for arrays, bind in ((self.inputs, binding.bind_input), (self.outputs, binding.bind_output)):
            for name, array in arrays.items():
                bind(name, "cuda", self._index, array.dtype.type, (batch, *array.shape[1:]), int(array.pointer))
        return binding
