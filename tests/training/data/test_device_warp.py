"""Each step in torch against OpenCV's, or against NumPy's."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from training.data.device_warp import area_weights, recolour, visible_boxes, warp_boxes, warp_pixels
from training.data.warp import Warp, magnification, visible

CPU = torch.device("cpu")
INPUT_WH = (96, 64)


def drawn(seed: int) -> Warp:
    return Warp.draw(np.random.default_rng(seed), (0.6, 1.25), 2.0)


def test_no_boxes_stay_no_boxes() -> None:
    nothing = torch.zeros(2, 0, 4)
    assert warp_boxes(nothing, torch.zeros(2, 2, 3).double(), torch.ones(2).double()).shape == (2, 0, 4)
    assert visible_boxes(nothing, nothing, torch.ones(2).double(), INPUT_WH).shape == (2, 0)


@given(st.integers(0, 10_000), st.integers(1, 30))
def test_boxes_and_their_visibility_are_those_of_the_plain_path(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    left_top = rng.uniform(-100, 700, (count, 2))
    before = np.concatenate((left_top, left_top + rng.uniform(0, 300, (count, 2))), 1).astype(np.float32)
    warp = drawn(seed)
    matrix = warp.matrix((640, 480), INPUT_WH)
    after = warp.boxes(before, matrix)
    got = warp_boxes(
        torch.from_numpy(before)[None], torch.from_numpy(matrix)[None], torch.tensor([warp.hull_factor]).double()
    )
    np.testing.assert_allclose(got[0], after, rtol=1e-6, atol=1e-5)
    scale = magnification(matrix)
    seen = visible_boxes(
        torch.from_numpy(after)[None], torch.from_numpy(before)[None], torch.tensor([scale]).double(), INPUT_WH
    )
    assert seen[0].tolist() == visible(after, before, scale, INPUT_WH).tolist()


@pytest.mark.parametrize(("length", "size"), [(7, 7), (90, 30), (101, 37), (1920, 1087), (5, 1)])
def test_lines_are_shrunk_as_opencv_shrinks_them(length: int, size: int) -> None:
    line = np.random.default_rng(length).integers(0, 256, (1, length), np.uint8)
    expected = cv2.resize(line.astype(np.float32), (size, 1), interpolation=cv2.INTER_AREA)
    weights = area_weights(length, [size, max(size - 3, 1)], CPU)
    assert weights.shape == (2, size, length)
    np.testing.assert_allclose(
        weights[0] @ torch.from_numpy(line[0]).float(), expected[0], atol=0.26
    )  # OpenCV leaves out slivers of 0.001
    torch.testing.assert_close(weights.sum(2)[0], torch.ones(size), rtol=0, atol=1e-3)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(0.5, 1.5), st.floats(0.5, 1.5))
def test_any_colour_changes_as_in_opencv(seed: int, saturation: float, value: float) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (32, 32, 3), np.uint8)
    warp = Warp(saturation=saturation, value=value)
    expected = warp.image(pixels, np.eye(3)[:2], (32, 32)).astype(int)
    rgb = torch.from_numpy(pixels[..., ::-1].transpose(2, 0, 1).copy()).float()[None]
    apart = np.abs(recolour(rgb, torch.tensor([saturation]), torch.tensor([value]))[0].numpy() - expected)
    assert (apart > 1).mean() < 0.02
    assert apart.max() <= 12  # two degrees of hue are up to 255 / 30 levels


def test_unchanged_colours_are_left_alone() -> None:
    rgb = torch.randint(0, 256, (2, 3, 8, 8)).float()
    out = recolour(rgb, torch.tensor([1.0, 1.2]), torch.ones(2))
    assert torch.equal(out[0], rgb[0])
    assert not torch.equal(out[1], rgb[1])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000))
def test_even_noise_is_mapped_as_by_opencv(seed: int) -> None:
    rng = np.random.default_rng(seed)
    frames = [rng.integers(0, 256, size, np.uint8) for size in ((120, 170, 3), (120, 170, 3), (40, 50, 3))]
    warps = [Warp.draw(rng, (0.4, 1.3), 2.5) for _ in frames]
    maps = [warp.matrix((f.shape[1], f.shape[0]), INPUT_WH) for warp, f in zip(warps, frames, strict=True)]
    got = warp_pixels([torch.from_numpy(frame) for frame in frames], maps, INPUT_WH)
    for row, (warp, frame, matrix) in enumerate(zip(warps, frames, maps, strict=True)):
        plain = Warp(warp.rotation_deg, warp.scale, warp.shift, warp.shear_deg, warp.flip).image(
            frame, matrix, INPUT_WH
        )
        apart = np.abs(got[row].numpy() - plain)
        assert apart.mean() < 1.0
        assert apart.max() <= 12
