"""The average of a network's weights."""

import torch
from torch.optim.swa_utils import AveragedModel

from training.models.networks import build_network
from training.run import averaged


def stepped(decay: float) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], AveragedModel]:
    """State before and after a step that adds 1 to everything, and the average over it."""
    network = build_network("yolo-1/8")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    average = averaged(network, decay)
    with torch.no_grad():
        for value in network.state_dict().values():
            value += 1
    average.update_parameters(network)
    return before, network.state_dict(), average


def test_it_moves_by_its_decay_from_where_it_began() -> None:
    before, _, average = stepped(0.9)
    found = average.module.state_dict()
    for name, value in before.items():
        if value.is_floating_point():
            torch.testing.assert_close(found[name], value + 0.1, atol=1e-6, rtol=1e-5)
    assert not any(parameter.requires_grad for parameter in average.parameters())


def test_switched_off_it_is_the_last_step() -> None:
    _, after, average = stepped(0)
    assert all(torch.equal(value, after[name]) for name, value in average.module.state_dict().items())
