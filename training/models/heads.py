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
    """What every network gives; bodies and heads differ."""

    def __init__(self, embedding: int, prior: bool) -> None:
        """`embedding`: channels of `id`; `prior`: whether a prior is the second input."""
        super().__init__()
        self.embedding, self.has_prior = embedding, prior

    def forward(self, image: Tensor, prior: Tensor | None = None) -> dict[str, Tensor]:
        """Raw maps by head name, (B, channels, H/4, W/4); `id` may lie on stride 8.

        image: (B, 3, H, W) RGB in [0, 1]; prior: (B, 1, H/4, W/4) in [0, 1], exactly when the network has one.
        """
        raise NotImplementedError(type(self).__name__)

    def twin(self, prior: bool) -> Self:
        """A fresh network of the same shape, with or without a prior."""
        raise NotImplementedError(type(self).__name__)

    def begun_and_new(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """What to train, in two groups: parameters that a pretrained network brought along, and all others."""
        return [], list(self.parameters())

    def check_prior(self, prior: Tensor | None) -> None:
        """Raises ValueError where a prior came to a network without one, or the reverse."""
        if (prior is not None) != self.has_prior:
            raise ValueError(
                f"network has prior={self.has_prior}, call brought {'a' if prior is not None else 'no'} prior"
            )


class FairMotNetwork(TrackingNetwork):
    """FairMOT's four heads on a body's stride-4 feature."""

    def __init__(self, feature: int, hidden: int, embedding: int, activation: type[nn.Module], prior: bool) -> None:
        """`feature`: channels of the body's output; `hidden`: of the heads' 3x3 convolution; `embedding`: of id."""
        super().__init__(embedding, prior)
        self.feature = feature
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

    def forward(self, image: Tensor, prior: Tensor | None = None) -> dict[str, Tensor]:
        """See `TrackingNetwork.forward`."""
        self.check_prior(prior)
        feature = self.body(image)
        if prior is not None:
            feature = torch.cat((feature, prior.to(feature.dtype)), 1)
        return {name: self.get_submodule(name)(feature) for name in HEADS}


Network = TypeVar("Network", bound=TrackingNetwork)


def with_prior(plain: Network) -> Network:
    """The same network with a prior whose weights are 0, so that its outputs are unchanged at first."""
    student = plain.twin(prior=True)
    state = plain.state_dict()
    for key, grown in student.state_dict().items():
        known = state.get(key)
        if known is None or known.shape != grown.shape:  # the prior's own weights, or one channel more
            state[key] = torch.zeros_like(grown)
            if known is not None:
                state[key][:, :-1] = known
    student.load_state_dict(state)
    return student


def without_prior(student: Network) -> Network:
    """The same network blind to its prior: it answers as the student does to a prior of zeros."""
    plain = student.twin(prior=False)
    state = student.state_dict()
    kept = {}
    for key, value in plain.state_dict().items():
        same = state[key].shape == value.shape
        kept[key] = state[key] if same else state[key][:, :-1]  # the prior is the last of a head's channels
    plain.load_state_dict(kept)
    return plain
