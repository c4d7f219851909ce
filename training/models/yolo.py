"""FairMOT light: the YOLOv5s body up to stride 4 with the heads hm, id, reg, wh; widths 1/2, 1/4, 1/8.

Parameter counts: width 1/2 5,013,703 (the teacher of AttTrack section 3.2, exactly), 1/4 1,259,143, 1/8 317,671;
the prior channel adds 9 weights for every first-head channel and head (+576 at width 1/8). Key names are those of
FairMOT's published `yolo` checkpoints.
"""

import math
from typing import Self

import torch
from torch import Tensor, nn

from training.models.blocks import C3, ConvBlock, Focus, Spp
from training.models.heads import FairMotNetwork


class YoloBody(nn.Module):
    """(B, 3, H, W) RGB in [0, 1] -> (B, 128*width, H/4, W/4). `model` is numbered as in YOLOv5's layer table."""

    def __init__(self, width: float) -> None:
        super().__init__()

        def ch(channels: int) -> int:
            return math.ceil(channels * width / 8) * 8

        layers: list[nn.Module] = [
            Focus(ch(64)),  # 0
            ConvBlock(ch(64), ch(128), 3, 2),  # 1
            C3(ch(128), ch(128)),  # 2 @1/4
            ConvBlock(ch(128), ch(256), 3, 2),  # 3
            C3(ch(256), ch(256), 3),  # 4 @1/8
            ConvBlock(ch(256), ch(512), 3, 2),  # 5
            C3(ch(512), ch(512), 3),  # 6 @1/16
            ConvBlock(ch(512), ch(1024), 3, 2),  # 7
            Spp(ch(1024), ch(1024)),  # 8 @1/32
            C3(ch(1024), ch(1024), 1, shortcut=False),  # 9
            ConvBlock(ch(1024), ch(512)),  # 10
            nn.Upsample(scale_factor=2.0),  # 11
            nn.Identity(),  # 12: concatenation with 6
            C3(2 * ch(512), ch(512), 1, shortcut=False),  # 13 @1/16
            ConvBlock(ch(512), ch(256)),  # 14
            nn.Upsample(scale_factor=2.0),  # 15
            nn.Identity(),  # 16: concatenation with 4
            C3(2 * ch(256), ch(256), 1, shortcut=False),  # 17 @1/8
            ConvBlock(ch(256), ch(128)),  # 18
            nn.Upsample(scale_factor=2.0),  # 19
            nn.Identity(),  # 20: concatenation with 2
            C3(2 * ch(128), ch(128), 1, shortcut=False),  # 21 @1/4
        ]
        self.model = nn.ModuleList(layers)
        self.out_channels = ch(128)

    def forward(self, x: Tensor) -> Tensor:
        m = self.model
        at4: Tensor = m[2](m[1](m[0](x)))
        at8: Tensor = m[4](m[3](at4))
        at16: Tensor = m[6](m[5](at8))
        deep = m[10](m[9](m[8](m[7](at16))))
        mid = m[14](m[13](torch.cat((m[11](deep), at16), 1)))
        fine = m[18](m[17](torch.cat((m[15](mid), at8), 1)))
        return m[21](torch.cat((m[19](fine), at4), 1))  # type: ignore[no-any-return]


class YoloFairMot(FairMotNetwork):
    """FairMOT's `yolo` at a width: heads as wide as the feature, embeddings of 64 unless told otherwise."""

    def __init__(self, width: float, prior: bool = False, embedding: int = 64) -> None:
        backbone = YoloBody(width)
        super().__init__(backbone.out_channels, backbone.out_channels, embedding, nn.SiLU, prior)
        self.width, self.backbone = width, backbone

    def body(self, image: Tensor) -> Tensor:
        """See `FairMotNetwork.body`."""
        return self.backbone(image)  # type: ignore[no-any-return]

    def twin(self, prior: bool) -> Self:
        """See `TrackingNetwork.twin`."""
        return type(self)(self.width, prior, self.embedding)
