"""The pyramid pair as open files: it agrees with torch at two sizes, in fp16 and, roughly, in int8."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from engines.onnx_engine import OnnxEngine
from engines.signature import IMAGE, PRIOR, Role
from export.precision import to_precision
from export.to_onnx import export, sign
from export.verify import verify
from tests.support.trained_network import as_if_trained
from training.models.heads import TrackingNetwork
from training.models.pyramid import PyramidStudent, PyramidTeacher

SIZE = (96, 64)
NETWORKS: dict[str, tuple[Role, TrackingNetwork]] = {
    "teacher": ("teacher", as_if_trained(PyramidTeacher())),
    "student": ("student", as_if_trained(PyramidStudent(prior=True))),
    "student-plain": ("student", as_if_trained(PyramidStudent())),
}


@pytest.fixture(scope="module", params=NETWORKS)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrackingNetwork]:
    """Its file, open, and the network."""
    role, network = NETWORKS[request.param]
    record = {"recipe": {"pair": "p", "network": "pyramid", "mapping": "none"}, "commit": ""}
    path = tmp_path_factory.mktemp("pyramid") / f"p-{request.param}.onnx"
    export(network, sign(record, network, role, SIZE, 40, sizes="open"), path)
    return path, network


@pytest.mark.parametrize("size", [None, (160, 96)])
def test_it_agrees_with_torch(exported: tuple[Path, TrackingNetwork], size: tuple[int, int] | None) -> None:
    path, network = exported
    report = verify(network, OnnxEngine(path, 1, size).signature, path)
    assert report.passed, report.table()


def test_other_precisions_find_the_same_likelihoods(exported: tuple[Path, TrackingNetwork]) -> None:
    path, network = exported
    rng = np.random.default_rng(0)
    feeds = {IMAGE: rng.integers(0, 256, (2, 3, 64, 96), np.uint8)}
    if network.has_prior:
        feeds[PRIOR] = rng.random((2, 1, 16, 24), np.float32)
    scores = {}
    for precision in ("fp32", "fp16"):
        model = to_precision(path, precision)
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        (scores[precision],) = session.run(["scores"], feeds)
        assert "InstanceNormalization" not in [node.op_type for node in model.graph.node]
    np.testing.assert_allclose(scores["fp16"], scores["fp32"], atol=0.02)


def test_int8_is_in_the_file(exported: tuple[Path, TrackingNetwork]) -> None:
    path, network = exported
    if network.has_prior:
        pytest.skip("its priors come from a teacher's file beside it; tests/export/test_sizes.py has such a pair")
    model = to_precision(path, "int8", "synthetic://?width=320&height=192", 2)
    assert any(node.op_type == "QuantizeLinear" for node in model.graph.node)
    onnx.checker.check_model(model, full_check=True)
