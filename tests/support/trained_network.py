"""Networks that look trained, for tests that compare two runtimes."""

from typing import TypeVar

import torch
from torch import nn

from training.models.deform import DeformConv
from training.models.heads import TrackingNetwork
from training.models.yolo import YoloBody, YoloFairMot

LAST = {"PyramidTeacher": "refine_score.last", "PyramidStudent": "refine_score.last"}
"""The layer whose output is the centre logit, of networks where it is not `hm.2`."""

Network = TypeVar("Network", bound=nn.Module)


class ShallowBody(YoloBody):
    """A YOLO of width 1/8 that goes down to stride 8 and up again, with few layers on its way."""

    def __init__(self) -> None:
        super().__init__(0.125)
        self.model = nn.ModuleList(self.model[number] for number in (0, 1, 2, 3, 18, 19, 21))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        focus, down, at4, down_again, narrow, up, last = self.model
        fine = at4(down(focus(x)))
        return last(torch.cat((up(narrow(down_again(fine))), fine), 1))


class Shallow(YoloFairMot):
    """FairMOT's heads on little: an exporter, whose time is that of its operators, is done with it at once."""

    def __init__(self, prior: bool = False) -> None:
        super().__init__(0.125, prior)
        self.backbone = ShallowBody()


def as_if_trained(network: Network, seed: int = 1) -> Network:
    """The network with the spread of norms, offsets and likelihoods that training leaves behind: peaks are no ties."""
    torch.manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.3)
        elif isinstance(module, DeformConv):
            nn.init.normal_(module.conv_offset_mask.bias, 0, 0.5)
    network.eval()
    if isinstance(network, TrackingNetwork):
        _spread_likelihoods(network)
    return network


@torch.no_grad()
def _spread_likelihoods(network: TrackingNetwork) -> None:
    """Let the centre logits of noise have mean -2 and deviation 1; a fresh network's are nearly all the same."""
    image = torch.rand(2, 3, 64, 96)
    prior = torch.rand(2, 1, 16, 24) if network.has_prior else None
    last = network.get_submodule(LAST.get(type(network).__name__, "hm.2"))
    if not last.weight.any():  # begins at zero: what is added to the logits is to be spread
        nn.init.normal_(last.weight)
        last.weight /= network(image, prior)["hm"].std()
        last.bias -= network(image, prior)["hm"].mean() + 2
        return
    logits = network(image, prior)["hm"]
    last.weight /= logits.std()
    last.bias -= logits.mean()
    last.bias /= logits.std()
    last.bias -= 2
