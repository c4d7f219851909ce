"""ONNX Runtime on a GPU: device pointers are bound, nothing is copied to the host, and the host does not wait."""

from collections.abc import Mapping
from pathlib import Path

import onnxruntime as ort

from engines.device import Array, CudaStream, GpuDevice
from engines.engine import Buffers
from engines.errors import DeviceError
from engines.onnx_engine import open_session

PROVIDER = "CUDAExecutionProvider"


class OnnxCudaEngine:
    """A model file in ONNX Runtime's CUDA provider.

    The provider is given one cuda_stream when the session opens. It gets one of the engine's own; events put its work
    in order with the cuda_stream that a run names.
    """

    def __init__(self, path: Path, device: GpuDevice) -> None:
        """Read and check `path`.

        Raises DeviceError where ONNX Runtime has no CUDA, ModelFileError and SignatureError as `OnnxEngine` does.
        """
        if PROVIDER not in ort.get_available_providers():
            raise DeviceError(
                "this ONNX Runtime has no CUDA; replace it (pip uninstall onnxruntime; pip install onnxruntime-gpu), "
                f"or make a plan for TensorRT: python -m export.to_plan {path}"
            )
        self._device = device
        self._cuda_stream = device.cuda_stream()
        options = {
            "device_id": str(device.index),
            "user_compute_stream": str(self._cuda_stream.handle),
        }
        # The second provider takes the few nodes on shapes that CUDA has no kernels for.
        self._session, self.signature = open_session(path, [(PROVIDER, options), "CPUExecutionProvider"], 1)
        if PROVIDER not in self._session.get_providers():
            raise DeviceError(
                "ONNX Runtime found no usable CUDA and fell back to the CPU; it needs CUDA and cuDNN in the versions "
                "named in docs/GPU.md, or use the device 'cpu'"
            )

    def prepare(self, max_batch: int) -> "OnnxCudaExecution":
        """Allocate buffers for up to `max_batch` images."""
        return self.bind(Buffers.allocate(self.signature, max_batch, self._device.empty))

    def bind(self, buffers: Buffers) -> "OnnxCudaExecution":
        """Run on these buffers."""
        return OnnxCudaExecution(self._session, self._cuda_stream, self._device.index, buffers)


class OnnxCudaExecution:
    """Device buffers bound to a session."""

    def __init__(
        self, session: ort.InferenceSession, cuda_stream: CudaStream, device_index: int, buffers: Buffers
    ) -> None:
        self._session, self._cuda_stream, self._index, self._buffers = session, cuda_stream, device_index, buffers
        self.inputs: Mapping[str, Array] = buffers.inputs
        self.outputs: Mapping[str, Array] = buffers.outputs
        self.max_batch = buffers.max_batch
        self._bindings: dict[int, ort.IOBinding] = {}  # batch size -> binding, made on first use
        self._options = ort.RunOptions()
        self._options.add_run_config_entry("disable_synchronize_execution_providers", "1")

    def run(self, batch: int, cuda_stream: CudaStream) -> None:
        """Enqueue: after what is on `cuda_stream` now, before what comes later."""
        binding = self._bindings.get(batch)
        if binding is None:
            self._buffers.check(batch)
            binding = self._bindings[batch] = self._bind(batch)
        self._cuda_stream.wait(cuda_stream.record())
        self._session.run_with_iobinding(binding, self._options)
        cuda_stream.wait(self._cuda_stream.record())

    def _bind(self, batch: int) -> ort.IOBinding:
        binding = self._session.io_binding()
        for arrays, bind in ((self.inputs, binding.bind_input), (self.outputs, binding.bind_output)):
            for name, array in arrays.items():
                bind(name, "cuda", self._index, array.dtype.type, (batch, *array.shape[1:]), int(array.pointer))
        return binding
