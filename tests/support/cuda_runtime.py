"""ONNX Runtime's CPU provider in the place of its CUDA provider; with it, a whole machine whose GPU is host memory."""

from collections.abc import Callable
from functools import partial
from typing import Any

import onnxruntime as ort
import pytest

from engines.cuda_device import CudaDevice
from engines.device import CudaStream
from engines.onnx_cuda_engine import PROVIDER
from tests.support import fake_tensorrt
from tests.support.host_driver import stand_in_gpu
from tests.support.host_gpu import RepeatingGraph

REAL_SESSION = ort.InferenceSession


class CpuSession:
    """An InferenceSession that takes the CPU's provider for CUDA's, and host addresses for the GPU's."""

    opened_with: Any = None
    options_of_runs: list[Any]

    def __init__(self, path: str, options: Any, providers: Any) -> None:
        type(self).opened_with = providers
        self.options_of_runs = []
        self._providers = [entry if isinstance(entry, str) else entry[0] for entry in providers]
        self._session = REAL_SESSION(path, options, providers=["CPUExecutionProvider"])

    def get_providers(self) -> list[str]:
        return self._providers

    def io_binding(self) -> Any:
        binding = self._session.io_binding()
        return HostBinding(binding) if PROVIDER in self._providers else binding

    def run_with_iobinding(self, binding: Any, options: Any = None) -> None:
        self.options_of_runs.append(options)
        self._session.run_with_iobinding(getattr(binding, "inner", binding))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


class HostBinding:
    """An IOBinding to addresses that are said to be a GPU's."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def bind_input(self, name: str, kind: str, *rest: Any) -> None:
        assert kind == "cuda", "nothing is copied to the host"
        self.inner.bind_input(name, "cpu", *rest)

    def bind_output(self, name: str, kind: str, *rest: Any) -> None:
        assert kind == "cuda", "nothing is copied to the host"
        self.inner.bind_output(name, "cpu", *rest)


class StandInGpu(CudaDevice):
    """The CUDA device over host memory; its graphs repeat work that is none of the driver's, as networks here are."""

    def capture(self, work: Callable[[], None], cuda_stream: CudaStream) -> RepeatingGraph:  # type: ignore[override]
        work()
        return RepeatingGraph(work)


def with_onnx_runtime_for_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """What onnxruntime-gpu would be."""
    monkeypatch.setattr(ort, "InferenceSession", CpuSession)
    monkeypatch.setattr(ort, "get_available_providers", lambda: [PROVIDER, "CPUExecutionProvider"])


def with_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process believe that it has a GPU, onnxruntime-gpu and TensorRT; kernels run as host C++."""
    with_onnx_runtime_for_cuda(monkeypatch)
    monkeypatch.setattr("engines.load.CudaDevice", partial(stand_in_gpu, StandInGpu))
    monkeypatch.setattr(
        "edge.ops.cuda_ops.kernel_image", lambda capability: b"\x7fELF this driver has its kernels already"
    )
    monkeypatch.setattr("engines.tensorrt_engine.load_library", lambda name: fake_tensorrt)
