"""Networks are built by name."""

import pytest

from training.models.networks import NETWORKS, build_network


def test_an_unknown_name_is_refused_with_those_that_exist() -> None:
    with pytest.raises(ValueError, match="yolo-1/8"):
        build_network("yolo-1/3")


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_can_be_a_student_with_an_embedding_of_any_width(name: str) -> None:
    network = build_network(name, prior=True, embedding=96)
    assert network.has_prior
    assert network.state_dict()["id.2.weight"].shape[0] == 96
    assert not network.twin(prior=False).has_prior
    assert build_network(name).embedding == (128 if name.startswith("dla") else 64)
