"""Attention transfer between any two networks."""

import pytest
import torch

from training.layerwise import attended_layers, attention_loss, attention_of
from training.models.dla import DlaFairMot
from training.models.yolo import YoloFairMot


def test_a_network_of_unknown_kind_is_refused() -> None:
    with pytest.raises(TypeError, match="Linear"):
        attended_layers(torch.nn.Linear(1, 1))


def test_maps_of_a_deep_and_a_light_network_fit_each_other() -> None:
    image = torch.rand(2, 3, 64, 96)
    teacher, student = DlaFairMot(0.125).eval(), YoloFairMot(0.125)
    with attention_of(teacher) as theirs, torch.no_grad():
        teacher(image)
    with attention_of(student) as ours:
        student(image)
    cells = [24 * 16, 12 * 8, 6 * 4, 3 * 2, 24 * 16]
    assert [tuple(one.shape) for one in ours] == [tuple(one.shape) for one in theirs] == [(2, n) for n in cells]
    loss = attention_loss(ours, theirs, torch.tensor(2.0))
    loss.backward()
    assert 0 < loss.item() <= 2 * len(cells)
    assert student.backbone.model[0].conv.conv.weight.grad.abs().sum() > 0


def test_a_network_has_no_distance_to_itself_and_leaves_no_hook_behind() -> None:
    network = YoloFairMot(0.125).eval()
    image = torch.rand(1, 3, 64, 64)
    with attention_of(network) as first:
        network(image)
    with attention_of(network) as second:
        network(image)
    assert attention_loss(first, second, torch.tensor(1.0)).item() == 0
    network(image)
    assert len(first) == len(second) == 5
