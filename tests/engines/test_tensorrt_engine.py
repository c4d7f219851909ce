"""The engine against a stand-in that computes with ONNX Runtime: same numbers as the CPU engine, same discipline."""

import hashlib
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest

from engines.engine import Buffers
from engines.errors import DeviceError, PlanError, SignatureError
from engines.onnx_engine import OnnxEngine
from engines.plan import PlanStore, read_manifest
from engines.tensorrt_engine import TensorRtEngine, TensorRtExecution, load_library
from tests.support import fake_tensorrt
from tests.support.host_gpu import HostGpu
from tests.support.plans import write_plan
from tests.support.tiny_pair import CLASSES, signature, tiny_model

SIZE = (128, 96)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "tiny-student-128x96.onnx"
    onnx.save(tiny_model(replace(signature("student", SIZE, prior=True), classes=CLASSES)), path)
    return path


@pytest.fixture
def plan(tmp_path: Path, model: Path) -> Path:
    return write_plan(PlanStore(tmp_path / "plans"), model)


def engine(plan: Path, gpu: HostGpu, graphs: bool = True) -> TensorRtEngine:
    return TensorRtEngine(plan, gpu, fake_tensorrt, graphs)


def bound(made: TensorRtEngine, max_batch: int, gpu: HostGpu) -> TensorRtExecution:
    """On buffers that somebody else may be using: nothing is rehearsed there."""
    return made.bind(Buffers.allocate(made.signature, max_batch, gpu.empty))


def fill(execution: TensorRtExecution) -> None:
    rng = np.random.default_rng(1)
    execution.inputs["image"][:] = rng.integers(0, 256, execution.inputs["image"].shape)
    execution.inputs["prior"][:] = rng.random(execution.inputs["prior"].shape)


@pytest.mark.parametrize("graphs", [True, False])
def test_results_are_those_of_onnx_runtime_at_every_batch_and_run(model: Path, plan: Path, graphs: bool) -> None:
    gpu = HostGpu()
    execution, reference = engine(plan, gpu, graphs).prepare(4), OnnxEngine(model, 1).prepare(4)
    queue = gpu.cuda_stream()
    fill(execution)
    for name, array in reference.inputs.items():
        array[:] = execution.inputs[name]
    for batch in (1, 4, 2, 3, 1, 4, 1):
        for outputs in (execution.outputs, reference.outputs):
            for array in outputs.values():
                array[:] = -1
        execution.run(batch, queue)
        reference.run(batch, queue)
        for name, array in reference.outputs.items():
            assert np.array_equal(array[:batch], execution.outputs[name][:batch]), name
    assert bool(gpu.graphs) == graphs


def test_from_a_sizes_second_run_on_the_graph_is_launched_and_nothing_is_allocated(plan: Path) -> None:
    gpu = HostGpu()
    execution = bound(engine(plan, gpu), 4, gpu)
    queue = gpu.cuda_stream()
    allocations = gpu.allocations
    for _ in range(5):
        execution.run(4, queue)
    assert [graph.launches for graph in gpu.graphs] == [4]
    execution.run(1, queue)
    execution.run(1, queue)
    assert [graph.launches for graph in gpu.graphs] == [4, 1]
    assert gpu.allocations == allocations


def test_graphs_of_all_batch_sizes_are_there_before_the_first_frame(plan: Path) -> None:
    gpu = HostGpu()
    made = engine(plan, gpu)
    execution = made.prepare(4)
    assert [graph.launches for graph in gpu.graphs] == [1, 1, 1], "of 1, 2 and 4"
    contexts = len(made._engine.contexts)
    for batch in (3, 1, 2, 4):
        execution.run(batch, gpu.cuda_stream())
    assert [graph.launches for graph in gpu.graphs] == [2, 2, 3], "three images run as four"
    assert len(made._engine.contexts) == contexts == 3


@pytest.mark.parametrize(("most", "sizes"), [(1, [1]), (6, [1, 2, 4, 6]), (64, [1, 2, 4, 8, 16, 32, 64])])
def test_the_largest_batch_is_a_size_of_its_own(plan: Path, most: int, sizes: list[int]) -> None:
    gpu = HostGpu()
    execution = TensorRtExecution(fake_tensorrt, SimpleNamespace(device_memory_size_v2=1), gpu, _sized(most), True)
    assert sorted({execution._size(batch) for batch in range(1, most + 1)}) == sizes
    assert all(execution._size(batch) >= batch for batch in range(1, most + 1))


def _sized(most: int) -> Buffers:
    return Buffers({}, {}, most)


def test_a_device_without_graphs_runs_all_the_same_and_says_so_once(
    plan: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gpu = HostGpu(capable=False)
    execution = bound(engine(plan, gpu), 2, gpu)
    for batch in (1, 1, 1, 2, 2, 2):
        execution.run(batch, gpu.cuda_stream())
    assert len([record for record in caplog.records if "no CUDA graph" in record.message]) == 1


def test_a_context_that_cannot_be_recorded_yet_is_recorded_later(plan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([False, False, True])
    monkeypatch.setattr(
        fake_tensorrt.IExecutionContext, "is_stream_capturable", lambda self, handle: next(answers), raising=False
    )
    gpu = HostGpu()
    execution = bound(engine(plan, gpu), 1, gpu)
    for _ in range(3):
        execution.run(1, gpu.cuda_stream())
        assert not gpu.graphs
    execution.run(1, gpu.cuda_stream())
    assert len(gpu.graphs) == 1


def test_work_goes_to_the_queue_that_the_run_names(plan: Path) -> None:
    gpu = HostGpu()
    made = engine(plan, gpu, graphs=False)
    execution = bound(made, 1, gpu)
    first, second = gpu.cuda_stream(), gpu.cuda_stream()
    execution.run(1, first)
    execution.run(1, second)
    assert made._engine.contexts[0].handles == [first.handle, second.handle]


def test_it_runs_on_buffers_that_are_there_already(plan: Path) -> None:
    gpu = HostGpu()
    made = engine(plan, gpu)
    buffers = Buffers.allocate(made.signature, 2, gpu.empty)
    execution = made.bind(buffers)
    assert execution.inputs["image"] is buffers.inputs["image"]
    buffers.outputs["scores"][:] = -1
    execution.run(2, gpu.cuda_stream())
    assert (buffers.outputs["scores"] >= 0).all()


@pytest.mark.parametrize("batch", [0, 3, -1])
def test_a_batch_that_the_buffers_do_not_hold_is_refused(plan: Path, batch: int) -> None:
    gpu = HostGpu()
    with pytest.raises(ValueError, match=r"batch must be 1\.\.2"):
        engine(plan, gpu).prepare(2).run(batch, gpu.cuda_stream())


def test_more_images_than_the_plan_was_built_for_are_refused_with_the_command(plan: Path) -> None:
    with pytest.raises(
        PlanError, match=r"built for max batch 4, not 8; run: python -m export\.to_plan .*--max-batch 8"
    ):
        engine(plan, HostGpu()).prepare(8)


@pytest.mark.parametrize("setter", ["set_optimization_profile_async", "set_tensor_address", "set_input_shape"])
def test_what_the_runtime_refuses_is_no_context(plan: Path, monkeypatch: pytest.MonkeyPatch, setter: str) -> None:
    monkeypatch.setattr(fake_tensorrt.IExecutionContext, setter, lambda *_: False)
    gpu = HostGpu()
    execution = bound(engine(plan, gpu), 2, gpu)
    for _ in range(2):
        with pytest.raises(PlanError, match=r"tensorrt \S+ refuses the profile, the buffers or a batch of 2"):
            execution.run(2, gpu.cuda_stream())


def test_a_plan_for_another_gpu_is_refused_with_the_command(plan: Path) -> None:
    message = r"built for compute capability 8\.6, not 9\.0; run: python -m export\.to_plan .* --runtime tensorrt "
    with pytest.raises(PlanError, match=message):
        engine(plan, HostGpu((9, 0)))


def test_bytes_that_the_runtime_cannot_load_are_refused_with_its_words(tmp_path: Path, model: Path) -> None:
    store = PlanStore(tmp_path / "plans")
    broken = tmp_path / "broken.onnx"
    onnx.save(onnx.load(model), broken)
    path = write_plan(store, broken)
    store.write(path, b"nothing", replace(read_manifest(path), plan_sha256=hashlib.sha256(b"nothing").hexdigest()))
    with pytest.raises(PlanError, match=r"cannot load .*magic tag does not match; make it again: python -m"):
        engine(path, HostGpu())


def test_a_plan_whose_tensors_are_not_those_of_its_manifest_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.onnx"
    made = tiny_model(replace(signature("student", SIZE, prior=True), classes=CLASSES))
    made.graph.output[0].name = "others"
    made.graph.node.append(onnx.helper.make_node("Identity", ["points"], ["others"]))
    onnx.save(made, path)
    with pytest.raises(SignatureError, match=r"has no output 'points'"):
        engine(write_plan(PlanStore(tmp_path / "plans"), path), HostGpu())


def test_a_plan_of_another_size_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.onnx"
    made = tiny_model(replace(signature("student", SIZE, prior=True), classes=CLASSES))
    next(entry for entry in made.metadata_props if entry.key == "height").value = "320"
    onnx.save(made, path)
    with pytest.raises(SignatureError, match=r"'image' must be uint8 \(batch, \(3, 320, 128\)\)"):
        engine(write_plan(PlanStore(tmp_path / "plans"), path), HostGpu())


def test_a_runtime_that_is_not_installed_says_how_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(DeviceError, match=r"no tensorrt on this machine .*JetPack"):
        load_library("tensorrt")
