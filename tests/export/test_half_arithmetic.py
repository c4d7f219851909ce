"""The body computes in fp16, the decoding in fp32, and the numbers stay within what fp16 can do."""

from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from export.half_arithmetic import halve_arithmetic
from export.half_weights import restore_weights
from tests.support.tiny_pair import CLASSES, signature, tiny_model

FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16


def model(nodes: list[onnx.NodeProto], weights: dict[str, np.ndarray], outputs: tuple[str, ...] = ("y",)) -> ModelProto:
    """A graph of one input x (b, 4, 8, 8)."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", FLOAT, ("b", 4, 8, 8))],
        [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def run(made: ModelProto, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Without optimisations, which would take pairs of casts out and compute better than fp16."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(made.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return list(session.run(None, feeds))


def types(made: ModelProto) -> dict[str, int]:
    """Element type of every tensor."""
    graph = onnx.shape_inference.infer_shapes(made, strict_mode=True).graph
    values = (*graph.input, *graph.output, *graph.value_info)
    return {value.name: value.type.tensor_type.elem_type for value in values}


def test_a_network_without_convolution_stays_as_it_is() -> None:
    made = model([helper.make_node("Sigmoid", ["x"], ["y"])], {})
    before = made.SerializeToString()
    halve_arithmetic(made)
    assert [node.op_type for node in made.graph.node] == ["Sigmoid"]
    assert types(made)["y"] == FLOAT
    assert before == made.SerializeToString()


def test_the_body_is_fp16_and_the_decoding_fp32() -> None:
    weights = {"w": np.ones((4, 4, 1, 1), np.float32), "i": np.zeros((1, 2, 8, 8), np.int64)}
    made = model(
        [
            helper.make_node("Relu", ["x"], ["a"]),
            helper.make_node("Conv", ["a", "w"], ["c"]),
            helper.make_node("GatherElements", ["c", "i"], ["moved"], axis=1),
            helper.make_node("Exp", ["moved"], ["y"]),
        ],
        weights,
    )
    halve_arithmetic(made)
    found = types(made)
    assert (found["x"], found["a"], found["c"], found["moved"], found["y"]) == (FLOAT, HALF, HALF, HALF, FLOAT)
    assert {tensor.name for tensor in made.graph.initializer} == {"w.half", "i"}
    x = np.random.default_rng(0).random((1, 4, 8, 8), np.float32)
    (y,) = run(made, {"x": x})
    assert np.allclose(y, np.exp(np.maximum(x, 0).sum(1, keepdims=True).repeat(2, 1)), rtol=1e-2)


def test_an_output_that_comes_from_the_body_is_fp32_again() -> None:
    made = model(
        [helper.make_node("Conv", ["x", "w"], ["y"]), helper.make_node("Exp", ["y"], ["z"])],
        {"w": np.ones((1, 4, 1, 1), np.float32)},
        ("y", "z"),
    )
    halve_arithmetic(made)
    y, z = run(made, {"x": np.ones((2, 4, 8, 8), np.float32)})
    assert y.dtype == z.dtype == np.float32
    assert (y == 4).all() and np.allclose(z, np.exp(4))


def test_positions_at_which_a_network_samples_stay_fp32() -> None:
    made = model(
        [
            helper.make_node("Conv", ["x", "w"], ["features"]),
            helper.make_node("Conv", ["x", "v"], ["offsets"]),
            helper.make_node("Transpose", ["offsets"], ["grid"], perm=[0, 2, 3, 1]),
            helper.make_node("Mul", ["grid", "scale"], ["scaled"]),
            helper.make_node("GridSample", ["features", "scaled"], ["sampled"], mode="bilinear"),
            helper.make_node("Conv", ["sampled", "w"], ["y"]),
        ],
        {
            "w": np.ones((4, 4, 1, 1), np.float32),
            "v": np.ones((2, 4, 1, 1), np.float32),
            "scale": np.float32(0.1) * np.ones(1, np.float32),
        },
    )
    halve_arithmetic(made)
    found = types(made)
    assert (found["features"], found["offsets"], found["scaled"], found["sampled"]) == (HALF, HALF, FLOAT, FLOAT)


def test_a_weight_beyond_half_precision_is_refused() -> None:
    made = model([helper.make_node("Conv", ["x", "w"], ["y"])], {"w": np.full((1, 4, 1, 1), 1e6, np.float32)})
    with pytest.raises(OverflowError, match="w reaches"):
        halve_arithmetic(made)


def test_whole_numbers_stay_whole() -> None:
    made = tiny_model(replace(signature("teacher", (64, 64)), classes=CLASSES))
    restore_weights(made)
    image = np.full((1, 3, 64, 64), 20, np.uint8)
    image[0, 1, 2:62, 18:46] = 255
    expected = run(made, {"image": image})
    halve_arithmetic(made)
    assert types(made)["classes"] == TensorProto.INT32
    found = dict(zip([output.name for output in made.graph.output], run(made, {"image": image}), strict=True))
    assert found["scores"][0, 0] > 0.5 and found["classes"][0, 0] == 1 == expected[-1][0, 0]
