"""DLA34 is FairMOT's: its size, its checkpoints' keys, its strides."""

import hashlib

import pytest
import torch

from training.models.dla import DlaFairMot
from training.models.heads import with_prior

# sha256 over "key shape" lines, sorted, without base.fc
FAIRMOT_KEYS = "f5508ddfb470571070d1839e888c6f6952cc936aabea88a9b5dd0ebb06f4c3f7"
SLIM = (1, 1, 1, 1)


def parameters(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(
    ("network", "count"),
    [
        (lambda: DlaFairMot(), 19_836_711),
        (lambda: DlaFairMot(deform=False), 19_196_983),
        (lambda: DlaFairMot(depths=SLIM), 16_596_263),
        (lambda: with_prior(DlaFairMot(depths=SLIM)), 16_605_479),
        (lambda: DlaFairMot(width=0.5), 5_137_903),
        (lambda: DlaFairMot(width=0.5, deform=False), 4_817_823),
        (lambda: DlaFairMot(head_conv=64), 19_836_711 - 192 * (4 * (64 * 9 + 1) + 1 + 4 + 128 + 2)),
        (lambda: DlaFairMot(head_conv=64).twin(prior=True), 19_836_711 - 192 * (4 * 577 + 135) + 4 * 9 * 64),
    ],
    ids=[
        *("dla34", "plain convolutions", "small", "small with prior", "half", "half, plain convolutions"),
        *("narrow heads", "narrow heads with prior"),
    ],
)
def test_parameter_counts(network: object, count: int) -> None:
    assert parameters(network()) == count


def test_state_has_the_keys_and_shapes_of_fairmots_checkpoints() -> None:
    state = DlaFairMot().state_dict()
    lines = sorted(f"{key} {tuple(value.shape)}" for key, value in state.items())
    assert len(lines) == 402
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == FAIRMOT_KEYS


@pytest.mark.parametrize("depths", [(1, 2, 2, 1), SLIM, (2, 1, 3, 1)])
def test_maps_have_stride_four(depths: tuple[int, int, int, int]) -> None:
    network = DlaFairMot(0.125, depths, prior=True, embedding=8).eval()
    with torch.inference_mode():
        maps = network(torch.rand(2, 3, 64, 96), torch.rand(2, 1, 16, 24))
    assert {name: tuple(m.shape) for name, m in maps.items()} == {
        "hm": (2, 1, 16, 24),
        "id": (2, 8, 16, 24),
        "reg": (2, 2, 16, 24),
        "wh": (2, 4, 16, 24),
    }


def test_a_fresh_upsampling_is_bilinear() -> None:
    up = DlaFairMot(0.125).ida_up.up_1
    ramp = torch.arange(6.0).view(1, 1, 1, 6).expand(1, up.in_channels, 6, 6)
    with torch.inference_mode():
        enlarged = up(ramp)[0, 0, 5]
    torch.testing.assert_close(enlarged[2:-2], torch.arange(8) * 0.5 + 0.75)
