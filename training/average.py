"""Exponential moving average of a network's weights: what is exported, calmer than the last step's."""

import copy

import torch
from torch.optim.swa_utils import get_ema_multi_avg_fn

from training.models.heads import TrackingNetwork


class Average:
    """The average of a network's weights and running statistics over its steps. Decay 0: the network itself."""

    def __init__(self, network: TrackingNetwork, decay: float) -> None:
        self.network = copy.deepcopy(network).requires_grad_(False) if decay else network
        self._decay = get_ema_multi_avg_fn(decay) if decay else None  # type: ignore[no-untyped-call]  # torch's, untyped
        pairs = list(zip(self.network.state_dict().values(), network.state_dict().values(), strict=True))
        self._averaged = [pair for pair in pairs if pair[0].is_floating_point()]
        self._copied = [pair for pair in pairs if not pair[0].is_floating_point()]

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights of one more step."""
        if self._decay is None:
            return
        averages, weights = zip(*self._averaged, strict=True)
        self._decay(list(averages), list(weights), None)
        for average, weight in self._copied:
            average.copy_(weight)
