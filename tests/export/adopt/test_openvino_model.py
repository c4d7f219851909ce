"""OpenVINO's files: each operator says in ONNX what it says there, and a real detector and its looks do, too."""

import os
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.adopt.detector import open_model

openvino = pytest.importorskip("openvino", reason="needs openvino: pip install openvino")
from openvino import opset11 as ov  # noqa: E402

from edge.ops.host import HostOps  # noqa: E402
from edge.ops.letterbox import Letterbox  # noqa: E402
from edge.sources import open_source  # noqa: E402
from engines.errors import ModelFileError  # noqa: E402
from engines.host import HostDevice  # noqa: E402
from engines.onnx_engine import OnnxEngine  # noqa: E402
from export.adopt.command import main  # noqa: E402
from export.adopt.errors import AdoptError  # noqa: E402
from export.adopt.openvino_model import read_openvino  # noqa: E402

ROOT = Path(__file__).parents[3]
DETECTOR, APPEARANCE = "person-detection-0303-int8.xml", "person-reidentification-retail-0287.xml"
RNG = np.random.default_rng(0)


def weights(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def conv(x: Any, filters: np.ndarray, group: bool = False, strides: int = 1, **more: str) -> Any:
    make = ov.group_convolution if group else ov.convolution
    return make(x, filters, [strides] * 2, [1, 1], [1, 1], [1, 1], **more)


def quantised(x: Any, low: object, high: object, levels: int = 256) -> Any:
    low, high = np.array(low, np.float32), np.array(high, np.float32)
    return ov.fake_quantize(x, low, high, low, high, levels)


STEPS = np.round(RNG.uniform(-127, 127, (5, 4, 3, 3))).clip(-127, 127).astype(np.float32)
STEPS[:, 0, 0, 0] = 127
GRID = STEPS * np.array([0.01, 0.02, 0.005, 0.03, 0.001], np.float32).reshape(5, 1, 1, 1)
"""Weights of an int8 network."""
LOW = np.array([-1.28, 0, -2.56, 0]).reshape(1, 4, 1, 1)
HIGH = np.array([1.27, 2.55, 2.54, 1]).reshape(1, 4, 1, 1)
"""Ranges of four channels, each with a zero among its 255 steps."""
BOXES = np.array([[[0, 0, 10, 10], [1, 0, 11, 10], [20, 20, 30, 30]]], np.float32)


def enlarged(x: Any, to: np.ndarray, mode: str, by: str, places: str) -> Any:
    """Twice as high and wide."""
    return ov.interpolate(
        x, to, mode, by, coordinate_transformation_mode=places, nearest_mode="floor", axes=np.array([2, 3])
    )


def suppressed(x: Any) -> Any:
    """The boxes that remain where those of a constant overlap."""
    scores = ov.reshape(ov.strided_slice(x, [0, 0, 0, 0], [1, 1, 1, 3], [1] * 4, [0] * 4, [0] * 4), [1, 1, 3], False)
    chosen = ov.non_max_suppression(BOXES, scores, np.int64(3), np.float32(0.5), np.float32(-9)).output(0)
    return ov.gather(BOXES[0], ov.convert(chosen, "i64"), np.array(0))


OPERATORS = {
    "convolution": lambda x: conv(x, weights(5, 4, 3, 3)),
    "convolution with bias and strides": lambda x: ov.add(conv(x, weights(5, 4, 3, 3), strides=2), weights(1, 5, 1, 1)),
    "convolution read twice": lambda x: ov.add(ov.add(c := conv(x, weights(4, 4, 3, 3)), weights(1, 4, 1, 1)), c),
    "convolution of same size": lambda x: conv(x, weights(5, 4, 2, 2), auto_pad="same_upper"),
    "convolution of int8": lambda x: conv(quantised(x, -2, 2 * 127 / 128), GRID),
    "convolution by groups": lambda x: conv(x, weights(2, 3, 2, 3, 3), group=True),
    "convolution by channels": lambda x: conv(quantised(x, LOW, HIGH), weights(4, 1, 1, 3, 3), group=True),
    "quantised to few levels": lambda x: quantised(x, -1.1, 0.7, 16),
    "quantised off zero": lambda x: quantised(x, -1.0, 0.317),
    "largest": lambda x: ov.max_pool(x, [2, 2], [1, 1], [1, 1], [1, 1], [3, 3], "ceil").output(0).get_node(),
    "mean with padding": lambda x: ov.avg_pool(x, [2, 2], [1, 1], [1, 1], [3, 3], False),
    "mean without padding": lambda x: ov.avg_pool(x, [2, 2], [1, 1], [1, 1], [3, 3], True),
    "clamp": lambda x: ov.clamp(x, -0.5, 0.25),
    "normalised": lambda x: ov.mvn(x, np.array([2, 3]), True, 1e-5, "inside_sqrt"),
    "centred": lambda x: ov.mvn(x, np.array([1]), False, 1e-5, "outside_sqrt"),
    "enlarged": lambda x: enlarged(x, np.array([12, 16]), "nearest", "sizes", "asymmetric"),
    "enlarged smoothly": lambda x: enlarged(x, np.array([2.0, 2.0], np.float32), "linear_onnx", "scales", "half_pixel"),
    "reshaped": lambda x: ov.reshape(x, np.array([0, 2, -1]), True),
    "transposed": lambda x: ov.transpose(x, np.array([0, 2, 3, 1])),
    "joined": lambda x: ov.concat([x, ov.relu(x)], 1),
    "shares": lambda x: ov.softmax(x, 1),
    "swish": lambda x: ov.swish(x),
    "h-swish": lambda x: ov.hswish(x),
    "leaky": lambda x: ov.prelu(x, weights(1)),
    "cut": lambda x: ov.strided_slice(x, np.array([0, 1]), np.array([0, 3]), np.array([1, 1]), [1, 0], [1, 0]),
    "one of it": lambda x: ov.strided_slice(
        x, np.array([0, 1]), np.array([0, 2]), np.array([1, 1]), [1, 0], [1, 0], [], [0, 1]
    ),
    "gathered": lambda x: ov.gather(x, np.array([3, 0]), np.array(1)),
    "narrowed": lambda x: ov.squeeze(ov.unsqueeze(x, np.array([0, 3])), np.array([0])),
    "reduced": lambda x: ov.reduce_max(ov.reduce_mean(x, np.array([3]), True), np.array([1]), False),
    "product": lambda x: ov.matmul(ov.reshape(x, np.array([4, 48]), False), weights(5, 48), False, True),
    "first ones": lambda x: ov.topk(x, np.array(3), 3, "max", "value").output(0),
    "wider": lambda x: ov.broadcast(
        ov.reduce_sum(x, np.array([1]), True), np.array([1, 3, 6, 8]), broadcast_spec="BIDIRECTIONAL"
    ),
    "arithmetic": lambda x: ov.divide(
        ov.subtract(ov.sigmoid(x), ov.exp(ov.negative(x))), ov.add(ov.abs(x), np.float32(1))
    ),
    "suppressed": suppressed,
}


@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_says_the_same_in_onnx(name: str, tmp_path: Path) -> None:
    picture = ov.parameter([1, 4, 6, 8], np.float32, name="picture")
    built = openvino.Model([OPERATORS[name](picture)], [picture], name)
    built.outputs[0].set_names({"out"})
    built.inputs[0].set_names({"picture"})
    openvino.save_model(built, tmp_path / "m.xml", compress_to_fp16=False)
    feed = RNG.normal(size=(1, 4, 6, 8)).astype(np.float32)
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    expected = openvino.Core().compile_model(built, "CPU", exact)([feed])[0]
    (found,) = open_model(read_openvino(tmp_path / "m.xml", None)).run(["out"], {"picture": feed})
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=0.02 if "int8" in name or "quant" in name else 1e-4)


def test_an_operator_that_is_not_known_is_refused_by_its_name(tmp_path: Path) -> None:
    picture = ov.parameter([1, 4, 6, 8], np.float32, name="picture")
    built = openvino.Model([ov.lrn(picture, np.array([1]))], [picture], "m")
    openvino.save_model(built, tmp_path / "m.xml", compress_to_fp16=False)
    with pytest.raises(AdoptError, match=r"has the operator LRN .* export the network to ONNX"):
        read_openvino(tmp_path / "m.xml", None)


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.xml").write_text("<net/>")
    with pytest.raises(ModelFileError, match=r"m\.xml cannot be read by OpenVINO"):
        read_openvino(tmp_path / "m.xml", None)


@pytest.fixture(scope="module")
def networks() -> Path:
    """Folder of Open Model Zoo's person-detection-0303 and an appearance network; skips where there is none."""
    folder = Path(os.environ.get("ATTTRACK_DATA", ROOT.parent / "shared" / "data")).parent / "models"
    if not (folder / DETECTOR).is_file():
        pytest.skip(f"no {DETECTOR} in {folder}; it is Open Model Zoo's, beside the folder that ATTTRACK_DATA names")
    return folder


@pytest.mark.data
def test_a_real_detector_says_as_a_teacher_what_it_says_in_openvino(
    networks: Path, data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film = data_dir / "sequences" / "TUD-Stadtmitte" / "video.mp4"
    options = ["--size", "576x320", "--picture", f"{film}", "--appearance", f"{networks / APPEARANCE}", "--pair", "zoo"]
    assert main([f"{networks / DETECTOR}", "--output", f"{tmp_path}", *options]) == 0
    assert "OpenVINO: boxes as corners, in pixels" in capsys.readouterr().out
    with closing(open_source(f"{film}")) as source:
        image = next(iter(source)).image
    planes = np.empty((1, 3, 320, 576), np.uint8)
    height, width = image.shape[:2]
    HostOps().letterbox([image], [Letterbox(width, height, 576, 320)], planes, HostDevice().cuda_stream())
    model = openvino.Core().read_model(networks / DETECTOR)
    model.reshape([1, 3, 320, 576])
    own = openvino.Core().compile_model(model, "CPU")([planes[:, ::-1].astype(np.float32)])["boxes"]
    own = own[own[:, 4] > 0.45][np.argsort(-own[own[:, 4] > 0.45][:, 4])]
    execution = OnnxEngine(tmp_path / "zoo-teacher-576x320.onnx", 1).prepare(1)
    execution.inputs["image"][:] = planes
    execution.run(1, HostDevice().cuda_stream())
    found = {name: value[0] for name, value in execution.outputs.items()}
    assert len(own) >= 4
    off = [np.abs(found["boxes"] - box).max(axis=1).min() for *box, _ in own]
    assert np.median(off) < 0.5 and max(off) < 2, "its arithmetic is int8, of which every runtime has its own"
    np.testing.assert_allclose(found["scores"][: len(own)], own[:, 4], atol=0.05)
    looks = found["embeddings"][found["scores"] > 0.4]
    np.testing.assert_allclose(np.linalg.norm(looks, axis=1), 1, atol=1e-4)
    assert (looks @ looks.T)[~np.eye(len(looks), dtype=bool)].max() < 0.9, "they are several people"
