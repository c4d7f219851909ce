"""A trained network as it is deployed: uint8 picture in, decoded objects out, norms and scaling folded into weights."""

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from training.models.blocks import ConvBlock, Focus
from training.models.decode import decode
from training.models.yolo import YoloFairMot


class Deployed(nn.Module):
    """Inputs and outputs as `engines.signature` names them, for one role."""

    def __init__(self, network: YoloFairMot, role: str, peaks: int) -> None:
        super().__init__()
        self.network = fold(network)
        self.role, self.peaks = role, peaks

    def forward(self, image: Tensor, prior: Tensor | None = None) -> tuple[Tensor, ...]:
        """image uint8 (B, 3, H, W); prior float32 (B, 1, H/4, W/4) for a network that has one."""
        out = decode(self.network(image.float(), prior), self.peaks)
        decoded = (out.points, out.boxes, out.scores, out.embeddings)
        return (out.heatmap, *decoded) if self.role == "teacher" else decoded


def fold(network: YoloFairMot) -> YoloFairMot:
    """An equal network in eval mode that takes pixels 0..255: fewer operations, same function.

    Batch norms go into their convolutions. Focus followed by its 3x3 convolution is one 6x6 convolution of stride 2,
    into which the division by 255 goes as well, so that a runtime has one Cast between the picture and the network.
    """
    folded = copy.deepcopy(network).float().eval()
    for module in folded.modules():
        if isinstance(module, ConvBlock):
            module.conv = fuse_conv_bn_eval(module.conv, module.bn)
            module.bn = nn.Identity()  # type: ignore[assignment]
    focus = folded.backbone.model[0]
    if not isinstance(focus, Focus):
        raise TypeError(f"expected Focus as the first layer, got {type(focus).__name__}")
    inner = focus.conv.conv
    stem = nn.Conv2d(3, inner.out_channels, 6, 2, 2)
    with torch.no_grad():
        weight = torch.zeros_like(stem.weight)
        for part, (row, column) in enumerate(((0, 0), (1, 0), (0, 1), (1, 1))):
            weight[:, :, row::2, column::2] = inner.weight[:, 3 * part : 3 * part + 3]
        stem.weight.copy_(weight / 255)
        if inner.bias is not None and stem.bias is not None:
            stem.bias.copy_(inner.bias)
    folded.backbone.model[0] = nn.Sequential(stem, nn.SiLU())
    return folded
