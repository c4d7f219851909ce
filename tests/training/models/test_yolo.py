"""The networks' sizes and names are those of the paper and of FairMOT's published checkpoints."""

import hashlib

import pytest
import torch

from training.models.heads import HEADS, with_prior
from training.models.yolo import YoloFairMot

FAIRMOT_KEYS = (
    "1d4bfb0b7a27b5c6c2608638ddba00b945bc1119345e7339b23e8b2c3c47cf3e"  # sha256 over "key shape" lines, sorted
)


@pytest.mark.parametrize(("width", "count"), [(0.5, 5_013_703), (0.25, 1_259_143), (0.125, 317_671)])
def test_parameter_counts(width: float, count: int) -> None:
    assert sum(p.numel() for p in YoloFairMot(width).parameters()) == count


def test_the_prior_adds_nine_weights_per_first_head_channel() -> None:
    student = with_prior(YoloFairMot(0.125))
    assert sum(p.numel() for p in student.parameters()) == 317_671 + 576


def test_state_has_the_keys_and_shapes_of_fairmots_checkpoints() -> None:
    state = YoloFairMot(0.5).state_dict()
    lines = sorted(f"{key} {tuple(value.shape)}" for key, value in state.items())
    assert len(lines) == 334
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == FAIRMOT_KEYS


def test_maps_have_stride_four() -> None:
    maps = YoloFairMot(0.125).eval()(torch.rand(2, 3, 64, 96))
    assert {name: tuple(m.shape) for name, m in maps.items()} == {
        "hm": (2, 1, 16, 24),
        "id": (2, 64, 16, 24),
        "reg": (2, 2, 16, 24),
        "wh": (2, 4, 16, 24),
    }


def test_a_fresh_prior_channel_changes_nothing() -> None:
    plain = YoloFairMot(0.125).eval()
    student = with_prior(plain).eval()
    image = torch.rand(1, 3, 64, 96)
    with torch.inference_mode():
        alone, together = plain(image), student(image, torch.rand(1, 1, 16, 24))
    for name in HEADS:
        torch.testing.assert_close(together[name], alone[name], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("prior", [False, True])
def test_a_call_that_does_not_fit_is_refused(prior: bool) -> None:
    network = YoloFairMot(0.125, prior)
    with pytest.raises(ValueError, match="prior"):
        network(torch.rand(1, 3, 32, 32), None if prior else torch.rand(1, 1, 8, 8))
