"""Weights find back into the network they came from."""

from pathlib import Path

import pytest
import torch

from training.checkpoint import save_checkpoint
from training.models.yolo import YoloFairMot
from training.recipe import Recipe
from training.weights import classifier_of, halved, load_network, load_start, pivot_from


@pytest.mark.parametrize("prior", [False, True])
def test_saved_weights_make_the_same_network_up_to_half_precision(tmp_path: Path, prior: bool) -> None:
    network = YoloFairMot(0.125, prior).eval()
    save_checkpoint(
        tmp_path / "weights.pt", {"recipe": {"network": "yolo-1/8"}, "network": halved(network.state_dict())}
    )
    restored, record = load_network(tmp_path / "weights.pt")
    assert restored.has_prior is prior
    assert not restored.training
    assert record["recipe"] == {"network": "yolo-1/8"}
    for name, value in network.state_dict().items():
        torch.testing.assert_close(restored.state_dict()[name], value, atol=1e-4, rtol=1e-3)


def test_missing_weights_are_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.pt.*train_plain"):
        load_network(tmp_path / "none.pt")


def test_a_run_does_not_begin_with_weights_of_another_network(tmp_path: Path) -> None:
    network = YoloFairMot(0.125)
    save_checkpoint(tmp_path / "weights.pt", {"recipe": {"network": "yolo-1/8"}, "network": network.state_dict()})
    assert load_start(tmp_path / "weights.pt", Recipe("p", "yolo-1/8", 1))[0].width == 0.125
    with pytest.raises(ValueError, match="holds yolo-1/8, the recipe trains yolo-1/4"):
        load_start(tmp_path / "weights.pt", Recipe("p", "yolo-1/4", 1))


@pytest.mark.parametrize(
    ("known", "fits"),
    [
        ({"a": 2, "b": 3}, True),
        ({"b": 3, "a": 2}, False),
        ({"a": 3, "b": 2}, False),
        ({"c": 2, "b": 3}, False),
        ({"a": 5}, False),
        (None, True),
    ],
)
def test_a_classifier_fits_the_same_identities_in_the_same_order(known: dict[str, int] | None, fits: bool) -> None:
    record = {"classifier": {"linear.weight": torch.ones(5, 64)}} | ({} if known is None else {"identities": known})
    assert (classifier_of(record, 64, {"a": 2, "b": 3}) is not None) == fits
    assert classifier_of(record, 64, {"a": 2, "b": 4}) is None
    assert classifier_of(record, 32, {"a": 2, "b": 3}) is None


def test_published_weights_bring_no_identity_classifier() -> None:
    record = {"network": YoloFairMot(0.125).state_dict(), "recipe": {"network": "yolo-1/8"}}
    assert classifier_of(record, 64, {"a": 5}) is None
    with pytest.raises(ValueError, match="no identity classifier"):
        pivot_from(record)
