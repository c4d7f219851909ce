"""Losses of the pyramid pair: scores as high as labels are sure, boxes by their overlap, embeddings like an example.

Where FairMOT's losses look at centres alone, boxes are learnt at every cell around a centre (GIoU), which is what makes
them sit well; and embeddings from an appearance network, which has seen more people than any tracking set holds.
"""

import torch
from torch import Tensor
from torch.nn import functional

from training.losses import Counts, IdentityClassifier, identity_loss
from training.models.decode import at_width, gather_cells, unit

BOX, LOOK, ALIKE, IDENTITY = 2.0, 2.0, 4.0, 0.1
"""Weights beside the score's 1: GIoU, distance to the example, difference of all likenesses, identities."""

HEAT, DISTILLED_BOX, MIMIC = 2.0, 2.0, 4.0
"""Of a student, beside the labels' score and GIoU with 1 each."""
PLAIN = 0.15
"""Score from which the teacher's boxes and embeddings are worth copying."""


def pyramid_losses(
    maps: dict[str, Tensor],
    target: dict[str, Tensor],
    classifier: IdentityClassifier | None,
    counts: Counts,
    basis: Tensor,
) -> dict[str, Tensor]:
    """Losses by name and their weighted sum `total`; target holds the batched fields of `Targets`.

    basis (LOOKS, D): from the labels' looks to the embedding, with orthonormal columns.
    """
    cells = at_width(target["cells"], maps["hm"].shape[3], maps["id"].shape[3])
    embedded = unit(gather_cells(maps["id"].float(), cells))
    losses = {
        "hm": score_loss(maps["hm"], target, counts.objects),
        "box": box_loss(maps, target["owners"], target["cells"], target["sides"], target["offsets"], counts.objects),
        **look_losses(embedded, target["looks"], target["mask"], basis),
    }
    losses["total"] = losses["hm"] + BOX * losses["box"] + LOOK * losses["look"] + ALIKE * losses["alike"]
    if classifier is not None and classifier.linear.out_features:
        losses["id"] = identity_loss(maps["id"], cells, target["ids"], target["mask"], classifier, counts.known)
        losses["total"] = losses["total"] + IDENTITY * losses["id"]
    return losses


def score_loss(logits: Tensor, target: dict[str, Tensor], objects: Tensor) -> Tensor:
    """FairMOT's focal loss for centres that need not be sure: at a centre, cross-entropy to its own score.

    Elsewhere the penalty is reduced by how high the Gaussian is, as always. Divided by the number of objects.
    """
    logits = logits.float()
    wanted, ignore = target["heatmap"], target["ignore"]
    p = torch.sigmoid(logits)
    centre = torch.zeros_like(wanted).flatten(1)
    rows = target["mask"] > 0
    sample = rows.nonzero()[:, 0]
    centre[sample, target["cells"][rows]] = 1
    centre = centre.view_as(wanted)
    entropy = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    at_centres = (wanted - p).abs().square() * entropy * centre * 4
    elsewhere = (1 - wanted).pow(4) * p.square() * functional.softplus(logits) * (1 - centre) * (1 - ignore)
    return (at_centres.sum() + elsewhere.sum()) / objects.clamp_min(1)


def box_loss(
    maps: dict[str, Tensor], owners: Tensor, cells: Tensor, sides: Tensor, offsets: Tensor, objects: Tensor
) -> Tensor:
    """1 - GIoU at every owned cell, each object's cells counting one in all; divided by the number of objects."""
    width = owners.shape[3]
    sample, _, y, x = (owners >= 0).nonzero().unbind(1)
    row = owners[sample, 0, y, x].long()
    place = torch.stack((x, y), 1).float()
    centre = place + maps["reg"][sample, :, y, x].float()
    reach = maps["wh"][sample, :, y, x].float()
    found = torch.cat((centre - reach[:, :2], centre + reach[:, 2:]), 1)
    true_cell = cells[sample, row]
    true_centre = torch.stack((true_cell % width, true_cell // width), 1) + offsets[sample, row]
    true_reach = sides[sample, row]
    true = torch.cat((true_centre - true_reach[:, :2], true_centre + true_reach[:, 2:]), 1)
    key = sample * cells.shape[1] + row
    each = torch.zeros(owners.shape[0] * cells.shape[1], device=owners.device).scatter_add_(
        0, key, torch.ones_like(reach[:, 0])
    )
    return ((1 - giou(found, true)) / each[key]).sum() / objects.clamp_min(1)


def giou(a: Tensor, b: Tensor) -> Tensor:
    """Generalised overlap of boxes (n, 4) xyxy, row by row, in -1..1."""
    shared = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp_min(0).prod(1)
    areas = (a[:, 2:] - a[:, :2]).clamp_min(0).prod(1) + (b[:, 2:] - b[:, :2]).prod(1)
    union = (areas - shared).clamp_min(1e-6)
    hull = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).prod(1).clamp_min(1e-6)
    return shared / union - (hull - union) / hull


def look_losses(embedded: Tensor, looks: Tensor, mask: Tensor, basis: Tensor) -> dict[str, Tensor]:
    """How far embeddings (B, M, D), unit length, are from the labels' looks (B, M, LOOKS) seen through `basis`.

    `look`: 1 - cosine to each one's example; `alike`: squared difference between the likenesses of all to all.
    """
    known = (mask > 0) & looks[..., 0].isfinite()
    ours, theirs = embedded[known], looks[known].float()
    if len(ours) == 0:
        nothing = embedded.sum() * 0
        return {"look": nothing, "alike": nothing}
    example = unit(theirs @ basis)
    look = (1 - (ours * example).sum(1)).mean()
    alike = (ours @ ours.T - theirs @ theirs.T).square().mean()
    return {"look": look, "alike": alike}


def distil_losses(
    maps: dict[str, Tensor], example: dict[str, Tensor], batch: dict[str, Tensor], counts: Counts
) -> dict[str, Tensor]:
    """What the student should learn from the teacher's answer to the same picture, everywhere, and from the labels.

    A teacher has an opinion on each cell, labels on a few; and it has one on pictures that nobody labelled.
    """
    wanted = torch.sigmoid(example["hm"].float())
    heat = heat_loss(maps["hm"], wanted)
    sample, _, y, x = (wanted > PLAIN).nonzero().unbind(1)
    weight = wanted[sample, 0, y, x]
    boxes = [
        torch.cat((-near[:, :2], near[:, 2:]), 1) + network["reg"][sample, :, y, x].float().repeat(1, 2)
        for network in (maps, example)
        for near in (network["wh"][sample, :, y, x].float(),)
    ]
    box = ((1 - giou(*boxes)) * weight).sum() / weight.sum().clamp_min(1)
    step = wanted.shape[3] // maps["id"].shape[3]
    ours, theirs = (unit(network["id"][sample, :, y // step, x // step].float()) for network in (maps, example))
    look = ((1 - (ours * theirs).sum(1)) * weight).sum() / weight.sum().clamp_min(1)
    truth = score_loss(maps["hm"], batch, counts.objects)
    placed = box_loss(maps, batch["owners"], batch["cells"], batch["sides"], batch["offsets"], counts.objects)
    losses = {"hm": truth, "box": placed, "heat": heat, "distilled_box": box, "look": look}
    losses["total"] = truth + placed + HEAT * heat + DISTILLED_BOX * box + MIMIC * look
    return losses


def answered_losses(maps: dict[str, Tensor], batch: dict[str, Tensor], counts: Counts) -> dict[str, Tensor]:
    """As `distil_losses`, where the teacher's answer is what was kept of it: its heatmap, and looks of labelled people.

    batch: fields of `Targets`, and `wanted` (B, 1, h, w) the teacher's heatmap. Looks are of the embedding's length.
    """
    heat = heat_loss(maps["hm"], batch["wanted"])
    truth = score_loss(maps["hm"], batch, counts.objects)
    placed = box_loss(maps, batch["owners"], batch["cells"], batch["sides"], batch["offsets"], counts.objects)
    losses = {"hm": truth, "box": placed, "heat": heat}
    losses["total"] = truth + (1 + DISTILLED_BOX) * placed + HEAT * heat
    if batch["looks"].shape[2] == maps["id"].shape[1]:
        cells = at_width(batch["cells"], maps["hm"].shape[3], maps["id"].shape[3])
        embedded = unit(gather_cells(maps["id"].float(), cells))
        same = torch.eye(embedded.shape[2], device=embedded.device)
        losses |= look_losses(embedded, batch["looks"], batch["mask"], same)
        losses["total"] = losses["total"] + MIMIC * losses["look"] + ALIKE * losses["alike"]
    return losses


def heat_loss(logits: Tensor, wanted: Tensor) -> Tensor:
    """Cross-entropy to a teacher's heatmap (B, 1, h, w), weighed by how far off it is, for each unit of its mass."""
    logits = logits.float()
    entropy = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    return ((wanted - torch.sigmoid(logits)).abs() * entropy).sum() / wanted.sum().clamp_min(1)


def basis_of(looks: Tensor, dimension: int) -> Tensor:
    """(LOOKS, D) the directions in which looks (n, LOOKS) differ most from nothing, orthonormal."""
    basis: Tensor = torch.linalg.svd(looks.float(), full_matrices=False).Vh[:dimension].T.contiguous()
    return basis
