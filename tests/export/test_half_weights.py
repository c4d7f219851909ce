"""Weights are stored in half their bytes, and computed with as before."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import ModelProto, TensorProto

from export.half_weights import SMALLEST, halve_weights, restore_weights
from tests.support.tiny_pair import signature, tiny_model


def of_weights(*weights: np.ndarray) -> ModelProto:
    """A model that has them, named w0, w1, ... and computes nothing."""
    stored = [onnx.numpy_helper.from_array(value, f"w{number}") for number, value in enumerate(weights)]
    return onnx.helper.make_model(onnx.helper.make_graph([], "g", [], [], stored))


def run(model: ModelProto, image: np.ndarray) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return list(session.run(None, {"image": image}))


def test_a_model_without_weights_stays_as_it_is() -> None:
    model = of_weights()
    before = model.SerializeToString()
    halve_weights(model)
    restore_weights(model)
    assert model.SerializeToString() == before


def test_large_tensors_of_fp32_are_halved_and_no_others() -> None:
    kept = np.zeros(SMALLEST - 1, np.float32), np.zeros(SMALLEST, np.int64)
    model = of_weights(np.zeros(SMALLEST, np.float32), *kept)
    halve_weights(model)
    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    assert types == {"w0.fp16": TensorProto.FLOAT16, "w1": TensorProto.FLOAT, "w2": TensorProto.INT64}
    assert [(node.op_type, *node.input, *node.output) for node in model.graph.node] == [("Cast", "w0.fp16", "w0")]


def test_a_weight_beyond_half_precision_is_refused() -> None:
    with pytest.raises(OverflowError, match="w0 reaches"):
        halve_weights(of_weights(np.full(100, 1e6, np.float32)))


def test_restored_weights_are_the_halved_ones_as_fp32() -> None:
    weights = np.random.default_rng(0).normal(size=SMALLEST).astype(np.float32)
    model = of_weights(weights)
    halve_weights(model)
    restore_weights(model)
    (restored,) = model.graph.initializer
    assert restored.name == "w0" and not model.graph.node
    expected = weights.astype(np.float16).astype(np.float32)
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(restored), expected)


def test_restoring_weights_changes_no_number() -> None:
    model = tiny_model(signature("teacher", (128, 96)))
    image = np.random.default_rng(0).integers(0, 256, (1, 3, 96, 128), np.uint8)
    before = run(model, image)
    restore_weights(model)
    assert not any(tensor.data_type == TensorProto.FLOAT16 for tensor in model.graph.initializer)
    assert all(np.array_equal(a, b) for a, b in zip(before, run(model, image), strict=True))
