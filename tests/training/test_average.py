"""The average of a network's weights."""

import torch

from training.average import Average
from training.models.networks import build_network


def stepped(decay: float) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], Average]:
    """State before and after a step that adds 1 to everything, and the average over it."""
    network = build_network("yolo-1/8")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    average = Average(network, decay)
    with torch.no_grad():
        for value in network.state_dict().values():
            value += 1
    average.update()
    return before, network.state_dict(), average


def test_it_moves_by_its_decay_and_counts_are_copied() -> None:
    before, after, average = stepped(0.9)
    found = average.network.state_dict()
    for name, value in before.items():
        expected = value + 0.1 if value.is_floating_point() else after[name]
        torch.testing.assert_close(found[name], expected, atol=1e-6, rtol=1e-5)
    assert not any(parameter.requires_grad for parameter in average.network.parameters())


def test_switched_off_it_is_the_network_itself() -> None:
    _, after, average = stepped(0)
    for name, value in average.network.state_dict().items():
        assert value is after[name] or torch.equal(value, after[name])
    assert all(parameter.requires_grad for parameter in average.network.parameters())
