"""Networks that look trained, for tests that compare two runtimes."""

from typing import TypeVar

import torch
from torch import nn

from training.models.deform import DeformConv

Network = TypeVar("Network", bound=nn.Module)


def as_if_trained(network: Network, seed: int = 1) -> Network:
    """The network with the spread of norms and offsets that training leaves behind, so that peaks are no ties."""
    torch.manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 0.1)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 1.5)  # type: ignore[arg-type]
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.3)
        elif isinstance(module, DeformConv):
            nn.init.normal_(module.conv_offset_mask.bias, 0, 0.5)
    return network.eval()
