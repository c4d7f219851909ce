from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto

from engines.errors import ModelFileError, SignatureError
from engines.host import HostDevice
from engines.onnx_engine import OnnxEngine
from engines.signature import Signature
from tests.support.tiny_pair import signature, tiny_model

SIZE = (128, 96)
STREAM = HostDevice().cuda_stream()


def _write(tmp_path: Path, model: onnx.ModelProto) -> Path:
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    return path


def test_no_file_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"no model file at .*nothing\.onnx"):
        OnnxEngine(tmp_path / "nothing.onnx")


def test_a_file_that_is_no_model_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"not a model")
    with pytest.raises(ModelFileError, match=r"is no model that ONNX Runtime can read") as caught:
        OnnxEngine(tmp_path / "model.onnx")
    assert "\n" not in str(caught.value)


def test_results_land_in_the_first_rows_of_the_callers_buffers(tmp_path: Path) -> None:
    engine = OnnxEngine(_write(tmp_path, tiny_model(signature("teacher", SIZE))), threads=1)
    execution = engine.prepare(3)
    kept = {name: array for name, array in execution.outputs.items()}
    image = execution.inputs["image"]
    image[0, :, 20:80, 40:68] = 255  # one rectangle of 7 x 15 cells, cells 10..16 and 5..19
    execution.outputs["scores"].fill(-1)
    execution.run(2, STREAM)
    assert all(execution.outputs[name] is array for name, array in kept.items())
    assert execution.outputs["scores"][0, 0] == pytest.approx(1, abs=1e-3)
    assert execution.outputs["points"][0, 0].tolist() == [13.5, 12.5]
    assert execution.outputs["boxes"][0, 0].tolist() == [40, 20, 68, 80]
    assert np.allclose(execution.outputs["embeddings"][0, 0], 3**-0.5)
    assert execution.outputs["heatmap"][0, 0, 12, 13] == execution.outputs["scores"][0, 0]
    assert (execution.outputs["scores"][1] == 0).all(), "an empty picture has no peak"
    assert (execution.outputs["scores"][2] == -1).all(), "the row beyond the batch is not touched"


def test_images_of_a_batch_do_not_see_each_other(tmp_path: Path) -> None:
    engine = OnnxEngine(_write(tmp_path, tiny_model(signature("student", SIZE, prior=True))), threads=1)
    together, alone = engine.prepare(4), engine.prepare(1)
    rng = np.random.default_rng(1)
    together.inputs["image"][:] = rng.integers(0, 256, together.inputs["image"].shape)
    together.inputs["prior"][:] = rng.random(together.inputs["prior"].shape)
    together.run(4, STREAM)
    for row in range(4):
        for name, array in alone.inputs.items():
            array[0] = together.inputs[name][row]
        alone.run(1, STREAM)
        for name, array in alone.outputs.items():
            assert np.array_equal(array[0], together.outputs[name][row]), name


@pytest.mark.parametrize("batch", [0, 3, -1])
def test_a_batch_that_the_buffers_do_not_hold_is_refused(tmp_path: Path, batch: int) -> None:
    execution = OnnxEngine(_write(tmp_path, tiny_model(signature("teacher", SIZE))), threads=1).prepare(2)
    with pytest.raises(ValueError, match=r"batch must be 1\.\.2"):
        execution.run(batch, STREAM)


def test_fp16_weights_are_unpacked_once_when_the_model_is_loaded(tmp_path: Path) -> None:
    path = _write(tmp_path, tiny_model(signature("teacher", SIZE)))
    before = onnx.load(path)
    assert any(weight.data_type == TensorProto.FLOAT16 for weight in before.graph.initializer)
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.log_severity_level = 3
    ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    after = onnx.load(tmp_path / "optimized.onnx")
    assert not any(weight.data_type == TensorProto.FLOAT16 for weight in after.graph.initializer)
    casts = {node.input[0] for node in after.graph.node if node.op_type == "Cast"}
    assert casts.isdisjoint({weight.name for weight in after.graph.initializer})


def _renamed_output(model: onnx.ModelProto) -> None:
    model.graph.output[0].name = "seen"


def _float_image(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT


def _fixed_batch(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1


def _other_size(model: onnx.ModelProto) -> None:
    metadata = {prop.key: prop for prop in model.metadata_props}
    metadata["height"].value = "320"


def _no_metadata(model: onnx.ModelProto) -> None:
    del model.metadata_props[:]


def _claims_no_prior(model: onnx.ModelProto) -> None:
    metadata = {prop.key: prop for prop in model.metadata_props}
    metadata["prior"].value = "False"


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (_renamed_output, r"the graph has no output \['points'\]"),
        (_float_image, r"input 'image' must be tensor\(uint8\), is tensor\(float\)"),
        (_fixed_batch, r"input 'image' must have 4 axes, the first of any length"),
        (_other_size, r"input 'image' must have the shape \(batch, 3, 320, 128\)"),
        (_no_metadata, r"has no metadata"),
        (_claims_no_prior, r"the graph wants the inputs \['prior'\]"),
    ],
)
def test_a_graph_that_breaks_the_contract_is_refused(tmp_path: Path, break_it: object, message: str) -> None:
    model = tiny_model(signature("student", SIZE, prior=True))
    break_it(model)  # type: ignore[operator]
    with pytest.raises(SignatureError, match=message):
        OnnxEngine(_write(tmp_path, model))


def test_the_tiny_models_themselves_keep_the_contract() -> None:
    for sign in (signature("teacher", SIZE), signature("student", SIZE), signature("student", SIZE, prior=True)):
        stored = {prop.key: prop.value for prop in tiny_model(sign).metadata_props}
        assert Signature.from_metadata(stored) == sign
