"""A teacher and two students as hand-made ONNX graphs: they see bright rectangles of one size on dark ground.

Everything is exact and deterministic. A peak stands where a tent-shaped template covers a rectangle best, and more than
half; its score is the template's answer, 1 for a whole rectangle. The student with a prior is weak by itself: its score
is 0.3 of the template's answer plus 0.7 of the prior within one cell, so it exceeds 0.4 only where the prior is right.
Where there are several classes, the brightest of a rectangle's red, green and blue says which it is.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from engines.signature import Signature

PEAKS, DIM = 16, 3
BOX_CELLS = (7, 15)
"""Width and height of the rectangles that the networks look for, cells."""


def signature(role: str, size: tuple[int, int], prior: bool = False, pair: str = "tiny") -> Signature:
    """What the three files say of themselves. size: (width, height)."""
    assert role in ("teacher", "student")
    return Signature(role, size[1], size[0], PEAKS, DIM, pair, "template", prior=prior)  # type: ignore[arg-type]


def write_tiny_pair(folder: Path, size: tuple[int, int] = (320, 192), pair: str = "tiny") -> None:
    """Write <pair>-teacher, -student and -student-plain for one input size (width, height)."""
    stem = f"{size[0]}x{size[1]}.onnx"
    onnx.save(tiny_model(signature("teacher", size, pair=pair)), folder / f"{pair}-teacher-{stem}")
    onnx.save(tiny_model(signature("student", size, prior=True, pair=pair)), folder / f"{pair}-student-{stem}")
    onnx.save(tiny_model(signature("student", size, pair=pair)), folder / f"{pair}-student-plain-{stem}")


CLASSES = ("person", "car", "dog")
"""Of red, green and blue rectangles."""


def write_pair_of_classes(
    folder: Path, size: tuple[int, int] = (320, 192), of_student: tuple[str, ...] = (), pair: str = "tiny"
) -> None:
    """Write <pair>-teacher of three classes, and -student with a prior; `of_student`: () does not say what it sees."""
    teacher = replace(signature("teacher", size, pair=pair), classes=CLASSES)
    student = replace(signature("student", size, prior=True, pair=pair), classes=of_student)
    for sign in (teacher, student):
        onnx.save(tiny_model(sign), folder / f"{pair}-{sign.role}-{size[0]}x{size[1]}.onnx")


def tiny_model(sign: Signature, fp16_weights: bool = True) -> onnx.ModelProto:
    """The graph; the template is stored as fp16 behind a Cast, as the shipped models' weights are."""
    w = sign.cells[1]
    width, height = BOX_CELLS
    # A little lopsided: between two cells a symmetric template would answer twice.
    tent = np.outer(_tent(height), _tent(width)) * (1 + 0.01 * np.arange(width) + 0.005 * np.arange(height)[:, None])
    template = (tent / tent.sum())[None, None].astype(np.float16 if fp16_weights else np.float32)
    half = np.array([-width / 2, -height / 2, width / 2, height / 2], np.float32) * 4
    constants = {
        "template_stored": template,
        "ground": np.float32(0.3),
        "row": np.array([w], np.int64),
        "peaks": np.array([sign.peaks], np.int64),
        "flat": np.array([0, -1], np.int64),
        "flat3": np.array([0, 3, -1], np.int64),
        "axis1": np.array([1], np.int64),
        "axis2": np.array([2], np.int64),
        "half_cell": np.float32(0.5),
        "four": np.float32(4),
        "half_box": half,
        "white": np.float32(255),
        "own": np.float32(0.3),
        "believed": np.float32(0.7),
        "tiny": np.float32(1e-6),
    }
    node = helper.make_node
    nodes = [
        node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        node("Div", ["pixels", "white"], ["colours"]),
        node("AveragePool", ["colours"], ["cells"], kernel_shape=[4, 4], strides=[4, 4]),
        node("ReduceMax", ["cells", "axis1"], ["bright"], keepdims=1),
        node("Greater", ["bright", "ground"], ["lit_flag"]),
        node("Cast", ["lit_flag"], ["lit"], to=TensorProto.FLOAT),
        node("Mul", ["bright", "lit"], ["figure"]),
        node("Cast", ["template_stored"], ["template"], to=TensorProto.FLOAT),
        node("Conv", ["figure", "template"], ["answer"], pads=[height // 2, width // 2, height // 2, width // 2]),
        node("Clip", ["answer", "zero", "one"], ["seen"]),
        node("MaxPool", ["seen"], ["highest"], kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1]),
        node("Equal", ["seen", "highest"], ["top_flag"]),
        node("Greater", ["seen", "half_cell"], ["sure_flag"]),
        node("And", ["top_flag", "sure_flag"], ["peak_flag"]),
        node("Cast", ["peak_flag"], ["peak"], to=TensorProto.FLOAT),
    ]
    constants |= {"zero": np.float32(0), "one": np.float32(1)}
    if sign.prior:
        nodes += [
            node("MaxPool", ["prior"], ["near"], kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1]),
            node("Mul", ["near", "believed"], ["from_prior"]),
            node("Mul", ["seen", "own"], ["from_image"]),
            node("Add", ["from_image", "from_prior"], ["likelihood"]),
        ]
    else:
        nodes.append(node("Identity", ["seen"], ["likelihood"]))
    nodes += [
        node("Mul", ["likelihood", "peak"], ["peak_score"]),
        node("Reshape", ["peak_score", "flat"], ["peak_row"]),
        node("TopK", ["peak_row", "peaks"], ["scores", "index"], axis=1),
        node("Mod", ["index", "row"], ["x"]),
        node("Div", ["index", "row"], ["y"]),
        node("Unsqueeze", ["x", "axis2"], ["x1"]),
        node("Unsqueeze", ["y", "axis2"], ["y1"]),
        node("Concat", ["x1", "y1"], ["corner"], axis=2),
        node("Cast", ["corner"], ["corner_float"], to=TensorProto.FLOAT),
        node("Add", ["corner_float", "half_cell"], ["points"]),
        node("Mul", ["points", "four"], ["centre"]),
        node("Concat", ["centre", "centre"], ["centre_twice"], axis=2),
        node("Add", ["centre_twice", "half_box"], ["boxes"]),
        # The colour at the peak, which tells the rectangles apart.
        node("Reshape", ["cells", "flat3"], ["colour_rows"]),
        node("Transpose", ["colour_rows"], ["colour_columns"], perm=[0, 2, 1]),
        node("Unsqueeze", ["index", "axis2"], ["index1"]),
        node("GatherND", ["colour_columns", "index1"], ["colour"], batch_dims=1),
        node("ReduceL2", ["colour", "axis2"], ["length"], keepdims=1),
        node("Max", ["length", "tiny"], ["safe_length"]),
        node("Div", ["colour", "safe_length"], ["embeddings"]),
    ]
    if len(sign.classes) > 1:
        nodes += [
            node("ArgMax", ["colour"], ["channel"], axis=2, keepdims=0),
            node("Cast", ["channel"], ["classes"], to=TensorProto.INT32),
        ]
    if sign.role == "teacher":
        nodes.append(node("Identity", ["seen"], ["heatmap"]))
    graph = helper.make_graph(
        nodes,
        "tiny",
        [_info(name, shape, dtype) for name, (shape, dtype) in sign.input_arrays(1).items()],
        [_info(name, shape, dtype) for name, (shape, dtype) in sign.output_arrays(1).items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, sign.to_metadata())
    onnx.checker.check_model(model, full_check=True)
    return model


def _tent(cells: int) -> np.ndarray:
    """(cells,) 1, 2, ... middle ... 2, 1."""
    middle = cells // 2
    return middle + 1.0 - np.abs(np.arange(cells) - middle)


def _info(name: str, shape: tuple[int, ...], dtype: type[np.generic]) -> onnx.ValueInfoProto:
    """A tensor whose batch axis is open."""
    element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    return helper.make_tensor_value_info(name, element, ("batch", *shape[1:]))
