"""The shipped networks in fp16 and int8 against themselves in fp32, on pictures; and files that are refused."""

import logging
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from edge.pipeline.backend import SHIPPED_MODELS
from engines.errors import ModelFileError, SignatureError
from engines.signature import Signature
from export.calibration import calibration_feeds
from export.precision import PRECISION_KEY, Precision, to_precision
from export.quantize import quantize
from tests.support.tiny_pair import signature, tiny_model, write_tiny_pair

SCENE = "synthetic://?seed=5&people=25&width=1280&height=720"
TOLERANCE = {
    "fp16": {"heatmap": 2e-3, "scores": 4e-3, "points": 0.02, "boxes": 0.5, "embeddings": 0.01},
    "int8": {"heatmap": 0.2, "scores": 0.2, "points": 1.5, "boxes": 12.0, "embeddings": 0.5},
}
"""Largest difference to fp32 where the score is 0.3 or more: likelihoods, cells, input pixels, unit vectors.

fp16 is computed as GPUs do, rounding after every operation. int8's are guards against a broken export, no claim.
"""


def detections(model: onnx.ModelProto, feed: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, feed), strict=True))


@pytest.mark.parametrize(
    ("role", "precision"),
    [("teacher", "fp16"), ("student", "fp16"), ("student-plain", "fp16"), ("teacher", "int8"), ("student", "int8")],
)
def test_a_shipped_network_finds_the_same_people_in_another_precision(role: str, precision: Precision) -> None:
    path = SHIPPED_MODELS / f"yolo-{role}-576x320.onnx"
    full = to_precision(path, "fp32")
    reduced = to_precision(path, precision, SCENE, 4)
    metadata = {entry.key: entry.value for entry in reduced.metadata_props}
    assert metadata[PRECISION_KEY] == precision and metadata["role"] in role
    *_, feed = calibration_feeds(
        path, Signature.from_metadata(metadata), "synthetic://?seed=11&people=25&width=1280&height=720", 2
    )
    ours, theirs = detections(full, feed), detections(reduced, feed)
    limits = TOLERANCE[precision]
    if "heatmap" in ours:
        assert np.abs(ours["heatmap"] - theirs["heatmap"]).max() <= limits["heatmap"]
    seen = np.flatnonzero(ours["scores"][0] > 0.3)
    assert len(seen) >= 2, "the scene shows nobody to compare"
    for row in seen:
        match = int(np.abs(theirs["points"][0] - ours["points"][0, row]).max(1).argmin())
        for name in ("points", "boxes", "scores", "embeddings"):
            assert np.abs(ours[name][0, row] - theirs[name][0, match]).max() <= limits[name], (name, row)


def test_int8_stands_in_the_file_as_the_parser_of_tensorrt_wants_it() -> None:
    model = to_precision(SHIPPED_MODELS / "yolo-student-576x320.onnx", "int8", SCENE, 1)
    quantizers = [node for node in model.graph.node if node.op_type == "QuantizeLinear"]
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    assert quantizers
    for node in model.graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            zero_point = constants[node.input[2]]
            assert zero_point.dtype == np.int8 and not zero_point.any(), "symmetric int8"
    quantized = {name for node in model.graph.node if node.op_type == "DequantizeLinear" for name in node.output}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    in_int8 = [node for node in convolutions if node.input[0] in quantized]
    assert all(node.input[1] in quantized for node in in_int8)
    assert all(name not in quantized for node in convolutions for name in node.input[2:]), "no quantized bias"
    assert len(convolutions) - len(in_int8) == 4, "the four heads' last convolutions"


def test_calibration_gives_students_priors_of_all_ages(tmp_path: Path) -> None:
    write_tiny_pair(tmp_path)
    path = tmp_path / "tiny-student-320x192.onnx"
    feeds = list(calibration_feeds(path, signature("student", (320, 192), prior=True), SCENE, 3))
    assert [sorted(feed) for feed in feeds] == [["image", "prior"]] * 3
    assert not np.array_equal(feeds[0]["image"], feeds[1]["image"])


def test_calibration_without_a_frame_is_refused(tmp_path: Path) -> None:
    write_tiny_pair(tmp_path)
    path = tmp_path / "tiny-teacher-320x192.onnx"
    with pytest.raises(ValueError, match="has no frame to calibrate with"):
        list(calibration_feeds(path, signature("teacher", (320, 192)), "synthetic://?frames=0", 3))


def test_a_student_without_its_teacher_cannot_be_calibrated(tmp_path: Path) -> None:
    path = tmp_path / "tiny-student-320x192.onnx"
    onnx.save(tiny_model(signature("student", (320, 192), prior=True)), path)
    with pytest.raises(ModelFileError, match=r"no model file at .*tiny-teacher-320x192"):
        to_precision(path, "int8", SCENE, 1)


def test_files_that_cannot_be_converted_say_why(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    with pytest.raises(ModelFileError, match="no model file at"):
        to_precision(path, "fp16")
    path.write_bytes(b"nothing")
    with pytest.raises(ModelFileError, match="is no ONNX model"):
        to_precision(path, "fp16")
    made = tiny_model(signature("teacher", (128, 96)))
    onnx.save(made, path)
    half = to_precision(path, "fp16")
    onnx.save(half, path)
    with pytest.raises(ModelFileError, match="computes in fp16 already"):
        to_precision(path, "fp32")
    assert to_precision(path, "fp16").SerializeToString() == half.SerializeToString()
    with pytest.raises(ValueError, match="precision must be one of"):
        to_precision(path, "fp8")  # type: ignore[arg-type]
    del made.metadata_props[:]
    onnx.save(made, path)
    with pytest.raises(SignatureError, match="has no metadata"):
        to_precision(path, "fp16")


def test_quantizing_keeps_the_root_loggers_level() -> None:
    before = logging.getLogger().level
    made = tiny_model(signature("teacher", (128, 96)), fp16_weights=False)
    quantize(made, iter([{"image": np.zeros((1, 3, 96, 128), np.uint8)}]))
    assert logging.getLogger().level == before
