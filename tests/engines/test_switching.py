"""The engine changes between two runs: buffers stay, results change, and a failure changes nothing."""

import logging
from pathlib import Path

import numpy as np
import onnx
import pytest

from engines.engine import Buffers
from engines.errors import DeviceLostError, PlanError, SignatureError
from engines.host import HostDevice
from engines.onnx_engine import OnnxEngine
from engines.signature import Signature
from engines.switching import SwitchingEngine
from tests.support.tiny_pair import signature, tiny_model

STREAM = HostDevice().cuda_stream()


def engine(tmp_path: Path, scale: float = 1.0, sign: Signature | None = None) -> OnnxEngine:
    """A tiny teacher whose boxes are `scale` times as large as they should be."""
    model = tiny_model(sign or signature("teacher", (128, 96)))
    half_box = next(tensor for tensor in model.graph.initializer if tensor.name == "half_box")
    half_box.CopyFrom(onnx.numpy_helper.from_array(scale * onnx.numpy_helper.to_array(half_box), "half_box"))
    path = tmp_path / f"{scale}.onnx"
    onnx.save(model, path)
    return OnnxEngine(path, threads=1)


class Unrunnable(OnnxEngine):
    def bind(self, buffers: Buffers) -> object:  # type: ignore[override]
        return self

    def run(self, batch: int, cuda_stream: object) -> None:
        raise PlanError("made no execution context: out of device memory?")


class Lost(Unrunnable):
    def run(self, batch: int, cuda_stream: object) -> None:
        raise DeviceLostError("the GPU is gone")


class Unbindable(OnnxEngine):
    def bind(self, buffers: Buffers) -> object:  # type: ignore[override]
        raise PlanError("the plan takes 1 image at most")


def width(boxes: np.ndarray) -> float:
    return float(boxes[0, 0, 2] - boxes[0, 0, 0])


def test_without_an_offer_it_is_the_first_engine(tmp_path: Path) -> None:
    switching = SwitchingEngine(engine(tmp_path))
    assert switching.signature == signature("teacher", (128, 96))
    execution = switching.prepare(2)
    execution.run(2, STREAM)
    with pytest.raises(ValueError, match=r"batch must be 1\.\.2"):
        execution.run(3, STREAM)


def test_an_offered_engine_takes_over_all_executions_on_the_same_buffers(tmp_path: Path) -> None:
    switching = SwitchingEngine(engine(tmp_path))
    executions = [switching.prepare(1), switching.prepare(2)]
    kept = [dict(execution.outputs) for execution in executions]
    for execution in executions:
        execution.inputs["image"][0, :, 20:80, 40:68] = 255
        execution.run(1, STREAM)
        assert width(execution.outputs["boxes"]) == 28
    switching.offer(engine(tmp_path, scale=2.0))
    assert width(executions[0].outputs["boxes"]) == 28, "nothing changes before the next run"
    for execution, outputs in zip(executions, kept, strict=True):
        execution.run(1, STREAM)
        assert width(execution.outputs["boxes"]) == 56
        assert all(execution.outputs[name] is array for name, array in outputs.items())
    assert width_after_preparing(switching) == 56


def width_after_preparing(switching: SwitchingEngine) -> float:
    execution = switching.prepare(1)
    execution.inputs["image"][0, :, 20:80, 40:68] = 255
    execution.run(1, STREAM)
    return width(execution.outputs["boxes"])


def test_another_network_is_refused(tmp_path: Path) -> None:
    switching = SwitchingEngine(engine(tmp_path))
    with pytest.raises(SignatureError, match="cannot switch to another network"):
        switching.offer(engine(tmp_path, sign=signature("student", (128, 96))))


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Unbindable, "the plan takes 1 image at most"),
        (Unrunnable, "made no execution context: out of device memory?"),
    ],
)
def test_an_engine_that_cannot_be_bound_or_run_is_logged_once_and_the_one_before_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: type[OnnxEngine], said: str
) -> None:
    switching = SwitchingEngine(engine(tmp_path))
    execution = switching.prepare(2)
    broken = engine(tmp_path)
    broken.__class__ = kind
    switching.offer(broken)
    execution.inputs["image"][0, :, 20:80, 40:68] = 255
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            execution.run(1, STREAM)
    assert width(execution.outputs["boxes"]) == 28
    assert [record.message for record in caplog.records] == [f"the teacher goes on without its plan: {said}"]


def test_a_gpu_that_is_lost_is_no_reason_to_go_on(tmp_path: Path) -> None:
    switching = SwitchingEngine(engine(tmp_path))
    execution = switching.prepare(1)
    broken = engine(tmp_path)
    broken.__class__ = Lost
    switching.offer(broken)
    with pytest.raises(DeviceLostError):
        execution.run(1, STREAM)
