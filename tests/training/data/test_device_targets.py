"""Batched targets equal those made one by one."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from training.data.device_targets import gaussian_radii, make_batch_targets
from training.targets import MAX_OBJECTS, UNKNOWN, gaussian_radius, make_targets

CELLS = (20, 30)
COORDINATE = st.floats(-12, 40, width=16)
BOX = st.tuples(COORDINATE, COORDINATE, COORDINATE, COORDINATE)


def batched(boxes: list[np.ndarray], ignore: list[np.ndarray]) -> dict[str, torch.Tensor]:
    rows, regions = max(1, *map(len, boxes)), max(1, *map(len, ignore))
    xyxy, ids = torch.zeros(len(boxes), rows, 4), torch.full((len(boxes), rows), 77)
    valid, ignored = torch.zeros(len(boxes), rows, dtype=torch.bool), torch.full((len(boxes), regions, 4), torch.nan)
    for place, (mine, theirs) in enumerate(zip(boxes, ignore, strict=True)):
        xyxy[place, : len(mine)] = torch.from_numpy(mine)
        ids[place, : len(mine)] = torch.arange(len(mine))
        valid[place, : len(mine)] = True
        ignored[place, : len(theirs)] = torch.from_numpy(theirs)
    return make_batch_targets(xyxy, ids, valid, ignored, CELLS)


def assert_same(boxes: list[np.ndarray], ignore: list[np.ndarray]) -> None:
    got = batched(boxes, ignore)
    for place, (mine, theirs) in enumerate(zip(boxes, ignore, strict=True)):
        expected = make_targets(mine, np.arange(len(mine)), theirs, CELLS)
        for name in ("cells", "ids", "mask", "ignore"):
            np.testing.assert_array_equal(got[name][place], getattr(expected, name), err_msg=name)
        for name in ("heatmap", "offsets", "sides"):
            np.testing.assert_allclose(got[name][place], getattr(expected, name), atol=1e-6, err_msg=name)
        np.testing.assert_array_equal(got["heatmap"][place] == 1, expected.heatmap == 1)


def test_images_without_persons_have_empty_targets() -> None:
    got = batched([np.zeros((0, 4), np.float32)] * 2, [np.zeros((0, 4), np.float32)] * 2)
    assert got["heatmap"].shape == (2, 1, *CELLS)
    assert got["sides"].shape == (2, MAX_OBJECTS, 4)
    assert got["mask"].sum() == got["heatmap"].sum() == got["ignore"].sum() == 0
    assert (got["ids"] == UNKNOWN).all()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.lists(BOX, max_size=20), st.lists(BOX, max_size=4)), min_size=2, max_size=4))
def test_any_boxes_give_what_the_plain_path_gives(pictures: list[tuple[list, list]]) -> None:
    boxes = [np.array(mine, np.float32).reshape(-1, 4) for mine, _ in pictures]
    assert_same(boxes, [np.array(theirs, np.float32).reshape(-1, 4) for _, theirs in pictures])


def test_beyond_the_limit_the_first_are_kept() -> None:
    rng = np.random.default_rng(1)
    left_top = rng.uniform(-2, 28, (MAX_OBJECTS + 40, 2))
    many = np.concatenate((left_top, left_top + rng.uniform(-1, 8, left_top.shape)), 1).astype(np.float32)
    nothing = np.zeros((0, 4), np.float32)
    assert_same([many, many[:3]], [nothing, nothing])


@given(st.integers(1, 300), st.integers(1, 300))
def test_radii_are_those_of_the_formula(height: int, width: int) -> None:
    radius = gaussian_radii(torch.tensor([[width, height]], dtype=torch.float64))[0]
    np.testing.assert_allclose(radius, gaussian_radius(height, width), rtol=1e-12)
