"""Exported files keep the contract and say what the network says."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from engines.signature import PRIOR, Role, Signature, SignatureError, check_pair
from export.to_onnx import export, main, sign
from export.verify import verify
from tests.support.trained_network import Shallow, as_if_trained
from training.losses import IdentityClassifier, PivotFeatures
from training.models.heads import TrackingNetwork
from training.models.networks import build_network


def trained(prior: bool = False) -> Shallow:
    return as_if_trained(Shallow(prior))


def record(network: TrackingNetwork, name: str = "yolo-1/8", mapping: str = "ifm") -> dict[str, object]:
    recipe = {"pair": "test", "network": name, "mapping": mapping}
    return {"recipe": recipe, "network": network.state_dict(), "commit": "abc"}


@pytest.mark.parametrize(("role", "prior"), [("teacher", False), ("student", True), ("student", False)])
def test_an_exported_network_agrees_with_torch_at_any_batch(tmp_path: Path, role: Role, prior: bool) -> None:
    network = trained(prior=prior)
    signature = sign(record(network), network, role, (96, 64), peaks=40)
    path = tmp_path / "model.onnx"
    export(network, signature, path)
    report = verify(network, signature, path)
    assert report.passed, report.table()
    assert b".py" not in path.read_bytes()  # no traces of the machine that wrote it
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert Signature.from_metadata(session.get_modelmeta().custom_metadata_map) == signature
    assert [node.name for node in session.get_inputs()] == list(signature.inputs)
    assert [node.name for node in session.get_outputs()] == list(signature.outputs)
    for batch in (1, 5):
        feeds = {"image": np.zeros((batch, 3, 64, 96), np.uint8), PRIOR: np.zeros((batch, 1, 16, 24), np.float32)}
        outputs = session.run(None, {name: feeds[name] for name in signature.inputs})
        assert {len(output) for output in outputs} == {batch}


@pytest.mark.parametrize(
    ("name", "prior"),
    # each body once; width, depth and use make no difference to an exporter that works for minutes on a deep network
    [("yolo-1/2", False), ("dla34", True)],
)
def test_every_network_agrees_with_torch_once_exported(tmp_path: Path, name: str, prior: bool) -> None:
    network = as_if_trained(build_network(name, prior=prior))
    role: Role = "student" if prior else "teacher"
    signature = sign(record(network, name), network, role, (96, 64), peaks=40)
    path = tmp_path / "model.onnx"
    export(network, signature, path)
    report = verify(network, signature, path)
    assert report.passed, report.table()
    operators = [node.op_type for node in onnx.load(path).graph.node]
    # the runtimes' common ground: one sampling for each of DLA34's sixteen deformable convolutions, no norm left
    assert operators.count("GridSample") == (16 if name.startswith("dla") else 0)
    assert "BatchNormalization" not in operators


def test_pivot_features_leave_with_both_networks_of_a_pair_or_with_none(tmp_path: Path) -> None:
    pivot = PivotFeatures(IdentityClassifier(64, 23)).eval()
    teacher, student = trained(), trained(prior=True)
    signatures = [
        sign(record(network), network, role, (96, 64), 40, pivot)
        for network, role in ((teacher, "teacher"), (student, "student"))
    ]
    assert [one.embedding_dim for one in signatures] == [23, 23]
    check_pair(*signatures)
    with pytest.raises(SignatureError, match="embedding_dim"):
        check_pair(signatures[0], sign(record(student), student, "student", (96, 64)))
    export(student, signatures[1], tmp_path / "model.onnx", pivot)
    report = verify(student, signatures[1], tmp_path / "model.onnx", pivot)
    assert report.passed, report.table()


def test_parity_notices_another_network(tmp_path: Path) -> None:
    network = trained()
    signature = sign(record(network), network, "teacher", (96, 64), peaks=40)
    export(network, signature, tmp_path / "model.onnx")
    other = Shallow().eval()
    assert not verify(other, signature, tmp_path / "model.onnx").passed


def test_metadata_names_mapping_only_where_it_was_learnt() -> None:
    assert sign(record(trained()), trained(prior=True), "student", (96, 64)).mapping == "ifm"
    assert sign(record(trained()), trained(), "teacher", (96, 64)).mapping == "none"
    student = trained(prior=True)  # explicit mapping is in the file only where its embeddings are pivot features
    pivot = PivotFeatures(IdentityClassifier(64, 23)).eval()
    efm = record(student, mapping="efm")
    assert [sign(efm, student, "student", (96, 64), 40, seen).mapping for seen in (None, pivot)] == ["none", "efm"]


def test_a_missing_weights_file_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([str(tmp_path / "no.pt"), "--role", "teacher", "--output", str(tmp_path / "x.onnx")])
    assert caught.value.code == 2
    assert "train them first" in capsys.readouterr().err
