"""Networks are built by name."""

import pytest
import torch

from training.models.networks import NETWORKS, build_network


def test_an_unknown_name_is_refused_with_those_that_exist() -> None:
    with pytest.raises(ValueError, match="yolo-1/8"):
        build_network("yolo-1/3")


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "pyramid"])
def test_every_network_can_be_a_student_with_an_embedding_of_any_width(name: str) -> None:
    network = build_network(name, prior=True, embedding=96)
    assert network.has_prior
    maps = network(torch.zeros(1, 3, 64, 96), torch.zeros(1, 1, 16, 24))
    assert maps["id"].shape[1] == network.embedding == 96
    assert not network.twin(prior=False).has_prior
    assert build_network(name).embedding == (64 if name.startswith("yolo") else 128)


def test_the_pyramid_teacher_takes_no_prior() -> None:
    with pytest.raises(ValueError, match="its student is 'pyramid-student'"):
        build_network("pyramid", prior=True)
    assert build_network("pyramid", embedding=96).twin(prior=False).embedding == 96
