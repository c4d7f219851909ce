"""Exported files keep the contract and say what the network says."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from engines.signature import PRIOR, Role, Signature
from export.half_weights import halve_weights
from export.to_onnx import export, main, sign
from export.verify import verify
from training.models.yolo import YoloFairMot


def trained(width: float = 0.125, prior: bool = False) -> YoloFairMot:
    """A network with the spread of norms and logits that training leaves behind, so that peaks are no ties."""
    torch.manual_seed(1)
    network = YoloFairMot(width, prior)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 0.1)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 1.5)  # type: ignore[arg-type]
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.3)
    return network.eval()


def record(network: YoloFairMot) -> dict[str, object]:
    recipe = {"width": 0.125, "pair": "test", "network": "yolo-1/8", "mapping": "ifm"}
    return {"recipe": recipe, "network": network.state_dict(), "commit": "abc"}


@pytest.mark.parametrize(("role", "prior"), [("teacher", False), ("student", True), ("student", False)])
def test_an_exported_network_agrees_with_torch_at_any_batch(tmp_path: Path, role: Role, prior: bool) -> None:
    network = trained(prior=prior)
    signature = sign(record(network), prior, role, (96, 64), peaks=40)
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


def test_parity_notices_another_network(tmp_path: Path) -> None:
    network = trained()
    signature = sign(record(network), False, "teacher", (96, 64), peaks=40)
    export(network, signature, tmp_path / "model.onnx")
    other = YoloFairMot(0.125).eval()
    assert not verify(other, signature, tmp_path / "model.onnx").passed


def test_metadata_names_mapping_only_where_it_was_learnt() -> None:
    assert sign(record(trained()), True, "student", (96, 64)).mapping == "ifm"
    assert sign(record(trained()), False, "teacher", (96, 64)).mapping == "none"


def test_a_weight_beyond_half_precision_is_refused() -> None:
    value = onnx.numpy_helper.from_array(np.full(100, 1e6, np.float32), "w")
    graph = onnx.helper.make_graph([], "g", [], [], [value])
    with pytest.raises(OverflowError, match="w reaches"):
        halve_weights(onnx.helper.make_model(graph))


def test_a_missing_weights_file_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([str(tmp_path / "no.pt"), "--role", "teacher", "--output", str(tmp_path / "x.onnx")])
    assert caught.value.code == 2
    assert "train them first" in capsys.readouterr().err
