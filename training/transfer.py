"""What a student learns from its frozen teacher, beside the labels: the two ways that AttTrack compares."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor

from training.dense import distil_losses
from training.layerwise import attention_loss, attention_of
from training.losses import Counts, mimic_loss, tracking_losses
from training.models.decode import PEAKS, decode
from training.models.folded import Folded
from training.models.heads import TrackingNetwork
from training.priors import Draws, make_priors
from training.run import Batch, Run


class Transfer(Protocol):
    """One way."""

    def losses(self, run: Run, batch: Batch, counts: Counts) -> dict[str, Tensor]:
        """Run both networks on a batch of `Pairs`; the losses by name, their weighted sum as `total`."""
        ...


class PriorTransfer:
    """The teacher's heatmap of an earlier frame as second input; with IFM, its embeddings of this one as an example."""

    def __init__(self, teacher: TrackingNetwork, device: torch.device) -> None:
        folded = Folded(teacher).requires_grad_(False).bfloat16()
        self._teacher = folded.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def losses(self, run: Run, batch: Batch, counts: Counts) -> dict[str, Tensor]:
        """See `Transfer.losses`. A sample's prior depends on the recipe's seed and the sample's number alone."""
        image, recipe = pixels(batch["image"]), run.recipe
        with torch.no_grad():
            decoded = decode(self._teacher(pixels(batch["key_image"]).bfloat16()), PEAKS)
        draws = Draws.of(recipe.seed, batch["index"].tolist(), PEAKS, image.device)
        motion = batch["key_xyxy"], batch["key_velocity"], batch["key_count"], batch["gap"]
        prior = make_priors(decoded, *motion, recipe, draws)
        with run.place.autocast():
            maps = run.network(image / 255, prior)
        losses = tracking_losses(maps, batch, run.classifier, counts)
        if recipe.mapping == "ifm":
            with torch.no_grad():
                example = self._teacher(image.bfloat16())["id"]
            losses["mimic"] = mimic_loss(maps["id"], example, batch["cells"], batch["mask"], counts.objects)
            losses["total"] = losses["total"] + recipe.mimic * losses["mimic"]
        return losses


class DenseTransfer:
    """The pyramid pair's way: all that the teacher answers, at every cell; with the student's prior or without."""

    def __init__(self, teacher: TrackingNetwork, device: torch.device) -> None:
        self._teacher = teacher.requires_grad_(False).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def losses(self, run: Run, batch: Batch, counts: Counts) -> dict[str, Tensor]:
        """See `Transfer.losses`."""
        image, recipe = pixels(batch["image"]) / 255, run.recipe
        prior = None
        with run.place.autocast():
            with torch.no_grad(), features_of(self._teacher) as theirs:
                example = self._teacher(image)
            if run.network.has_prior:
                with torch.no_grad():
                    decoded = decode(self._teacher(pixels(batch["key_image"]) / 255), PEAKS)
                draws = Draws.of(recipe.seed, batch["index"].tolist(), PEAKS, image.device)
                motion = batch["key_xyxy"], batch["key_velocity"], batch["key_count"], batch["gap"]
                prior = make_priors(decoded, *motion, recipe, draws)
            with features_of(run.network) as ours:
                maps = run.network(image, prior)
        losses = distil_losses(maps, example, batch, counts)
        losses["seen"] = likeness_loss(ours, theirs)
        losses["total"] = losses["total"] + losses["seen"]
        return losses


class BodyTransfer:
    """What the pyramid pair's bodies see alike, and nothing else: how a student's fresh stem begins."""

    def __init__(self, teacher: TrackingNetwork, device: torch.device) -> None:
        self._teacher = teacher.requires_grad_(False).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def losses(self, run: Run, batch: Batch, counts: Counts) -> dict[str, Tensor]:
        """See `Transfer.losses`."""
        image = pixels(batch["image"]) / 255
        with run.place.autocast():
            with torch.no_grad(), features_of(self._teacher) as theirs:
                self._teacher(image)
            with features_of(run.network) as ours:
                run.network(image)
        return {"total": likeness_loss(ours, theirs)}


def likeness_loss(ours: list[Tensor], theirs: list[Tensor]) -> Tensor:
    """Squared distance of features, as a share of the teacher's own square, summed over modules; 0 where alike."""
    pairs = [(a.float(), b.float()) for a, b in zip(ours, theirs, strict=True)]
    return torch.stack([(a - b).square().mean() / b.square().mean() for a, b in pairs]).sum()


@contextmanager
def features_of(network: TrackingNetwork) -> Iterator[list[Tensor]]:
    """What the modules that teacher and student have alike give while the block runs, finest first."""
    seen: list[Tensor] = []
    hooks = [module.register_forward_hook(lambda _, __, out: seen.append(out)) for module in network.shared()]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


class LayerwiseTransfer:
    """The teacher's attention on the same frame as an example, layer by layer; nothing passes between them in use."""

    def __init__(self, teacher: TrackingNetwork, device: torch.device) -> None:
        frozen = teacher.requires_grad_(False)
        self._teacher = frozen.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def losses(self, run: Run, batch: Batch, counts: Counts) -> dict[str, Tensor]:
        """See `Transfer.losses`."""
        image = pixels(batch["image"]) / 255
        with run.place.autocast():
            with torch.no_grad(), attention_of(self._teacher) as theirs:
                self._teacher(image)
            with attention_of(run.network) as ours:
                maps = run.network(image)
        losses = tracking_losses(maps, batch, run.classifier, counts)
        losses["attention"] = attention_loss(ours, theirs, counts.images)
        losses["total"] = losses["total"] + losses["attention"]
        return losses


def pixels(image: Tensor) -> Tensor:
    """uint8 (B, 3, H, W) as float32, channels last, as convolutions in bf16 want them."""
    return image.float().contiguous(memory_format=torch.channels_last)
