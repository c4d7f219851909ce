"""One small detector of each layout, whose answers are known: it is recognised, and as a teacher it says the same."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge.arrays import F32
from engines.host import HostDevice
from engines.onnx_engine import OnnxEngine
from export.adopt.command import main
from training.targets import make_targets

WIDTH, HEIGHT = 160, 96
SIZE = np.array([WIDTH, HEIGHT, WIDTH, HEIGHT])
COLOUR = (200, 100, 50)
"""Red, green, blue of the whole picture."""
PEOPLE = np.array([[10.0, 8.0, 31.0, 71.0], [60.0, 20.0, 81.0, 91.0], [110.0, 5.0, 151.0, 94.0]])
SCORES = np.array([0.9, 0.7, 0.5])
CAR = np.array([30.0, 40.0, 100.0, 80.0])
SECOND = PEOPLE[:1] + 1
"""Of the first person, with a lower score: to be suppressed where the detector has not done it."""
Outputs = dict[str, np.ndarray]
RGB = (200 / 255, 100 / 255, 50 / 255)
IMAGENET = (200 - 123.675) / 58.395


def write(
    path: Path,
    outputs: Outputs,
    first: float = RGB[0],
    element: int = TensorProto.FLOAT,
    channels_last: bool = False,
    sizes: str = "",
    batch: int | str = 1,
    opset: int = 17,
    names: dict[int, str] | None = None,
) -> Path:
    """A detector that answers `outputs` where the mean of its picture's first channel is `first`, else something else.

    sizes: name of an input that wants (width, height); a wrong one changes the boxes, too.
    """
    shape = (batch, HEIGHT, WIDTH, 3) if channels_last else (batch, 3, HEIGHT, WIDTH)
    inputs = [helper.make_tensor_value_info("images", element, shape)]
    node = helper.make_node
    constants = {"first": np.float32(1 - first), "zero": np.int64(0)}
    nodes = [
        node("Cast", ["images"], ["values"], to=TensorProto.FLOAT),
        node("Gather", ["values", "zero"], ["channel"], axis=3 if channels_last else 1),
        node("ReduceMean", ["channel"], ["mean"], axes=[1, 2], keepdims=0),  # (batch,)
        node("Add", ["mean", "first"], ["gain"]),
    ]
    if sizes:
        inputs.append(helper.make_tensor_value_info(sizes, TensorProto.INT64, (1, 2)))
        constants |= {"right": np.array([[WIDTH, HEIGHT]], np.float32), "axes": np.array([0, 1])}
        nodes += [
            node("Cast", [sizes], ["said"], to=TensorProto.FLOAT),
            node("Sub", ["said", "right"], ["wrong"]),
            node("ReduceSum", ["wrong", "axes"], ["error"], keepdims=0),
            node("Add", ["gain", "error"], ["gain_of_size"]),
        ]
    for name, value in outputs.items():
        constants[f"{name}.value"] = value.astype(np.float32)
        batched = value.shape[:1] == (1,) and value.ndim > 1
        constants[f"{name}.shape"] = np.array([-1] + [1] * (value.ndim - 1) if batched else [1] * value.ndim)
        whole = value.dtype.kind == "i"
        nodes += [
            node("Reshape", ["gain_of_size" if sizes else "gain", f"{name}.shape"], [f"{name}.gain"]),
            node("Mul", [f"{name}.value", f"{name}.gain"], [f"{name}.float"]),
            node("Round" if whole else "Identity", [f"{name}.float"], [f"{name}.rounded"]),
            node("Cast", [f"{name}.rounded"], [name], to=helper.np_dtype_to_tensor_dtype(value.dtype)),
        ]
    graph = helper.make_graph(
        nodes,
        "detector",
        inputs,
        [
            helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), [None] * v.ndim)
            for n, v in outputs.items()
        ],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    if names:
        helper.set_model_props(model, {"names": str(names)})
    onnx.save(model, path)
    return path


def centred(xyxy: F32) -> F32:
    """(N, 4) corners as centre and sides."""
    return np.concatenate(((xyxy[:, :2] + xyxy[:, 2:]) / 2, xyxy[:, 2:] - xyxy[:, :2]), 1)


def filled(rows: np.ndarray, count: int) -> np.ndarray:
    """(1, count, columns): the rows, and small boxes of no score behind them."""
    table = np.zeros((1, count, rows.shape[1]), np.float32)
    table[0, :, :4] = (5, 6, 7, 8)
    table[0, : len(rows)] = rows
    return table


def one_hot(classes: int, person: int, car: int, low: float = 0.0, high: Callable[[F32], F32] = lambda p: p) -> F32:
    """(4 or 5, classes) three people and a car; `high` makes of a likelihood what the network would say."""
    table = np.full((4, classes), low)
    table[:3, person] = high(SCORES)
    table[3, car] = high(np.array([0.95]))[0]
    return table


BOXES = np.concatenate((PEOPLE, CAR[None]))
ROWS = sum((WIDTH // s) * (HEIGHT // s) for s in (8, 16, 32))


def logit(p: F32) -> F32:
    return np.log(p / (1 - p))


def yolov8() -> Outputs:
    rows = np.concatenate((centred(BOXES), one_hot(80, 0, 2)), 1)
    second = np.concatenate((centred(SECOND), 0.6 * np.eye(80)[:1]), 1)
    return {"output0": filled(np.concatenate((rows, second)), ROWS).transpose(0, 2, 1)}


def yolov5() -> Outputs:
    rows = np.concatenate((centred(BOXES), np.full((4, 1), 0.5), 2 * one_hot(80, 0, 2).clip(0, 0.5)), 1)
    rows[:3, 4:6] = np.stack((SCORES / 0.95, np.full(3, 0.95)), 1)
    second = np.concatenate((centred(SECOND), [[0.8]], 0.75 * np.eye(80)[:1]), 1)
    return {"output": filled(np.concatenate((rows, second)), 3 * ROWS)}


def cells() -> tuple[np.ndarray, np.ndarray]:
    """(ROWS, 2) places of a grid's cells, (ROWS, 1) their strides: spelt out."""
    places = [(x, y, s) for s in (8, 16, 32) for y in range(HEIGHT // s) for x in range(WIDTH // s)]
    return np.array(places, np.float64)[:, :2], np.array(places, np.float64)[:, 2:]


def yolox(decoded: bool) -> Outputs:
    place, stride = cells()
    table = np.zeros((ROWS, 85))
    table[:, :2], table[:, 2:4] = (place + 0.5) * stride, stride
    for box, scores in zip(centred(BOXES), one_hot(80, 0, 2), strict=True):
        row = int(box[1] // 8) * (WIDTH // 8) + int(box[0] // 8)
        table[row, :4], table[row, 4], table[row, 5:] = box, 1, scores
    if not decoded:
        table[:, :2], table[:, 2:4] = table[:, :2] / stride - place, np.log(table[:, 2:4] / stride)
    return {"output": table[None].astype(np.float32)}


def six() -> Outputs:
    rows = np.concatenate((BOXES, np.array([[0.9, 0], [0.7, 0], [0.5, 0], [0.95, 2]])), 1)
    return {"output0": filled(rows, 300)}


def classes_in_rows() -> Outputs:
    table = np.tile(np.array([0.5, 0.5, 0.2, 0.2, *[0] * 80], np.float32), (1, 300, 1))
    table[0, :4] = np.concatenate((centred(BOXES) / SIZE, one_hot(80, 0, 2)), 1)
    return {"output0": table}


def detr(boxes: str, labels: str, softmax: bool, classes: int = 91, person: int = 1) -> Outputs:
    count = 100 if softmax else 300
    queries = np.full((1, count, classes), -6.0, np.float32)
    if softmax:
        queries[0, :, -1] = 8
        queries[0, :4, -1] = -6
    high = (lambda p: logit(p) - 6 + np.log(91)) if softmax else logit
    queries[0, :4, :91] = one_hot(classes, person, 3, -6.0, high)[:, :91]
    where = np.tile(np.array([0.5, 0.5, 0.2, 0.2], np.float32), (1, count, 1))
    where[0, :4] = centred(BOXES) / SIZE
    return {labels: queries, boxes: where}


def apart(batch: bool, person: int, count: int = 300) -> Outputs:
    boxes = np.tile(np.array([5.0, 6, 7, 8], np.float32), (count, 1))
    boxes[:4] = BOXES
    labels, scores = np.full(count, person, np.int64), np.zeros(count, np.float32)
    labels[3], scores[:4] = person + 2, [*SCORES, 0.95]
    found = {"labels": labels, "boxes": boxes, "scores": scores}
    return {name: value[None] if batch else value for name, value in found.items()}


def tensorflow() -> Outputs:
    found = apart(True, 1, 100)
    return {
        "detection_boxes": (found["boxes"] / SIZE)[..., [1, 0, 3, 2]].astype(np.float32),
        "detection_classes": found["labels"].astype(np.float32),
        "detection_scores": found["scores"],
        "num_detections": np.array([100.0], np.float32),
    }


def ssd() -> Outputs:
    rows = np.zeros((1, 1, 50, 7), np.float32)
    rows[0, 0, :4] = np.concatenate((np.array([[0, 1, 0.9], [0, 1, 0.7], [0, 1, 0.5], [0, 7, 0.95]]), BOXES / SIZE), 1)
    rows[0, 0, 4] = (-1, 1, 0.99, 0, 0, 1, 1)  # the end: nothing behind it counts
    return {"detection_out": rows}


def yolov7() -> Outputs:
    rows = np.zeros((4, 7), np.float32)
    rows[:, 1:5], rows[3, 5], rows[:, 6] = BOXES, 2, [*SCORES, 0.95]
    return {"output": rows}


def fives(batch: bool) -> Outputs:
    rows = np.concatenate((BOXES, np.array([[0.9], [0.7], [0.5], [0.95]])), 1).astype(np.float32)
    found = {"boxes" if not batch else "dets": rows, "labels": np.array([0, 0, 0, 2], np.int64)}
    return {name: value[None] if batch else value for name, value in found.items()}


BLUE = COLOUR[2]
LAYOUTS: dict[str, tuple[Outputs, dict[str, Any]]] = {
    "YOLOv8": (yolov8(), {}),
    "YOLOv8, open batch": (yolov8(), {"batch": "batch"}),
    "YOLOv8, half": (yolov8(), {"element": TensorProto.FLOAT16, "opset": 13}),
    "YOLOv5": (yolov5(), {}),
    "YOLOX": (yolox(True), {"first": BLUE}),
    "YOLOX, in the grid": (yolox(False), {"first": BLUE}),
    "rows of six": (six(), {}),
    "rows of classes": (classes_in_rows(), {}),
    "DETR, sigmoid": (detr("dets", "labels", False), {"first": IMAGENET}),
    "DETR, 80 classes": (detr("pred_boxes", "logits", False, 80, 0), {}),
    "DETR, softmax": (detr("pred_boxes", "pred_logits", True, 92), {"first": IMAGENET}),
    "boxes, labels, scores": (apart(True, 0), {"sizes": "orig_target_sizes"}),
    "boxes, labels, scores, no batch": (apart(False, 1), {}),
    "boxes, labels, scores, TensorFlow": (
        tensorflow(),
        {"first": COLOUR[0], "element": TensorProto.UINT8, "channels_last": True},
    ),
    "SSD": (ssd(), {"first": BLUE}),
    "YOLOv7": (yolov7(), {}),
    "OpenVINO": (fives(False), {"first": BLUE}),
    "MMDetection": (fives(True), {"first": IMAGENET}),
}


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture of one colour, as large as the detectors' input."""
    path = tmp_path_factory.mktemp("picture") / "picture.png"
    cv2.imwrite(str(path), np.full((HEIGHT, WIDTH, 3), COLOUR[::-1], np.uint8))
    return path


def found_by(path: Path, batch: int = 2) -> dict[str, np.ndarray]:
    """What the teacher in `path` says of that picture, `batch` times."""
    execution = OnnxEngine(path, 1).prepare(batch)
    execution.inputs["image"][:] = np.array(COLOUR, np.uint8)[:, None, None]
    execution.run(batch, HostDevice().cuda_stream())
    return dict(execution.outputs)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_teacher_says_what_its_detector_says(
    layout: str, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs, about = LAYOUTS[layout]
    detector = write(tmp_path / "d.onnx", outputs, **about)
    assert main([f"{detector}", "--picture", f"{picture}", "--output", f"{tmp_path}", "--no-student"]) == 0, (
        capsys.readouterr().err
    )
    told = capsys.readouterr().out
    assert f"d.onnx: {layout.partition(',')[0]}" in told and "the surest 0.9" in told
    assert ("several pictures at once" in told) == ("batch" in about)
    assert all(f"output {name!r}" in told for name in outputs)
    found = found_by(tmp_path / f"d-teacher-{WIDTH}x{HEIGHT}.onnx")
    for row in (0, 1):
        np.testing.assert_allclose(found["scores"][row, :3], SCORES, atol=0.01)
        assert (found["scores"][row, 3:] < 0.04).all(), "neither the car nor a second box"
        np.testing.assert_allclose(found["boxes"][row, :3], PEOPLE, atol=0.5)
        drawn = make_targets(
            (PEOPLE / 4).astype(np.float32), np.zeros(3, np.int64), np.zeros((0, 4), np.float32),
            (HEIGHT // 4, WIDTH // 4), found["scores"][row, :3],
        )  # fmt: skip
        np.testing.assert_allclose(found["heatmap"][row], drawn.heatmap, atol=1e-5)
    assert not found["embeddings"].any()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_of_several_classes_each_row_says_which(layout: str, picture: Path, tmp_path: Path) -> None:
    outputs, about = LAYOUTS[layout]
    car = {"SSD": 7, "boxes, labels, scores, no batch": 3, "boxes, labels, scores, TensorFlow": 3}.get(
        layout, 3 if "DETR" in layout else 2
    )
    detector = write(tmp_path / "d.onnx", outputs, **about)
    arguments = [f"{detector}", "--picture", f"{picture}", "--output", f"{tmp_path}", "--pair", "two"]
    assert main([*arguments, "--class", f"vehicle={car}", "--class", "person"]) == 0
    assert [path.name for path in tmp_path.glob("two-*")] == [f"two-teacher-{WIDTH}x{HEIGHT}.onnx"], "no student"
    path = tmp_path / f"two-teacher-{WIDTH}x{HEIGHT}.onnx"
    assert OnnxEngine(path, 1).signature.classes == ("vehicle", "person")
    found = found_by(path)
    for row in (0, 1):
        order = np.argsort(found["boxes"][row, :4, 0])
        assert found["classes"][row, order].tolist() == [1, 0, 1, 1]
        np.testing.assert_allclose(found["scores"][row, order[[0, 2, 3]]], SCORES, atol=0.01)
        np.testing.assert_allclose(found["boxes"][row, order], np.insert(PEOPLE, 1, CAR, axis=0), atol=0.5)
        assert (found["scores"][row, 4:] < 0.04).all(), "no second box"


@pytest.mark.parametrize(("classes", "kept"), [(["person", "car"], [0.95, 0.9]), (["both=person,car"], [0.95])])
def test_a_box_suppresses_only_those_of_its_class(
    classes: list[str], kept: list[float], picture: Path, tmp_path: Path
) -> None:
    scores = np.zeros((2, 80))
    scores[0, 0], scores[1, 2] = 0.9, 0.95
    rows = np.concatenate((centred(np.stack((CAR + 2, CAR))), scores), 1)
    detector = write(tmp_path / "d.onnx", {"output0": filled(rows, ROWS).transpose(0, 2, 1)})
    arguments = [f"{detector}", "--picture", f"{picture}", "--output", f"{tmp_path}", "--class", *classes]
    assert main(arguments) == 0
    found = found_by(tmp_path / f"d-teacher-{WIDTH}x{HEIGHT}.onnx")
    np.testing.assert_allclose(found["scores"][0, : len(kept)], kept, atol=0.01)
    assert (found["scores"][0, len(kept) :] < 0.04).all()
    assert ("classes" in found) == (len(kept) == 2)
