"""What a student learns from its frozen teacher, beside the labels: the two ways that AttTrack compares."""

from typing import Protocol

import torch
from torch import Tensor

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
