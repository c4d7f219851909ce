"""Building blocks of the YOLOv5 (v5.0) body: each takes and gives (B, C, H, W) float tensors."""

import torch
from torch import Tensor, nn

BN_EPS, BN_MOMENTUM = 1e-3, 0.03


class ConvBlock(nn.Module):
    """Bias-free convolution, batch norm, SiLU; `stride` divides the size."""

    def __init__(self, c_in: int, c_out: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(c_out, BN_EPS, BN_MOMENTUM)
        self.act = nn.SiLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(self.conv(x)))  # type: ignore[no-any-return]


class Focus(nn.Module):
    """(B, 3, H, W) -> (B, c_out, H/2, W/2): the four interleaved sub-images as channels, then a 3x3 convolution."""

    def __init__(self, c_out: int) -> None:
        super().__init__()
        self.conv = ConvBlock(12, c_out, 3)

    def forward(self, x: Tensor) -> Tensor:
        parts = (x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2])
        return self.conv(torch.cat(parts, 1))  # type: ignore[no-any-return]


class Bottleneck(nn.Module):
    """1x1 then 3x3 convolution at constant width, with an identity around them where `shortcut`."""

    def __init__(self, channels: int, shortcut: bool) -> None:
        super().__init__()
        self.cv1 = ConvBlock(channels, channels, 1)
        self.cv2 = ConvBlock(channels, channels, 3)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.cv2(self.cv1(x))
        return x + y if self.shortcut else y


class C3(nn.Module):
    """Two half-width branches, one through `repeats` bottlenecks, joined by a 1x1 convolution."""

    def __init__(self, c_in: int, c_out: int, repeats: int = 1, shortcut: bool = True) -> None:
        super().__init__()
        half = c_out // 2
        self.cv1 = ConvBlock(c_in, half)
        self.cv2 = ConvBlock(c_in, half)
        self.cv3 = ConvBlock(2 * half, c_out)
        self.m = nn.Sequential(*(Bottleneck(half, shortcut) for _ in range(repeats)))

    def forward(self, x: Tensor) -> Tensor:
        return self.cv3(torch.cat((self.m(self.cv1(x)), self.cv2(x)), 1))  # type: ignore[no-any-return]


class Spp(nn.Module):
    """Spatial pyramid: the half-width map beside its 5, 9 and 13 max-pools, joined by a 1x1 convolution."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        half = c_in // 2
        self.cv1 = ConvBlock(c_in, half)
        self.cv2 = ConvBlock(4 * half, c_out)
        self.m = nn.ModuleList(nn.MaxPool2d(k, 1, k // 2) for k in (5, 9, 13))

    def forward(self, x: Tensor) -> Tensor:
        x = self.cv1(x)
        return self.cv2(torch.cat((x, *(pool(x) for pool in self.m)), 1))  # type: ignore[no-any-return]
