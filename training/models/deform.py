"""DCNv2: a 3x3 convolution that samples where it wants to look, in plain torch."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class DeformConv(nn.Module):
    """(B, c_in, h, w) -> (B, c_out, h, w), parameters named as in FairMOT's checkpoints.

    `conv_offset_mask` gives for each of the nine taps, row by row, an offset (dy, dx) in cells, and then nine weights
    through a sigmoid. Sampling is bilinear, with zeros outside of the map. A fresh one is half an ordinary convolution.
    All nine are sampled at once, so that it is exported as one GridSample: TensorRT-RTX refuses ONNX's DeformConv.
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
        control = self.conv_offset_mask(
            x
        ).float()  # in bf16 a place on a map of 272 cells would be wrong by half a cell
        masks = torch.sigmoid(control[:, 18:])  # (B, 9, h, w)
        taps = torch.arange(9, device=x.device).view(9, 1, 1)
        rows = torch.arange(height, device=x.device).view(height, 1) + taps // 3 - 1 - (height - 1) / 2
        columns = torch.arange(width, device=x.device) + taps % 3 - 1 - (width - 1) / 2  # from the map's middle
        y = (rows + control[:, 0:18:2]) * (2 / max(height - 1, 1))
        x_ = (columns + control[:, 1:18:2]) * (2 / max(width - 1, 1))
        grid = torch.stack((x_, y), 4).flatten(1, 2)  # (B, 9h, w, 2): the taps' pictures one below the other
        seen = functional.grid_sample(x.float(), grid, mode="bilinear", padding_mode="zeros", align_corners=True)
        weighted = seen.to(x.dtype) * masks.flatten(1, 2).unsqueeze(1).to(x.dtype)  # (B, c_in, 9h, w)
        # lies in memory like (B, 9 c_in, h, w) in the order of `weight`, so one 1x1 convolution is left
        taken = weighted.reshape(x.shape[0], -1, height, width)
        return functional.conv2d(taken, self.weight.flatten(1)[..., None, None], self.bias)
