"""FairMOT's files load whole or not at all, and say what did not fit."""

from pathlib import Path

import pytest
import torch

from tests.support.trained_network import as_if_trained
from training.fairmot_checkpoint import load_fairmot, main, read_fairmot, slimmed
from training.models.dla import DlaFairMot
from training.models.networks import build_network
from training.weights import load_network


def file(path: Path, state: dict[str, torch.Tensor]) -> Path:
    torch.save({"epoch": 30, "state_dict": state}, path)
    return path


def test_a_file_without_a_state_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no state_dict"):
        read_fairmot(file(tmp_path / "empty.pth", {}))


@pytest.mark.parametrize("name", ["yolo-1/2", "dla34"])
def test_published_files_load_with_their_prefix_and_their_dead_weights(tmp_path: Path, name: str) -> None:
    published = as_if_trained(build_network(name)).state_dict()
    dead = {"base.fc.weight": torch.zeros(1000, 512, 1, 1), "base.fc.bias": torch.zeros(1000)}
    path = file(tmp_path / "model.pth", {f"module.{key}": value for key, value in (published | dead).items()})
    main([str(path), "--network", name, "--output", str(tmp_path / "weights.pt")])
    network, record = load_network(tmp_path / "weights.pt")
    assert record["recipe"]["network"] == name
    for key, value in published.items():
        torch.testing.assert_close(network.state_dict()[key], value, atol=1e-3, rtol=1e-2)


def test_what_does_not_fit_is_named_and_nothing_is_loaded() -> None:
    network = DlaFairMot(0.125)
    before = network.state_dict()["hm.2.bias"].clone()
    state = {**network.state_dict(), "hm.2.bias": torch.ones(80), "stranger": torch.ones(1)}
    del state["id.2.bias"]
    with pytest.raises(ValueError, match="fit") as caught:
        load_fairmot(network, state)
    assert all(name in str(caught.value) for name in ("hm.2.bias: (1,), (80,)", "stranger", "id.2.bias"))
    assert torch.equal(network.state_dict()["hm.2.bias"], before)
    fit = load_fairmot(network, state, partial=True)
    assert (len(fit.missing), len(fit.reshaped), len(fit.unknown)) == (1, 1, 1)
    assert len(fit.loaded) == len(state) - 2


def test_a_network_of_one_tree_per_stage_starts_as_the_first_trees_of_the_full_one() -> None:
    full = as_if_trained(DlaFairMot(0.125, embedding=8))
    small = DlaFairMot(0.125, (1, 1, 1, 1), embedding=8)
    assert load_fairmot(small, slimmed(full.state_dict())).perfect
    at8 = torch.rand(1, full.base.level2.project[0].out_channels, 16, 24)
    with torch.inference_mode():
        torch.testing.assert_close(small.eval().base.level3(at8), full.base.level3.tree1(at8))


def test_a_mistake_ends_with_one_message_and_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = file(tmp_path / "model.pth", {"stranger": torch.ones(1)})
    with pytest.raises(SystemExit) as caught:
        main([str(path), "--network", "yolo-1/8", "--output", str(tmp_path / "weights.pt")])
    assert caught.value.code == 1
    assert "1 unknown: stranger" in capsys.readouterr().err
    assert not (tmp_path / "weights.pt").exists()
