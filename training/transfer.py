"""What a student learns from its frozen teacher, beside the labels: the two ways that AttTrack compares."""

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from training.layerwise import attention_loss, attention_of
from training.losses import mimic_loss, tracking_losses
from training.models.decode import PEAKS, decode
from training.models.folded import Folded
from training.models.heads import TrackingNetwork
from training.priors import make_priors
from training.recipe import Recipe
from training.run import Run


class Transfer(Protocol):
    """One way."""

    def losses(self, run: Run, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Run both networks on a batch of `Pairs`; the losses by name, their weighted sum as `total`."""
        ...


class PriorTransfer:
    """The teacher's heatmap of an earlier frame as second input; with IFM, its embeddings of this one as an example."""

    def __init__(self, teacher: TrackingNetwork, recipe: Recipe) -> None:
        self._recipe = recipe
        folded = Folded(teacher).requires_grad_(False).bfloat16()
        self._teacher = folded.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def losses(self, run: Run, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """See `Transfer.losses`. The disturbances of the prior depend on seed and step alone."""
        pixels = _pixels(batch["image"])
        rng = np.random.default_rng((self._recipe.seed, run.step))
        with torch.no_grad():
            decoded = decode(self._teacher(_pixels(batch["key_image"]).bfloat16()), PEAKS)
        gaps, counts = batch["gap"].tolist(), batch["key_count"].tolist()
        boxes, velocity = batch["key_xyxy"].numpy(), batch["key_velocity"].numpy()
        prior = torch.from_numpy(make_priors(decoded, boxes, velocity, counts, gaps, self._recipe, rng))
        maps = run.network(pixels / 255, prior)
        losses = tracking_losses(maps, batch, run.classifier)
        if self._recipe.mapping == "ifm":
            with torch.no_grad():
                example = self._teacher(pixels.bfloat16())["id"]
            losses["mimic"] = mimic_loss(maps["id"], example, batch["cells"], batch["mask"])
            losses["total"] = losses["total"] + self._recipe.mimic * losses["mimic"]
        return losses


class LayerwiseTransfer:
    """The teacher's attention on the same frame as an example, layer by layer; nothing passes between them in use."""

    def __init__(self, teacher: TrackingNetwork) -> None:
        self._teacher = teacher.requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def losses(self, run: Run, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """See `Transfer.losses`."""
        image = _pixels(batch["image"]) / 255
        with torch.no_grad(), attention_of(self._teacher) as theirs:
            self._teacher(image)
        with attention_of(run.network) as ours:
            losses = tracking_losses(run.network(image), batch, run.classifier)
        losses["attention"] = attention_loss(ours, theirs)
        losses["total"] = losses["total"] + losses["attention"]
        return losses


def _pixels(image: Tensor) -> Tensor:
    """Channels last, as a CPU's convolutions in bf16 want them."""
    return image.float().contiguous(memory_format=torch.channels_last)
