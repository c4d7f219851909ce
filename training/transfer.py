"""What a student learns from its frozen teacher, beside the labels: the two ways that AttTrack compares."""

from typing import Protocol

import torch
from torch import Tensor

from training.dense import answered_losses, distil_losses
from training.fog import fogged
from training.layerwise import attention_loss, attention_of
from training.losses import Counts, mimic_loss, tracking_losses
from training.models.decode import PEAKS, Decoded, decode
from training.models.folded import Folded
from training.models.heads import TrackingNetwork
from training.placement import Placement
from training.priors import Draws, make_priors
from training.run import Batch, Run


class Transfer(Protocol):
    """One way."""

    def losses(self, run: Run, batch: Batch, counts: Counts) -> dict[str, Tensor]:
        """Run both networks on a batch of `Pairs`; the losses by name, their weighted sum as `total`."""
        ...


class PriorTransfer:
    """The teacher's heatmap of an earlier frame as second input; with IFM, its embeddings of this one as an example."""

    def __init__(self, teacher: TrackingNetwork, place: Placement) -> None:
        folded = Folded(teacher).requires_grad_(False).to(place.dtype)
        self._teacher = folded.to(place.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def losses(self, run: Run, batch: Batch, counts: Counts) -> dict[str, Tensor]:
        """See `Transfer.losses`. A sample's prior depends on the recipe's seed and the sample's number alone."""
        image, recipe = pixels(batch["image"]), run.recipe
        with torch.no_grad():
            decoded = decode(self._teacher(pixels(batch["key_image"]).to(run.place.dtype)), PEAKS)
        draws = Draws.of(recipe.seed, batch["index"].tolist(), PEAKS, image.device)
        motion = batch["key_xyxy"], batch["key_velocity"], batch["key_count"], batch["gap"]
        prior = make_priors(decoded, *motion, recipe, draws)
        with run.place.autocast():
            maps = run.network(image / 255, prior)
        losses = tracking_losses(maps, batch, run.classifier, counts)
        if recipe.mapping == "ifm":
            with torch.no_grad():
                example = self._teacher(image.to(run.place.dtype))["id"]
            losses["mimic"] = mimic_loss(maps["id"], example, batch["cells"], batch["mask"], counts.objects)
            losses["total"] = losses["total"] + recipe.mimic * losses["mimic"]
        return losses


class DenseTransfer:
    """The pyramid pair's way: all that the teacher answers, at every cell; with the student's prior or without."""

    def __init__(self, teacher: TrackingNetwork, place: Placement) -> None:
        self._teacher = teacher.requires_grad_(False).to(place.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def losses(self, run: Run, batch: Batch, counts: Counts) -> dict[str, Tensor]:
        """See `Transfer.losses`."""
        image, recipe = pixels(batch["image"]) / 255, run.recipe
        prior = None
        with run.place.autocast():
            with torch.no_grad():
                example = self._teacher(image)
                if run.network.has_prior:
                    seen = self._seen_before(decode(example, PEAKS), batch)
                    draws = Draws.of(recipe.seed, batch["index"].tolist(), PEAKS, image.device)
                    motion = batch["key_xyxy"], batch["key_velocity"], batch["key_count"], batch["gap"]
                    prior = make_priors(seen, *motion, recipe, draws, batch["arrived"])
            if recipe.fog:
                image = fogged(image, recipe.fog, recipe.seed, batch["index"].tolist())
            maps = run.network(image, prior)
        return distil_losses(maps, example, batch, counts)

    def _seen_before(self, now: Decoded, batch: Batch) -> Decoded:
        """What the teacher says to the keyframes; where there is none (`arrived`), what it says now."""
        earlier = ~batch["arrived"]
        if not earlier.any():
            return now
        key = decode(self._teacher(pixels(batch["key_image"][earlier]) / 255), PEAKS)
        for name in ("heatmap", "points", "boxes", "scores", "embeddings"):
            getattr(now, name)[earlier] = getattr(key, name)
        return now


class AnsweredTransfer:
    """A teacher that is not at hand: what it said about the pictures and their keyframes is in the batch."""

    def losses(self, run: Run, batch: Batch, counts: Counts) -> dict[str, Tensor]:
        """See `Transfer.losses`; the batch is of `AnsweredPairs`."""
        scores = batch["key_scores"]
        nobody = scores.new_zeros((*scores.shape, 0))
        seen = Decoded(batch["key_heatmap"], batch["key_points"], batch["key_boxes"], scores, nobody)
        draws = Draws.of(run.recipe.seed, batch["index"].tolist(), scores.shape[1], scores.device)
        motion = batch["key_xyxy"], batch["key_velocity"], batch["key_count"], batch["gap"]
        prior = make_priors(seen, *motion, run.recipe, draws)
        with run.place.autocast():
            maps = run.network(pixels(batch["image"]) / 255, prior)
        return answered_losses(maps, batch, counts)


class LayerwiseTransfer:
    """The teacher's attention on the same frame as an example, layer by layer; nothing passes between them in use."""

    def __init__(self, teacher: TrackingNetwork, place: Placement) -> None:
        frozen = teacher.requires_grad_(False)
        self._teacher = frozen.to(place.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

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
