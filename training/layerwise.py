"""Layerwise attention transfer, the baseline that AttTrack compares itself with (Zagoruyko and Komodakis, 2017)."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn
from torch.nn import functional

from training.models.dla import DlaFairMot
from training.models.heads import TrackingNetwork
from training.models.yolo import YoloFairMot

YOLO_LAYERS = (2, 4, 6, 9, 21)
"""Of the body's table: the last maps at strides 4, 8, 16 and 32 on the way down, and the feature of the heads."""


def attended_layers(network: TrackingNetwork) -> list[nn.Module]:
    """Layers at strides 4, 8, 16, 32 and the feature of the heads; alike in number and stride for every network."""
    if isinstance(network, YoloFairMot):
        return [network.backbone.model[index] for index in YOLO_LAYERS]
    if isinstance(network, DlaFairMot):
        return [*(network.base.get_submodule(f"level{level}") for level in (2, 3, 4, 5)), network.ida_up]
    raise TypeError(f"do not know the layers of a {type(network).__name__}")


@contextmanager
def attention_of(network: TrackingNetwork) -> Iterator[list[Tensor]]:
    """Collect the attention maps of the forward pass that happens inside: (B, cells) each, unit length."""
    maps: list[Tensor] = []

    def keep(_: nn.Module, __: object, output: Tensor | list[Tensor]) -> None:
        feature = output[-1] if isinstance(output, list) else output
        maps.append(functional.normalize(feature.float().square().mean(1).flatten(1)))

    handles = [layer.register_forward_hook(keep) for layer in attended_layers(network)]
    try:
        yield maps
    finally:
        for handle in handles:
            handle.remove()


def attention_loss(ours: list[Tensor], theirs: list[Tensor], images: Tensor) -> Tensor:
    """Squared distance between the attention maps of student and teacher, summed over layers, divided by `images`.

    The published code takes the mean over cells times 1000, which at stride 4 of a 1088x608 input makes the term
    vanish; the sum over cells weighs all layers alike.
    """
    return sum(((a - b).square().sum() for a, b in zip(ours, theirs, strict=True)), start=images.new_zeros(())) / images
