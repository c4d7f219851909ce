"""The pyramid: a fresh network exported to an open file, and the shipped files, agree with torch; fp16 and int8 too."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from edge.sources import open_source
from engines.onnx_engine import OnnxEngine
from engines.signature import IMAGE, PRIOR
from export.precision import to_precision
from export.to_onnx import export, sign
from export.verify import verify
from tests.conftest import ROOT
from tests.support.trained_network import as_if_trained
from training.models.heads import TrackingNetwork
from training.models.pyramid import PyramidStudent
from training.weights import load_network

SIZE = (96, 64)
SHIPPED = ("open-teacher", "open-student", "open-student-plain")


@pytest.fixture(scope="module", params=SHIPPED)
def shipped(request: pytest.FixtureRequest) -> tuple[Path, TrackingNetwork]:
    """A shipped file, which is open, and the network of its weights."""
    network, _ = load_network(ROOT / "models" / "weights" / f"{request.param}.pt")
    return ROOT / "models" / f"{request.param}.onnx", network


def test_a_fresh_one_agrees_with_torch_once_exported(tmp_path: Path) -> None:
    network = as_if_trained(PyramidStudent(prior=True))  # has all that its teacher has, and a prior
    record = {"recipe": {"pair": "p", "network": "pyramid", "mapping": "none"}, "commit": ""}
    path = tmp_path / "p-student.onnx"
    export(network, sign(record, network, "student", SIZE, 40, sizes="open"), path)
    for size in (None, (160, 96)):
        report = verify(network, OnnxEngine(path, 1, size).signature, path)
        assert report.passed, report.table()


@pytest.mark.parametrize("size", [(320, 192), (416, 160)])
def test_the_shipped_files_are_the_shipped_weights(
    shipped: tuple[Path, TrackingNetwork], size: tuple[int, int]
) -> None:
    path, network = shipped
    scene = open_source(f"synthetic://?width={size[0]}&height={size[1]}&people=3&frames=3")
    images = np.stack([frame.image[..., ::-1].transpose(2, 0, 1) for frame in scene])
    report = verify(network, OnnxEngine(path, 1, size).signature, path, images=images)
    assert report.passed, report.table()


def test_other_precisions_find_the_same_likelihoods(shipped: tuple[Path, TrackingNetwork]) -> None:
    path, network = shipped
    rng = np.random.default_rng(0)
    feeds = {IMAGE: rng.integers(0, 256, (2, 3, 64, 96), np.uint8)}
    if network.has_prior:
        feeds[PRIOR] = rng.random((2, 1, 16, 24), np.float32)
    scores = {}
    for precision in ("fp32", "fp16"):
        model = to_precision(path, precision, size=SIZE)
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        (scores[precision],) = session.run(["scores"], feeds)
        assert "InstanceNormalization" not in [node.op_type for node in model.graph.node]
    np.testing.assert_allclose(scores["fp16"], scores["fp32"], atol=0.02)


def test_int8_is_in_the_file(shipped: tuple[Path, TrackingNetwork]) -> None:
    path, network = shipped
    if network.has_prior:
        pytest.skip("its priors come from a teacher's file beside it; tests/export/test_sizes.py has such a pair")
    model = to_precision(path, "int8", "synthetic://?width=320&height=192", 2, (320, 192))
    assert any(node.op_type == "QuantizeLinear" for node in model.graph.node)
    onnx.checker.check_model(model, full_check=True)
