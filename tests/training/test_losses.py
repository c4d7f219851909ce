"""Losses against values worked out by hand."""

import math

import pytest
import torch

from training.losses import (
    Counts,
    IdentityClassifier,
    focal_loss,
    identity_loss,
    l1_loss,
    mimic_loss,
    tracking_losses,
)
from training.targets import UNKNOWN

ONE, TWO = torch.tensor(1.0), torch.tensor(2.0)
NO_REGION = torch.zeros(1, 1, 1, 4)


def logit(*p: float) -> torch.Tensor:
    return torch.logit(torch.tensor(p)).reshape(1, 1, 1, -1)


def test_focal_loss_of_an_empty_image_counts_false_alarms_only() -> None:
    loss = focal_loss(logit(0.5, 0.5, 0.5, 0.5), torch.zeros(1, 1, 1, 4), NO_REGION, 0 * ONE)
    assert loss.item() == pytest.approx(-4 * 0.25 * math.log(0.5))


def test_focal_loss_has_the_known_value() -> None:
    target = torch.tensor([1, 0.8, 0, 1]).reshape(1, 1, 1, 4)
    assert focal_loss(logit(0.9, 0.3, 0.2, 0.6), target, NO_REGION, TWO).item() == pytest.approx(0.0458814, abs=1e-6)


def test_ignored_cells_cost_nothing_unless_they_are_centres() -> None:
    target = torch.tensor([1.0, 0, 0, 0]).reshape(1, 1, 1, 4)
    prediction = logit(0.9, 0.99, 0.99, 0.99)
    everything = torch.ones(1, 1, 1, 4)
    assert focal_loss(prediction, target, everything, ONE).item() == pytest.approx(-0.01 * math.log(0.9), abs=1e-6)


def test_l1_is_the_mean_over_valid_scalars() -> None:
    feature = torch.arange(8, dtype=torch.float32).reshape(1, 2, 2, 2)  # channel 0: 0..3, channel 1: 4..7
    cells, mask = torch.tensor([[3, 0]]), torch.tensor([[1.0, 0.0]])
    target = torch.tensor([[[2.0, 9.0], [50.0, 50.0]]])
    assert l1_loss(feature, cells, target, mask, ONE).item() == pytest.approx((1 + 2) / 2, rel=1e-3)


@pytest.mark.parametrize(("identities", "scale"), [(548, 8.915837), (14455, 13.546365)])
def test_embeddings_are_scaled_by_fairmots_factor(identities: int, scale: float) -> None:
    assert IdentityClassifier(4, identities).scale == pytest.approx(scale, abs=1e-6)


def test_identity_loss_without_known_persons_is_zero_and_differentiable() -> None:
    feature = torch.randn(1, 4, 2, 2, requires_grad=True)
    ids = torch.full((1, 3), UNKNOWN)
    cells, classifier = torch.zeros(1, 3, dtype=torch.int64), IdentityClassifier(4, 5)
    loss = identity_loss(feature, cells, ids, torch.ones(1, 3), classifier, 0 * ONE)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == 0


def test_identity_loss_falls_when_the_right_identity_is_favoured() -> None:
    classifier = IdentityClassifier(2, 2)
    with torch.no_grad():
        classifier.linear.weight.copy_(torch.eye(2))
        classifier.linear.bias.zero_()
    feature = torch.tensor([3.0, 0.0]).reshape(1, 2, 1, 1)
    cells, mask = torch.zeros(1, 1, dtype=torch.int64), torch.ones(1, 1)
    right = identity_loss(feature, cells, torch.tensor([[0]]), mask, classifier, ONE)
    wrong = identity_loss(feature, cells, torch.tensor([[1]]), mask, classifier, ONE)
    assert wrong.item() - right.item() == pytest.approx(classifier.scale, rel=1e-5)


def test_mimicking_ignores_length_and_counts_direction() -> None:
    cells, mask = torch.zeros(1, 1, dtype=torch.int64), torch.ones(1, 1)
    east, north = torch.tensor([2.0, 0.0]).reshape(1, 2, 1, 1), torch.tensor([0.0, 5.0]).reshape(1, 2, 1, 1)
    assert mimic_loss(east, 7 * east, cells, mask, ONE).item() == pytest.approx(0)
    assert mimic_loss(east, north, cells, mask, ONE).item() == pytest.approx(2)


def test_parts_of_a_step_add_up_to_the_loss_of_the_whole() -> None:
    """However persons and identities are spread over the parts."""
    generator = torch.Generator().manual_seed(3)
    maps = {
        name: torch.randn(4, n, 6, 8, generator=generator) for name, n in {"hm": 1, "id": 8, "reg": 2, "wh": 4}.items()
    }
    target = {
        "heatmap": torch.rand(4, 1, 6, 8, generator=generator),
        "ignore": torch.zeros(4, 1, 6, 8),
        "cells": torch.randint(0, 48, (4, 5), generator=generator),
        "offsets": torch.rand(4, 5, 2, generator=generator),
        "sides": torch.rand(4, 5, 4, generator=generator),
        "ids": torch.tensor([[0, 1, 2, 3, 4], [UNKNOWN] * 5, [UNKNOWN, 2, UNKNOWN, 1, 0], [UNKNOWN] * 5]),
        "mask": torch.tensor([[1.0] * 5, [0] * 5, [1, 1, 0, 0, 0], [1, 0, 0, 0, 0]]),
    }
    for row, cell in enumerate(target["cells"]):
        target["heatmap"].view(4, -1)[row, cell[target["mask"][row] > 0]] = 1
    classifier = IdentityClassifier(8, 5)
    whole = tracking_losses(maps, target, classifier, Counts.of([target]))
    halves = [{name: value[rows] for name, value in target.items()} for rows in (slice(0, 2), slice(2, 4))]
    counts = Counts.of(halves)
    parts = [
        tracking_losses({name: value[rows] for name, value in maps.items()}, half, classifier, counts)
        for rows, half in zip((slice(0, 2), slice(2, 4)), halves, strict=True)
    ]
    assert counts.images == 4
    for name, loss in whole.items():
        torch.testing.assert_close(parts[0][name] + parts[1][name], loss)
