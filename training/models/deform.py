"""DCNv2: a 3x3 convolution that samples where it wants to look, in plain torch."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

TAPS = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)]


class DeformConv(nn.Module):
    """(B, c_in, h, w) -> (B, c_out, h, w), parameters named as in FairMOT's checkpoints.

    `conv_offset_mask` gives for each of the nine taps, row by row, an offset (dy, dx) in cells, and then nine weights
    through a sigmoid. Sampling is bilinear, with zeros outside of the map. A fresh one is half an ordinary convolution.
    """

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(c_out, c_in, 3, 3))
        self.bias = nn.Parameter(torch.zeros(c_out))
        nn.init.uniform_(self.weight, -1 / math.sqrt(9 * c_in), 1 / math.sqrt(9 * c_in))
        self.conv_offset_mask = nn.Conv2d(c_in, 27, 3, padding=1)
        nn.init.zeros_(self.conv_offset_mask.weight)
        nn.init.zeros_(self.conv_offset_mask.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        precise = x.float()  # in bf16 positions on a map of 272 cells would be wrong by up to half a cell
        control = self.conv_offset_mask(x).float()
        offsets, masks = control[:, :18], torch.sigmoid(control[:, 18:]).to(x.dtype)
        rows = torch.arange(height, device=x.device, dtype=offsets.dtype).view(1, height, 1)
        columns = torch.arange(width, device=x.device, dtype=offsets.dtype).view(1, 1, width)
        sampled = []
        for tap, (dy, dx) in enumerate(TAPS):
            y = (rows + dy + offsets[:, 2 * tap]) * 2 / max(height - 1, 1) - 1
            x_ = (columns + dx + offsets[:, 2 * tap + 1]) * 2 / max(width - 1, 1) - 1
            grid = torch.stack((x_, y), 3)
            seen = functional.grid_sample(precise, grid, mode="bilinear", padding_mode="zeros", align_corners=True)
            sampled.append(seen.to(x.dtype) * masks[:, tap : tap + 1])
        # one 1x1 convolution over the taps' channels, tap after tap
        weight = self.weight.permute(0, 2, 3, 1).reshape(self.weight.shape[0], -1, 1, 1)
        return functional.conv2d(torch.cat(sampled, 1), weight, self.bias)
