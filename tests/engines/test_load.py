import logging
import os
from pathlib import Path
from threading import Event

import numpy as np
import onnx
import pytest

from engines import load, tensorrt_engine
from engines.engine import Buffers
from engines.errors import DeviceError, EngineError, ModelFileError, PlanError
from engines.host import HostDevice
from engines.load import load_engine, open_device
from engines.onnx_engine import OnnxEngine
from engines.plan import PlanStore
from engines.plan_builds import PlanBuilds, Size
from engines.switching import SwitchingEngine, SwitchingExecution
from engines.tensorrt_builder import Progress
from engines.tensorrt_engine import TensorRtEngine
from tests.support import fake_tensorrt
from tests.support.host_gpu import HostGpu
from tests.support.plans import write_plan
from tests.support.tiny_pair import signature, tiny_model


@pytest.mark.parametrize("name", ["cpu", "auto"])
def test_the_host_is_a_device(name: str) -> None:
    assert open_device(name).name == "cpu"


@pytest.mark.parametrize(
    ("name", "remedy"),
    [("cuda", r"no CUDA driver on this machine.*use the device 'cpu'"), ("tpu", "use 'cpu', 'cuda' or 'auto'")],
)
def test_a_device_that_is_not_there_is_refused_with_the_remedy(name: str, remedy: str) -> None:
    with pytest.raises(DeviceError, match=remedy):
        open_device(name)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"expected a \.onnx or \.plan file"):
        load_engine(tmp_path / "model.pt", HostDevice())


def test_a_plan_on_the_cpu_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=r"needs a GPU; on the CPU load the \.onnx file"):
        load_engine(tmp_path / "model.plan", HostDevice())


def test_an_onnx_file_becomes_an_engine_that_knows_its_signature(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(tiny_model(signature("teacher", (128, 96))), path)
    assert load_engine(path, HostDevice(), threads=1).signature == signature("teacher", (128, 96))


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    path = tmp_path / "tiny-teacher-128x96.onnx"
    onnx.save(tiny_model(signature("teacher", (128, 96))), path)
    return path


@pytest.fixture
def on_gpu(monkeypatch: pytest.MonkeyPatch) -> HostGpu:
    """A GPU of host memory, where TensorRT is the stand-in and ONNX Runtime's CUDA its CPU engine."""
    monkeypatch.setattr(tensorrt_engine, "load_library", lambda name: fake_tensorrt)
    monkeypatch.setattr(load, "OnnxCudaEngine", lambda path, device, size: OnnxEngine(path, 1, size))
    return HostGpu()


def test_on_a_gpu_a_plan_that_fits_takes_the_models_place(tmp_path: Path, teacher: Path, on_gpu: HostGpu) -> None:
    store = PlanStore(tmp_path / "plans")
    plan = write_plan(store, teacher)
    engine = load_engine(teacher, on_gpu, plans=store.folder)
    assert isinstance(engine, TensorRtEngine) and engine.signature == signature("teacher", (128, 96))
    assert isinstance(load_engine(plan, on_gpu), TensorRtEngine)


def test_a_plan_for_too_few_images_gives_way_to_one_for_enough(
    tmp_path: Path, teacher: Path, on_gpu: HostGpu, caplog: pytest.LogCaptureFixture
) -> None:
    store = PlanStore(tmp_path / "plans")
    enough, newer = write_plan(store, teacher, max_batch=8), write_plan(store, teacher, max_batch=4)
    os.utime(enough, (1, 1))
    engine = load_engine(teacher, on_gpu, plans=store.folder, max_batch=8)
    assert isinstance(engine, TensorRtEngine) and engine.manifest.key.max_batch == 8
    assert "built for max batch 4, not 8" in caplog.text
    enough.unlink()
    with pytest.raises(EngineError, match="built for max batch 4, not 8"):
        load_engine(newer, on_gpu, max_batch=8)


def test_more_streams_than_the_plan_takes_is_an_error_and_no_slower_runtime(
    tmp_path: Path, teacher: Path, on_gpu: HostGpu
) -> None:
    store = PlanStore(tmp_path / "plans")
    write_plan(store, teacher, max_batch=16)
    with pytest.raises(PlanError, match=r"built for max batch 16, not 17; run: .*--max-batch 17"):
        load_engine(teacher, on_gpu, plans=store.folder, max_batch=17)
    builds = PlanBuilds(lambda *_: pytest.fail("not started"))
    ordered = load_engine(teacher, on_gpu, plans=store.folder, max_batch=17, builds=builds)
    assert isinstance(ordered, SwitchingEngine), "where another is being built, ONNX Runtime serves meanwhile"


def test_a_plan_that_does_not_fit_in_more_than_its_batch_is_nothing_to_wait_for(
    tmp_path: Path, teacher: Path, on_gpu: HostGpu
) -> None:
    store = PlanStore(tmp_path / "plans")
    write_plan(store, teacher, HostGpu((9, 0)), max_batch=16)
    assert isinstance(load_engine(teacher, on_gpu, plans=store.folder, max_batch=17), OnnxEngine)


@pytest.mark.parametrize("plans", ["none", "for another GPU", "of another model"])
def test_without_a_plan_that_fits_onnx_runtime_serves_and_the_log_has_the_command(
    tmp_path: Path, teacher: Path, on_gpu: HostGpu, plans: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = PlanStore(tmp_path / "plans")
    if plans == "for another GPU":
        write_plan(store, teacher, HostGpu((9, 0)))
    if plans == "of another model":
        other = tmp_path / "other.onnx"
        onnx.save(tiny_model(signature("teacher", (128, 160))), other)
        write_plan(store, other)
    assert isinstance(load_engine(teacher, on_gpu, plans=store.folder), OnnxEngine)
    assert "python -m export.to_plan" in caplog.text
    assert ("does not fit here" in caplog.text) == (plans == "for another GPU")


def test_onnx_runtime_serves_until_the_ordered_plan_is_ready(tmp_path: Path, teacher: Path, on_gpu: HostGpu) -> None:
    """The whole way, with a slow builder: serve, build, switch; frames are served all the time, on the same buffers."""
    store, let = PlanStore(tmp_path / "plans"), Event()

    def slow(model: Path, size: Size, progress: Progress, stop: Event) -> Path:
        progress(0.5, "timing kernels")
        assert let.wait(60)
        return write_plan(store, model)

    builds = PlanBuilds(slow)
    engine = load_engine(teacher, on_gpu, plans=store.folder, builds=builds)
    assert isinstance(engine, SwitchingEngine) and isinstance(engine.current, OnnxEngine)
    assert [state.phase for state in builds.states] == ["waiting"], "nothing is built before it is started"
    # The stand-in for ONNX Runtime's CUDA must work on addressed memory, as the real one does.
    buffers = Buffers.allocate(engine.signature, 2, on_gpu.empty)
    execution = SwitchingExecution(engine, engine.current, engine.current.bind(buffers))
    queue = on_gpu.cuda_stream()
    execution.inputs["image"][1, :, 20:80, 40:68] = 255
    execution.run(2, queue)
    before = {name: array.copy() for name, array in execution.outputs.items()}
    builds.start()
    execution.run(2, queue)
    assert isinstance(engine.current, OnnxEngine)
    let.set()
    while builds.states[0].phase == "building":
        execution.run(1, queue)
    assert builds.states[0].phase == "ready", builds.states
    builds.stop()
    assert isinstance(engine.current, TensorRtEngine)
    for array in execution.outputs.values():
        array[:] = -1
    execution.run(2, queue)
    assert all(np.array_equal(array, before[name]) for name, array in execution.outputs.items())
    assert execution.outputs["scores"] is buffers.outputs["scores"]


def test_every_error_is_an_engine_error() -> None:
    assert issubclass(DeviceError, EngineError)
    assert issubclass(ModelFileError, EngineError)


def test_the_host_copies_now_and_never_converts() -> None:
    device = HostDevice()
    stream = device.cuda_stream()
    source, out = np.arange(6, dtype=np.float32).reshape(2, 3), device.host_empty((2, 3), np.float32)
    device.copy(source, out, stream)
    source[:] = 0
    assert out.tolist() == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(TypeError):
        device.copy(source.astype(np.float64), out, stream)
    event = stream.record()
    stream.wait(event)
    event.synchronize()
    stream.synchronize()


def test_auto_says_in_one_line_why_it_is_the_cpu(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert open_device("auto").name == "cpu"
    (line,) = caplog.messages
    assert line.startswith("networks run on the CPU: no CUDA driver on this machine")


def test_a_gpu_without_a_runtime_for_it_is_said_to_be_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(load, "CudaDevice", HostGpu)
    monkeypatch.setattr(load, "find_spec", lambda name: None)
    with pytest.raises(DeviceError, match="neither onnxruntime-gpu nor TensorRT is installed"):
        open_device("cuda")
    with caplog.at_level(logging.INFO):
        assert open_device("auto").name == "cpu"
    monkeypatch.setattr(load, "find_spec", lambda name: name == "tensorrt")
    assert open_device("auto").name == "Host GPU"
