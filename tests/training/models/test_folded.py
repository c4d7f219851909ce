"""Folding makes an equal network."""

import pytest
import torch
from torch import nn

from training.models.folded import Folded
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


@pytest.mark.parametrize("prior", [None, torch.linspace(0, 1, 384).reshape(1, 1, 16, 24)], ids=["plain", "prior"])
def test_folding_changes_nothing_but_the_range_of_pixels(prior: torch.Tensor | None) -> None:
    network = trained(prior=prior is not None)
    pixels = torch.randint(0, 256, (1, 3, 64, 96)).float()
    with torch.inference_mode():
        ours, folded = network(pixels / 255, prior), Folded(network)(pixels, prior)
    for name, value in ours.items():
        torch.testing.assert_close(folded[name], value, atol=1e-4, rtol=1e-3)
