"""FairMOT's four heads on a stride-4 feature, with or without the prior as one more channel (AttTrack, Eq. 4)."""

from abc import abstractmethod
from typing import Self, TypeVar

import torch
from torch import Tensor, nn

HEADS = ("hm", "id", "reg", "wh")
"""Centre logit, embedding, centre offset in its cell, distances left/top/right/bottom in cells."""
RARE = -2.19
"""Bias that makes a fresh network call one cell in ten a centre (focal loss, FairMOT)."""


class TrackingNetwork(nn.Module):
    """A body and the heads. Bodies differ; what goes in and comes out does not."""

    def __init__(self, feature: int, hidden: int, embedding: int, activation: type[nn.Module], prior: bool) -> None:
        """`feature`: channels of the body's output; `hidden`: of the heads' 3x3 convolution; `embedding`: of id."""
        super().__init__()
        self.feature, self.has_prior, self.embedding = feature, prior, embedding
        for name, outputs in self.outputs.items():
            first = nn.Conv2d(feature + prior, hidden, 3, padding=1)
            last = nn.Conv2d(hidden, outputs, 1)
            nn.init.constant_(last.bias, RARE if name == "hm" else 0.0)  # type: ignore[arg-type]
            self.add_module(name, nn.Sequential(first, activation(inplace=True), last))

    @property
    def outputs(self) -> dict[str, int]:
        """Channels by head."""
        return {"hm": 1, "id": self.embedding, "reg": 2, "wh": 4}

    @abstractmethod
    def body(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) RGB in [0, 1] -> (B, feature, H/4, W/4)."""

    @abstractmethod
    def twin(self, prior: bool) -> Self:
        """A fresh network of the same shape, with or without a prior."""

    def forward(self, image: Tensor, prior: Tensor | None = None) -> dict[str, Tensor]:
        """Raw maps by head name, each (B, outputs, H/4, W/4).

        image: (B, 3, H, W) RGB in [0, 1]; prior: (B, 1, H/4, W/4) in [0, 1], exactly when the network has one.
        """
        if (prior is not None) != self.has_prior:
            raise ValueError(
                f"network has prior={self.has_prior}, call brought {'a' if prior is not None else 'no'} prior"
            )
        feature = self.body(image)
        if prior is not None:
            feature = torch.cat((feature, prior.to(feature.dtype)), 1)
        return {name: self.get_submodule(name)(feature) for name in HEADS}


Network = TypeVar("Network", bound=TrackingNetwork)


def with_prior(plain: Network) -> Network:
    """The same network with a prior channel whose weights are 0, so that its outputs are unchanged at first."""
    student = plain.twin(prior=True)
    state = plain.state_dict()
    for name in HEADS:
        key = f"{name}.0.weight"
        grown = torch.zeros_like(student.state_dict()[key])
        grown[:, :-1] = state[key]
        state[key] = grown
    student.load_state_dict(state)
    return student
