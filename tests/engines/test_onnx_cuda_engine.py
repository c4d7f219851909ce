"""The CUDA engine's discipline, with ONNX Runtime's CPU provider under a GPU made of host memory: no GPU is needed."""

import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from engines.errors import DeviceError
from engines.onnx_cuda_engine import PROVIDER, OnnxCudaEngine
from engines.onnx_engine import OnnxEngine
from tests.support.cuda_runtime import REAL_SESSION, CpuSession, with_onnx_runtime_for_cuda
from tests.support.host_gpu import HostGpu
from tests.support.tiny_pair import CLASSES, signature, tiny_model

SIZE = (128, 96)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "tiny-student-128x96.onnx"
    onnx.save(tiny_model(replace(signature("student", SIZE, prior=True), classes=CLASSES)), path)
    return path


@pytest.fixture
def reference(model: Path) -> OnnxEngine:
    return OnnxEngine(model, 1)


@pytest.fixture
def with_cuda(monkeypatch: pytest.MonkeyPatch, reference: OnnxEngine) -> None:
    """After `reference`, which is the real thing."""
    with_onnx_runtime_for_cuda(monkeypatch)


def test_an_onnx_runtime_without_cuda_is_refused_with_the_remedy(model: Path) -> None:
    with pytest.raises(DeviceError, match=r"pip install onnxruntime-gpu.*python -m export\.to_plan"):
        OnnxCudaEngine(model, HostGpu())


def test_a_silent_fall_back_to_the_cpu_is_refused(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort, "get_available_providers", lambda: [PROVIDER])
    monkeypatch.setattr(ort, "InferenceSession", lambda *args, providers: REAL_SESSION(*args, providers=[providers[1]]))
    with pytest.raises(DeviceError, match=r"fell back to the CPU; .* speaks CUDA 13\.0"):
        OnnxCudaEngine(model, HostGpu())


@pytest.mark.usefixtures("with_cuda")
def test_results_are_those_of_the_cpu_and_land_in_the_callers_buffers(model: Path, reference: OnnxEngine) -> None:
    gpu = HostGpu()
    execution, expected = OnnxCudaEngine(model, gpu).prepare(3), reference.prepare(3)
    rng = np.random.default_rng(1)
    execution.inputs["image"][:] = rng.integers(0, 256, execution.inputs["image"].shape)
    execution.inputs["prior"][:] = rng.random(execution.inputs["prior"].shape)
    for name, array in expected.inputs.items():
        array[:] = execution.inputs[name]
    allocations = gpu.allocations
    for batch in (2, 1, 3, 2):
        execution.run(batch, gpu.cuda_stream())
        expected.run(batch, gpu.queues[-1])
        for name, array in expected.outputs.items():
            assert np.array_equal(array[:batch], execution.outputs[name][:batch]), name
    assert gpu.allocations == allocations
    with pytest.raises(ValueError, match=r"batch must be 1\.\.3"):
        execution.run(4, gpu.cuda_stream())


@pytest.mark.usefixtures("with_cuda")
def test_the_session_works_on_our_queue_and_events_order_it_with_the_callers(model: Path) -> None:
    gpu = HostGpu()
    engine = OnnxCudaEngine(model, gpu)
    (own,) = gpu.queues
    (name, options), fallback = CpuSession.opened_with
    assert (name, fallback) == (PROVIDER, "CPUExecutionProvider")
    assert options == {
        "device_id": "0",
        "user_compute_stream": str(own.handle),
        "cudnn_conv_algo_search": "HEURISTIC",
        "use_tf32": "0",
        "arena_extend_strategy": "kSameAsRequested",
        "enable_cuda_graph": "0",
    }
    callers = gpu.cuda_stream()
    execution = engine.prepare(1)
    execution.run(1, callers)
    assert own.said == ["wait", "record"] and callers.said == ["record", "wait"]
    session = engine._session
    assert session.options_of_runs[0].get_run_config_entry("disable_synchronize_execution_providers") == "1"


@pytest.mark.usefixtures("with_cuda")
def test_with_graphs_each_batch_size_has_a_recording_of_its_own(model: Path) -> None:
    gpu = HostGpu()
    engine = OnnxCudaEngine(model, gpu, graphs=True)
    assert CpuSession.opened_with[0][1]["enable_cuda_graph"] == "1"
    execution = engine.prepare(3)
    for batch in (2, 3, 2):
        execution.run(batch, gpu.cuda_stream())
    recorded = [options.get_run_config_entry("gpu_graph_id") for options in engine._session.options_of_runs]
    assert recorded == ["2", "3", "2"]


@pytest.mark.usefixtures("with_cuda")
def test_a_run_that_fails_says_what_onnx_runtime_says(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise RuntimeError("Failed to allocate memory for requested buffer of size 4096\nand a stack trace")

    monkeypatch.setattr(CpuSession, "run_with_iobinding", full)
    gpu = HostGpu()
    execution = OnnxCudaEngine(model, gpu).prepare(2)
    with pytest.raises(DeviceError, match=r"could not run 2 images on the GPU: Failed to allocate .* size 4096$"):
        execution.run(2, gpu.cuda_stream())


@pytest.mark.usefixtures("with_cuda")
def test_the_session_goes_before_the_queue_that_it_uses(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone: list[str] = []
    monkeypatch.setattr(CpuSession, "__del__", lambda self: gone.append("session"), raising=False)
    gpu = HostGpu()
    engine = OnnxCudaEngine(model, gpu)
    weakref.finalize(gpu.queues.pop(), gone.append, "queue")
    execution = engine.prepare(1)
    del engine
    assert gone == []
    del execution
    assert gone == ["session", "queue"]


@pytest.mark.usefixtures("with_cuda")
def test_libraries_of_python_packages_are_loaded_first_and_silently(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    CpuSession.opened_with = None
    opened: list[Any] = []

    def preload() -> None:
        opened.append(CpuSession.opened_with)
        print("Failed to load libcufft.so")

    monkeypatch.setattr(ort, "preload_dlls", preload)
    OnnxCudaEngine(model, HostGpu())
    assert opened == [None] and CpuSession.opened_with is not None
    assert capsys.readouterr().out == ""
