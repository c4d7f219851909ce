"""The dense losses against sums done by hand."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from training.dense import answered_losses, basis_of, box_loss, distil_losses, giou, look_losses, score_loss
from training.losses import Counts
from training.models.pyramid import centred
from training.targets import make_targets

PLACE, SIDE = st.floats(-20, 20), st.floats(0.5, 20)
BOX = st.tuples(PLACE, PLACE, SIDE, SIDE).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))
NOTHING = np.zeros((0, 4), np.float32)


def batch(xyxy: list[list[float]], scores: list[float] | None = None) -> dict[str, torch.Tensor]:
    """Targets of one picture of 8 x 12 cells, as a batch of one."""
    boxes = np.array(xyxy, np.float32).reshape(-1, 4)
    sure = None if scores is None else np.array(scores, np.float32)
    targets = make_targets(boxes, np.arange(len(boxes)), NOTHING, (8, 12), sure)
    names = ("heatmap", "ignore", "cells", "offsets", "sides", "ids", "mask", "owners", "looks")
    return {name: torch.from_numpy(getattr(targets, name))[None] for name in names}


def objects(target: dict[str, torch.Tensor]) -> torch.Tensor:
    return target["mask"].sum()


def exact_maps(target: dict[str, torch.Tensor], xyxy: list[float]) -> dict[str, torch.Tensor]:
    """Maps that give one box, in cells, from every cell."""
    y, x = torch.meshgrid(torch.arange(8.0), torch.arange(12.0), indexing="ij")
    left, top, right, bottom = xyxy
    sides = torch.stack((x - left, y - top, right - x, bottom - y))[None]
    return centred(sides)


@given(BOX, BOX)
def test_giou_is_overlap_less_the_empty_share_of_the_hull(a: tuple[float, ...], b: tuple[float, ...]) -> None:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    shared = width * height
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    hull = (max(a[2], b[2]) - min(a[0], b[0])) * (max(a[3], b[3]) - min(a[1], b[1]))
    found = giou(torch.tensor([a], dtype=torch.float64), torch.tensor([b], dtype=torch.float64))
    assert found.item() == pytest.approx(shared / union - (hull - union) / hull, abs=1e-9)
    assert -1 <= found.item() <= 1


def test_a_picture_of_nobody_costs_only_what_is_called_somebody() -> None:
    target = batch([])
    nobody = torch.full((1, 1, 8, 12), -20.0)
    assert score_loss(nobody, target, objects(target)).item() < 1e-12
    assert score_loss(nobody + 25, target, objects(target)).item() > 1
    maps = centred(torch.ones(1, 4, 8, 12))
    args = (target["owners"], target["cells"], target["sides"], target["offsets"], objects(target))
    assert box_loss(maps, *args).item() == 0


@pytest.mark.parametrize("score", [0.3, 0.7, 1.0])
def test_a_score_costs_nothing_where_it_is_as_high_as_the_label(score: float) -> None:
    target = batch([[3, 1, 6, 7]], [score])
    cell = int(target["cells"][0, 0])

    def loss(p: float) -> float:
        logits = torch.full((1, 1, 8, 12), -20.0)
        logits.view(-1)[cell] = math.log(p / (1 - p))
        return score_loss(logits, target, objects(target)).item()

    costs = {p: loss(p) for p in (0.05, 0.3, 0.7, 0.9999)}
    assert min(costs, key=costs.__getitem__) == min(costs, key=lambda p: abs(p - score))
    assert loss(min(score, 0.9999)) < 1e-4


def test_ignored_cells_cost_nothing() -> None:
    target = batch([])
    target["ignore"][:, :, :4] = 1
    logits = torch.full((1, 1, 8, 12), -20.0)
    logits[:, :, :4] = 5
    assert score_loss(logits, target, objects(target)).item() < 1e-12


def test_the_true_box_from_every_cell_costs_nothing_and_each_person_counts_alike() -> None:
    box = [2.25, 1.0, 6.75, 7.5]
    target = batch([box])
    args = (target["owners"], target["cells"], target["sides"], target["offsets"], objects(target))
    assert (target["owners"] >= 0).sum() > 1, "several cells learn the box"
    assert box_loss(exact_maps(target, box), *args).item() == pytest.approx(0, abs=1e-5)
    wrong = [2.25, 1.0, 6.75, 4.25]  # half of it
    assert box_loss(exact_maps(target, wrong), *args).item() == pytest.approx(0.5, abs=1e-5)


def test_looks_that_nobody_knows_cost_nothing() -> None:
    embedded = torch.nn.functional.normalize(torch.rand(1, 3, 4), dim=2)
    unknown = torch.full((1, 3, 8), torch.nan)
    assert all(
        loss.item() == 0 for loss in look_losses(embedded, unknown, torch.ones(1, 3), torch.eye(8)[:, :4]).values()
    )
    known = torch.nn.functional.normalize(torch.rand(1, 3, 8), dim=2)
    losses = look_losses(embedded, known, torch.zeros(1, 3), torch.eye(8)[:, :4])
    assert all(loss.item() == 0 for loss in losses.values())


def test_embeddings_that_are_the_looks_seen_through_the_basis_cost_nothing() -> None:
    looks = torch.zeros(1, 3, 8)
    looks[0, :, :4] = torch.nn.functional.normalize(torch.randn(3, 4), dim=1)
    embedded, basis = looks[..., :4], torch.eye(8)[:, :4]
    losses = look_losses(embedded, looks, torch.ones(1, 3), basis)
    assert losses["look"].item() == pytest.approx(0, abs=1e-6)
    assert losses["alike"].item() == pytest.approx(0, abs=1e-6)
    turned = look_losses(embedded.roll(1, 2), looks, torch.ones(1, 3), basis)
    assert turned["look"].item() > 0.01
    assert turned["alike"].item() == pytest.approx(0, abs=1e-6), "a turn keeps all likenesses"


def test_the_basis_is_orthonormal_and_holds_what_looks_differ_in() -> None:
    looks = torch.randn(50, 3) @ torch.randn(3, 8)
    basis = basis_of(looks, 3)
    torch.testing.assert_close(basis.T @ basis, torch.eye(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(looks @ basis @ basis.T, looks, atol=1e-4, rtol=1e-4)


def test_a_student_that_answers_as_its_teacher_has_nothing_to_learn_from_it() -> None:
    generator = torch.Generator().manual_seed(0)
    target = batch([[3, 1, 6, 7]])
    maps = {
        "hm": torch.full((1, 1, 8, 12), -12.0),
        "id": torch.randn(1, 5, 4, 6, generator=generator),
        **centred(torch.rand(1, 4, 8, 12, generator=generator) + 1),
    }
    maps["hm"][0, 0, 4, 4] = 12
    counts = Counts.of([target])
    same = distil_losses(maps, {name: value.clone() for name, value in maps.items()}, target, counts)
    for name in ("heat", "distilled_box", "look"):
        assert same[name].item() == pytest.approx(0, abs=1e-4), name
    other = {**maps, "id": -maps["id"], "wh": maps["wh"] * 2, "hm": -maps["hm"]}
    apart = distil_losses(other, maps, target, counts)
    assert apart["look"].item() == pytest.approx(2, abs=1e-4)
    assert apart["distilled_box"].item() > 0.5
    assert apart["heat"].item() > 1
    assert apart["total"].item() > same["total"].item()


def test_a_teacher_that_sees_nobody_teaches_no_boxes() -> None:
    target = batch([])
    maps = {"hm": torch.full((1, 1, 8, 12), -12.0), "id": torch.ones(1, 5, 4, 6), **centred(torch.ones(1, 4, 8, 12))}
    losses = distil_losses(maps, maps, target, Counts.of([target]))
    assert losses["distilled_box"].item() == losses["look"].item() == 0


def test_a_kept_answer_teaches_the_heatmap_that_it_is_and_the_looks_of_who_is_labelled() -> None:
    generator = torch.Generator().manual_seed(0)
    target = batch([[3, 1, 6, 7]])
    wanted = torch.rand(1, 1, 8, 12, generator=generator) * 0.9 + 0.05
    maps = {
        "hm": torch.logit(wanted),
        "id": torch.randn(1, 5, 4, 6, generator=generator),
        **exact_maps(target, [3, 1, 6, 7]),
    }
    cell = int(target["cells"][0, 0])
    y, x = cell // 12 // 2, cell % 12 // 2
    looks = torch.full((1, len(target["mask"][0]), 5), float("nan"))
    looks[0, 0] = maps["id"][0, :, y, x] / maps["id"][0, :, y, x].norm()
    counts = Counts.of([target])
    same = answered_losses(maps, target | {"wanted": wanted, "looks": looks}, counts)
    for name in ("heat", "look", "box"):
        assert same[name].item() == pytest.approx(0, abs=1e-4), name
    apart = answered_losses(maps, target | {"wanted": 1 - wanted, "looks": -looks}, counts)
    assert apart["look"].item() == pytest.approx(2, abs=1e-4) and apart["heat"].item() > 0.1
    unknown = answered_losses(maps, target | {"wanted": wanted, "looks": looks[..., :0]}, counts)
    assert "look" not in unknown and unknown["total"].item() <= same["total"].item() + 1e-4
