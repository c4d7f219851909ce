"""A stand-in for the module `tensorrt` that computes with ONNX Runtime, on the addresses that it was given.

A "plan" is an ONNX file's bytes. As with TensorRT, nothing runs before profile, addresses and shapes are set; unlike a
plan it has no largest batch. tests/engines/test_trt_api.py holds the names that the engine uses to the real libraries'.
"""

import ctypes
from enum import Enum
from typing import Any

import numpy as np
import onnxruntime

__version__ = "10.99.0"

TensorIOMode = Enum("TensorIOMode", ["NONE", "INPUT", "OUTPUT"])
DataType = Enum("DataType", ["FLOAT", "HALF", "INT32", "UINT8"])
ExecutionContextAllocationStrategy = Enum("ExecutionContextAllocationStrategy", ["STATIC", "USER_MANAGED"])
_TYPES = {
    "tensor(uint8)": (DataType.UINT8, np.uint8),
    "tensor(int32)": (DataType.INT32, np.int32),
    "tensor(float)": (DataType.FLOAT, np.float32),
}
SCRATCH = 4096


class ILogger:
    Severity = Enum("Severity", ["INTERNAL_ERROR", "ERROR", "WARNING", "INFO", "VERBOSE"])


class Runtime:
    def __init__(self, logger: Any) -> None:
        self._logger = logger

    def deserialize_cuda_engine(self, plan: bytes) -> "ICudaEngine | None":
        try:
            return ICudaEngine(plan)
        except Exception:
            self._logger.log(ILogger.Severity.ERROR, "magic tag does not match")
            return None


class ICudaEngine:
    def __init__(self, plan: bytes) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level, options.intra_op_num_threads = 4, 1
        self.session = onnxruntime.InferenceSession(plan, options, providers=["CPUExecutionProvider"])
        self._inputs = {node.name: node for node in self.session.get_inputs()}
        self._tensors = self._inputs | {node.name: node for node in self.session.get_outputs()}
        self.num_io_tensors = len(self._tensors)
        self.device_memory_size_v2 = SCRATCH
        self.contexts: list[IExecutionContext] = []

    def get_tensor_name(self, index: int) -> str:
        return list(self._tensors)[index]

    def get_tensor_mode(self, name: str) -> Any:
        return TensorIOMode.INPUT if name in self._inputs else TensorIOMode.OUTPUT

    def get_tensor_dtype(self, name: str) -> Any:
        return _TYPES[self._tensors[name].type][0]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return tuple(side if isinstance(side, int) else -1 for side in self._tensors[name].shape)

    def create_execution_context(self, strategy: Any) -> "IExecutionContext":
        assert strategy is ExecutionContextAllocationStrategy.USER_MANAGED
        self.contexts.append(IExecutionContext(self))
        return self.contexts[-1]


class IExecutionContext:
    def __init__(self, engine: ICudaEngine) -> None:
        self._engine = engine
        self._addresses: dict[str, int] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._scratch = (0, 0)
        self._profile: int | None = None
        self.handles: list[int] = []

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
        self._profile = profile_index
        return profile_index == 0 and stream_handle != 0

    def set_device_memory(self, memory: int, size: int) -> None:
        self._scratch = (memory, size)

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self._addresses[name] = memory
        return name in self._engine._tensors

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self._shapes[name] = shape
        return self._profile is not None and name in self._engine._inputs

    def execute_async_v3(self, stream_handle: int) -> bool:
        engine = self._engine
        if self._scratch[0] == 0 or self._scratch[1] < SCRATCH or not stream_handle:
            return False
        if set(self._addresses) != set(engine._tensors) or set(self._shapes) != set(engine._inputs):
            return False
        self.handles.append(stream_handle)
        feeds = {
            name: _view(self._addresses[name], shape, _TYPES[engine._tensors[name].type][1])
            for name, shape in self._shapes.items()
        }
        names = [name for name in engine._tensors if name not in feeds]
        for name, value in zip(names, engine.session.run(names, feeds), strict=True):
            _view(self._addresses[name], value.shape, value.dtype)[:] = value
        return True


def _view(address: int, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """The memory at an address as an array."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.frombuffer((ctypes.c_char * size).from_address(address), dtype).reshape(shape)
