"""FairMOT's DLA34: deep layer aggregation up to stride 4, deformable convolutions on the way up, four heads.

Parameter counts: `dla34` 19,836,711 (plain convolutions instead of deformable ones: 19,196,983); `dla34-small`, one
pair of blocks per stage, 16,596,263; `dla34-half`, all channels halved, 5,137,903. Key names are those of FairMOT's
published `dla_34` checkpoints. AttTrack calls its DLA student "DLA34-small, 16.55M", which no single change to DLA34
gives: `dla34-small` reads the number, `dla34-half` reads the speed (docs/PAPER.md).
"""

from typing import Self

import torch
from torch import Tensor, nn

from training.models.deform import DeformConv
from training.models.heads import FairMotNetwork

BN_MOMENTUM = 0.1
CHANNELS = (16, 32, 64, 128, 256, 512)
"""Of levels 0 to 5, strides 1 to 32."""
DEPTHS = (1, 2, 2, 1)
"""Of the trees of levels 2 to 5."""
HEAD_CONV = 256


class DlaFairMot(FairMotNetwork):
    """FairMOT's `dla_34`, with its sizes as parameters."""

    def __init__(
        self,
        width: float = 1.0,
        depths: tuple[int, int, int, int] = DEPTHS,
        deform: bool = True,
        prior: bool = False,
        embedding: int = 128,
        head_conv: int | None = None,
    ) -> None:
        """`width`: multiple of all channels but the embedding; `deform`: DCNv2 on the way up, else plain 3x3.

        `head_conv`: channels of the heads' 3x3 convolution, FairMOT's 256 times `width` unless told otherwise.
        """
        channels = [int(c * width) for c in CHANNELS]
        hidden = int(HEAD_CONV * width) if head_conv is None else head_conv
        super().__init__(channels[2], hidden, embedding, nn.ReLU, prior)
        self._shape, self._hidden = (width, depths, deform), hidden
        self.base = DlaBase(channels, depths)
        self.dla_up = DlaUp(channels[2:], deform)
        self.ida_up = IdaUp(channels[2], channels[2:5], (1, 2, 4), deform)

    def body(self, image: Tensor) -> Tensor:
        """See `FairMotNetwork.body`."""
        maps: list[Tensor] = self.dla_up(self.base(image)[2:])
        return self.ida_up(maps[:3])[-1]  # type: ignore[no-any-return]

    def twin(self, prior: bool) -> Self:
        """See `TrackingNetwork.twin`."""
        return type(self)(*self._shape, prior, self.embedding, self._hidden)


class DlaBase(nn.Module):
    """(B, 3, H, W) -> the maps of levels 0 to 5."""

    def __init__(self, channels: list[int], depths: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.base_layer = _conv_bn_relu(3, channels[0], 7)
        self.level0 = _conv_bn_relu(channels[0], channels[0], 3)
        self.level1 = _conv_bn_relu(channels[0], channels[1], 3, stride=2)
        for level, depth in enumerate(depths, 2):
            tree = Tree(depth, channels[level - 1], channels[level], stride=2, level_root=level > 2)
            self.add_module(f"level{level}", tree)

    def forward(self, image: Tensor) -> list[Tensor]:
        x = self.base_layer(image)
        maps = []
        for level in range(6):
            x = self.get_submodule(f"level{level}")(x)
            maps.append(x)
        return maps


class Block(nn.Module):
    """Two 3x3 convolutions with a residual that may come from elsewhere."""

    def __init__(self, c_in: int, c_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(c_out, momentum=BN_MOMENTUM)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(c_out, momentum=BN_MOMENTUM)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor, residual: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(y + residual)  # type: ignore[no-any-return]


class Root(nn.Module):
    """1x1 convolution that joins the children of a tree."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, 1, bias=False)
        self.bn = nn.BatchNorm2d(c_out, momentum=BN_MOMENTUM)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, children: list[Tensor]) -> Tensor:
        return self.relu(self.bn(self.conv(torch.cat(children, 1))))  # type: ignore[no-any-return]


class Tree(nn.Module):
    """Depth 1: two blocks and a root. Depth 2: two trees, of which the second one's root sees the first one as well."""

    def __init__(
        self, depth: int, c_in: int, c_out: int, stride: int, level_root: bool = False, root_dim: int = 0
    ) -> None:
        super().__init__()
        root_dim = (root_dim or 2 * c_out) + (c_in if level_root else 0)
        self.level_root = level_root
        self.downsample = nn.MaxPool2d(stride) if stride > 1 else nn.Identity()
        self.project: nn.Module = nn.Identity()
        if c_in != c_out:  # unused in a tree of trees, where FairMOT's checkpoints have it all the same
            norm = nn.BatchNorm2d(c_out, momentum=BN_MOMENTUM)
            self.project = nn.Sequential(nn.Conv2d(c_in, c_out, 1, bias=False), norm)
        self.root: Root | None = None
        if depth == 1:
            self.tree1: nn.Module = Block(c_in, c_out, stride)
            self.tree2: nn.Module = Block(c_out, c_out, 1)
            self.root = Root(root_dim, c_out)
        else:
            self.tree1 = Tree(depth - 1, c_in, c_out, stride)
            self.tree2 = Tree(depth - 1, c_out, c_out, 1, root_dim=root_dim + c_out)

    def forward(self, x: Tensor, children: tuple[Tensor, ...] = ()) -> Tensor:
        """`children`: what the root joins besides this tree's own two."""
        bottom = self.downsample(x)
        if self.level_root:
            children = (*children, bottom)
        if self.root is None:
            first = self.tree1(x)
            return self.tree2(first, (*children, first))  # type: ignore[no-any-return]
        first = self.tree1(x, self.project(bottom))
        second = self.tree2(first, first)
        return self.root([second, first, *children])  # type: ignore[no-any-return]


class UpConv(nn.Module):
    """3x3 convolution, deformable or plain, norm and ReLU."""

    def __init__(self, c_in: int, c_out: int, deform: bool) -> None:
        super().__init__()
        self.actf = nn.Sequential(nn.BatchNorm2d(c_out, momentum=BN_MOMENTUM), nn.ReLU(inplace=True))
        self.conv = DeformConv(c_in, c_out) if deform else nn.Conv2d(c_in, c_out, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.actf(self.conv(x))  # type: ignore[no-any-return]


class IdaUp(nn.Module):
    """Iterative aggregation: each coarser map is projected, enlarged and joined to the one before it."""

    def __init__(self, c_out: int, channels: list[int], factors: tuple[int, ...], deform: bool) -> None:
        super().__init__()
        self.steps = range(1, len(channels))
        for step in self.steps:
            factor = factors[step]
            up = nn.ConvTranspose2d(c_out, c_out, 2 * factor, factor, factor // 2, groups=c_out, bias=False)
            with torch.no_grad():
                up.weight.copy_(_bilinear(2 * factor))
            self.add_module(f"proj_{step}", UpConv(channels[step], c_out, deform))
            self.add_module(f"up_{step}", up)
            self.add_module(f"node_{step}", UpConv(c_out, c_out, deform))

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps from fine to coarse; the result keeps the first and has the aggregates in the others' place."""
        out = [maps[0]]
        for step in self.steps:
            up = self.get_submodule(f"up_{step}")(self.get_submodule(f"proj_{step}")(maps[step]))
            out.append(self.get_submodule(f"node_{step}")(up + out[-1]))
        return out


class DlaUp(nn.Module):
    """Three aggregations, from the coarse end: maps of levels 2 to 5 become maps of the same strides that saw all."""

    def __init__(self, channels: list[int], deform: bool) -> None:
        super().__init__()
        inputs = list(channels)
        for stage in range(3):
            finest = 2 - stage
            factors = (1, *(2 for _ in inputs[finest + 1 :]))
            ida = IdaUp(channels[finest], inputs[finest:], factors, deform)
            self.add_module(f"ida_{stage}", ida)
            inputs[finest + 1 :] = [channels[finest]] * (len(inputs) - finest - 1)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Finest first: 1/4, 1/8, 1/16, 1/32; the last is level 5 as it was."""
        working = list(maps)
        out = [working[-1]]
        for stage in range(3):
            finest = 2 - stage
            working[finest:] = self.get_submodule(f"ida_{stage}")(working[finest:])
            out.insert(0, working[-1])
        return out


def _conv_bn_relu(c_in: int, c_out: int, kernel: int, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(c_out, momentum=BN_MOMENTUM), nn.ReLU(inplace=True))


def _bilinear(size: int) -> Tensor:
    """(size, size) weights with which a transposed convolution enlarges bilinearly."""
    half = (size + 1) // 2
    centre = (2 * half - 1 - half % 2) / (2 * half)
    ramp = 1 - (torch.arange(size) / half - centre).abs()
    return ramp[:, None] * ramp[None, :]
