"""FairMOT's losses: focal on the heatmap, L1 on extents and offsets, identity classification."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.models.decode import gather_cells, unit
from training.targets import UNKNOWN

WH_WEIGHT = 0.2
"""AttTrack's 0.1 was set for 1088x608; extents in cells halve at 576x320, so their weight doubles."""
ID_WEIGHT = 0.1
"""Fixed weighting of the identity loss in the same recipe."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What losses are divided by: numbers in all batches of one optimiser step, as float scalars.

    Sums over the parts of a step, each divided by these, add up to the loss of the whole as one batch.
    """

    centres: Tensor
    objects: Tensor
    known: Tensor
    """Objects with an identity."""
    images: Tensor

    @classmethod
    def of(cls, parts: Sequence[Mapping[str, Tensor]]) -> Self:
        """Of batches with the fields of `Targets`."""
        rows = [
            torch.stack(
                (
                    part["heatmap"].eq(1).sum().float(),
                    part["mask"].sum(),
                    _known(part["ids"], part["mask"]).sum().float(),
                    part["mask"].new_tensor(len(part["mask"])),
                )
            )
            for part in parts
        ]
        return cls(*torch.stack(rows).sum(0).unbind())

    @property
    def all(self) -> list[Tensor]:
        """The four, for `Placement.mean`."""
        return [self.centres, self.objects, self.known, self.images]


def focal_loss(logits: Tensor, target: Tensor, ignore: Tensor, centres: Tensor) -> Tensor:
    """Penalty-reduced focal loss, alpha 2, beta 4, over all cells of (B, 1, h, w); divided by the number of centres."""
    p = torch.sigmoid(logits.float()).clamp(1e-4, 1 - 1e-4)
    positive = target.eq(1).float()
    at_centres = (1 - p).square() * p.log() * positive
    elsewhere = (1 - target).pow(4) * p.square() * (1 - p).log() * (1 - positive) * (1 - ignore)
    return -(at_centres.sum() + elsewhere.sum()) / centres.clamp_min(1)


def l1_loss(feature: Tensor, cells: Tensor, target: Tensor, mask: Tensor, objects: Tensor) -> Tensor:
    """Mean absolute error per valid scalar of (B, C, h, w) gathered at cells (B, M), against target (B, M, C)."""
    error = (gather_cells(feature.float(), cells) - target).abs() * mask.unsqueeze(2)
    return error.sum() / (objects * target.shape[2] + 1e-4)


class IdentityClassifier(nn.Module):
    """Linear layer from a scaled unit embedding to identities; its outputs are the pivot features of EFM."""

    def __init__(self, embedding_dim: int, identities: int) -> None:
        super().__init__()
        self.scale = math.sqrt(2) * math.log(max(identities - 1, 2))
        self.linear = nn.Linear(embedding_dim, identities)

    def forward(self, embeddings: Tensor) -> Tensor:
        """(..., D) -> (..., identities) logits."""
        return self.linear(self.scale * unit(embeddings))  # type: ignore[no-any-return]


class PivotFeatures(nn.Module):
    """EFM's (AttTrack section 3.3): (..., D) unit embeddings -> (..., identities) of unit length.

    One identity classifier per network, both onto the same identities, so that teacher and student meet in one space.
    The mean over identities goes out, since logits are free to shift together.
    """

    def __init__(self, classifier: IdentityClassifier) -> None:
        super().__init__()
        self.classifier = classifier
        self.identities = classifier.linear.out_features

    def forward(self, embeddings: Tensor) -> Tensor:
        logits = self.classifier(embeddings)
        return unit(logits - logits.mean(-1, keepdim=True))


def identity_loss(
    feature: Tensor, cells: Tensor, ids: Tensor, mask: Tensor, classifier: IdentityClassifier, known: Tensor
) -> Tensor:
    """Mean cross-entropy over the objects whose identity is known; 0 when a batch has none."""
    here = _known(ids, mask)
    if not here.any():
        return feature.sum() * 0
    embeddings = gather_cells(feature.float(), cells)[here]
    return functional.cross_entropy(classifier(embeddings), ids[here], reduction="sum") / known


def mimic_loss(feature: Tensor, teacher_feature: Tensor, cells: Tensor, mask: Tensor, objects: Tensor) -> Tensor:
    """IFM (AttTrack Eq. 6): squared distance between student's and teacher's unit embeddings at the true centres."""
    ours = unit(gather_cells(feature.float(), cells))
    theirs = unit(gather_cells(teacher_feature.float(), cells))
    return ((ours - theirs).square().sum(2) * mask).sum() / objects.clamp_min(1)


def tracking_losses(
    maps: dict[str, Tensor], target: dict[str, Tensor], classifier: IdentityClassifier, counts: Counts
) -> dict[str, Tensor]:
    """The four losses by head name and their weighted sum `total`; target holds the batched fields of `Targets`."""
    cells, mask = target["cells"], target["mask"]
    losses = {
        "hm": focal_loss(maps["hm"], target["heatmap"], target["ignore"], counts.centres),
        "wh": l1_loss(maps["wh"], cells, target["sides"], mask, counts.objects),
        "reg": l1_loss(maps["reg"], cells, target["offsets"], mask, counts.objects),
        "id": identity_loss(maps["id"], cells, target["ids"], mask, classifier, counts.known),
    }
    losses["total"] = losses["hm"] + WH_WEIGHT * losses["wh"] + losses["reg"] + ID_WEIGHT * losses["id"]
    return losses


def _known(ids: Tensor, mask: Tensor) -> Tensor:
    """(B, M) bool: objects whose identity is known."""
    return (mask > 0) & (ids != UNKNOWN)
