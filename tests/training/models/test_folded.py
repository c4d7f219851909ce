"""Folding makes an equal network."""

import pytest
import torch

from tests.support.trained_network import as_if_trained
from training.models.dla import DlaFairMot
from training.models.folded import Folded
from training.models.yolo import YoloFairMot


@pytest.mark.parametrize("prior", [None, torch.linspace(0, 1, 384).reshape(1, 1, 16, 24)], ids=["plain", "prior"])
@pytest.mark.parametrize("family", [YoloFairMot, DlaFairMot])
def test_folding_changes_nothing_but_the_range_of_pixels(family: type, prior: torch.Tensor | None) -> None:
    network = as_if_trained(family(0.125, prior=prior is not None))
    pixels = torch.randint(0, 256, (1, 3, 64, 96)).float()
    with torch.inference_mode():
        folded_network = Folded(network)
        ours, folded = network(pixels / 255, prior), folded_network(pixels, prior)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded_network.modules())
    for name, value in ours.items():
        torch.testing.assert_close(folded[name], value, atol=1e-4, rtol=1e-3)


def test_a_network_that_cannot_be_folded_is_refused() -> None:
    with pytest.raises(TypeError, match="Linear"):
        Folded(torch.nn.Linear(1, 1))
