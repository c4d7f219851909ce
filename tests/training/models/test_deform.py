"""Deformable convolution against its definition, cell by cell in float64."""

import math

import numpy as np
import pytest
import torch

from edge.arrays import F64
from training.models.deform import DeformConv

TAPS = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)]


def sample(image: F64, y: float, x: float) -> F64:
    """All channels of (C, h, w) at a real-valued place, bilinear, zeros outside."""
    top, left = math.floor(y), math.floor(x)
    out = np.zeros(len(image))
    for row, column in ((top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)):
        if 0 <= row < image.shape[1] and 0 <= column < image.shape[2]:
            out += image[:, row, column] * (1 - abs(y - row)) * (1 - abs(x - column))
    return out


def definition(conv: DeformConv, image: F64) -> F64:
    """(C, h, w) -> (c_out, h, w)."""
    with torch.inference_mode():
        control = conv.conv_offset_mask(torch.from_numpy(image)[None])[0].numpy()
    weight, bias = conv.weight.detach().numpy(), conv.bias.detach().numpy()
    _, height, width = image.shape
    out = np.zeros((len(bias), height, width))
    for y in range(height):
        for x in range(width):
            out[:, y, x] = bias
            for tap, (dy, dx) in enumerate(TAPS):
                seen = sample(image, y + dy + control[2 * tap, y, x], x + dx + control[2 * tap + 1, y, x])
                strength = 1 / (1 + np.exp(-control[18 + tap, y, x]))
                out[:, y, x] += weight[:, :, dy + 1, dx + 1] @ seen * strength
    return out


@pytest.mark.parametrize("spread", [0.0, 0.3, 3.0])
def test_it_is_the_definition_also_where_it_looks_outside(spread: float) -> None:
    torch.manual_seed(3)
    conv = DeformConv(3, 4)
    torch.nn.init.normal_(conv.conv_offset_mask.weight, 0, spread)
    torch.nn.init.normal_(conv.bias)
    image = torch.randn(3, 5, 7)
    with torch.inference_mode():
        ours = conv(image[None])[0]
    np.testing.assert_allclose(ours.numpy(), definition(conv.double(), image.double().numpy()), atol=1e-4)


def test_a_fresh_one_is_half_an_ordinary_convolution() -> None:
    conv = DeformConv(2, 3)
    image = torch.randn(1, 2, 6, 6)
    with torch.inference_mode():
        ordinary = torch.nn.functional.conv2d(image, conv.weight, padding=1)
        torch.testing.assert_close(conv(image), ordinary / 2)


def test_in_bf16_it_looks_where_it_should_on_a_wide_map() -> None:
    torch.manual_seed(3)
    conv = DeformConv(4, 4)
    torch.nn.init.normal_(conv.conv_offset_mask.weight, 0, 0.05)
    image = torch.randn(1, 4, 40, 272)
    with torch.inference_mode():
        expected = conv(image)
        with torch.autocast("cpu", torch.bfloat16):
            mixed = conv(image.bfloat16())
        pure = conv.bfloat16()(image.bfloat16())
    for ours in (mixed, pure):
        assert (ours.float() - expected).norm() < 0.02 * expected.norm()
