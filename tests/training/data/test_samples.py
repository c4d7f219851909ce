"""Samples are functions of their index; pairs keep identity, geometry and motion."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engines.signature import STRIDE
from training.data.labelled import LabelledImage, single_image
from training.data.samples import CLEAR, InPhases, Pairs, Shot, Shots, Sizes, doubt, render
from training.data.warp import Warp

SIZES = Sizes(((96, 64),), (1.0,), batch=2, seed=0)


def moving_person(folder: Path, frames: int = 12, step: float = 3.0) -> list[LabelledImage]:
    images = []
    for number in range(1, frames + 1):
        path = folder / f"{number}.png"
        picture = np.full((64, 96, 3), 90, np.uint8)
        left = 10 + step * number
        cv2.rectangle(picture, (int(left), 20), (int(left) + 12, 50), (255, 255, 255), -1)
        cv2.imwrite(str(path), picture)
        box = np.array([[left, 20, left + 12, 50]], np.float32)
        images.append(LabelledImage(path, box, np.array([4]), np.zeros((0, 4), np.float32), "seq", number))
    return images


def test_views_of_the_same_index_are_the_same(tmp_path: Path) -> None:
    images = moving_person(tmp_path)
    shots = Shots(images, np.ones(len(images)), SIZES, 10, seed=3, scale=(0.8, 1.1), zoom=1.2)
    first, again, other = shots[4], shots[4], shots[5]
    assert torch.equal(first["image"], again["image"])
    assert not torch.equal(first["image"], other["image"])
    assert first["image"].shape == (3, 64, 96)
    assert first["heatmap"].shape == (1, 16, 24)


def test_pictures_of_weight_zero_are_never_drawn(tmp_path: Path) -> None:
    images = moving_person(tmp_path, 2)
    images[0] = LabelledImage(tmp_path / "absent.png", images[0].xyxy, images[0].ids, images[0].ignore)
    shots = Shots(images, np.array([0.0, 1.0]), SIZES, 50, seed=1, scale=(1, 1), zoom=1)
    assert all(shots[index]["image"].shape == (3, 64, 96) for index in range(50))


def test_a_pair_tells_where_the_person_was_and_how_it_moved(tmp_path: Path) -> None:
    images = moving_person(tmp_path)
    pairs = Pairs(images, np.ones(len(images)), SIZES, 40, seed=2, scale=(1.0, 1.0), zoom=1.0, max_gap=3)
    for index in range(40):
        sample = pairs[index]
        assert 1 <= sample["gap"] <= 3
        if sample["mask"].sum() == 0 or not sample["key_velocity"].any():
            continue
        cell = int(sample["cells"][0])
        now = np.array([cell % 24, cell // 24]) + sample["offsets"][0]
        then = (sample["key_xyxy"][0, :2] + sample["key_xyxy"][0, 2:]) / 8
        predicted = then + sample["gap"] * sample["key_velocity"][0]
        np.testing.assert_allclose(predicted, now, atol=0.3)


def test_the_first_sight_of_a_person_has_no_velocity(tmp_path: Path) -> None:
    images = moving_person(tmp_path, 2)
    pairs = Pairs(images, np.ones(2), SIZES, 5, seed=2, scale=(1.0, 1.0), zoom=1.0)
    assert pairs[0]["gap"] == 1
    assert not pairs[0]["key_velocity"].any()


def test_phases_follow_each_other(tmp_path: Path) -> None:
    images = moving_person(tmp_path, 3)
    first, second = (
        Shots([image], np.ones(1), SIZES, length, seed=1, scale=(1, 1), zoom=1)
        for image, length in ((images[0], 2), (images[1], 3))
    )
    phases = InPhases([first, second])
    assert len(phases) == 5
    assert [phases[index]["cells"][0] for index in range(5)] == [
        *(first[index]["cells"][0] for index in range(2)),
        *(second[index]["cells"][0] for index in range(3)),
    ]
    assert torch.equal(phases[3]["image"], second[1]["image"])
    with pytest.raises(IndexError):
        phases[5]


@given(st.floats(0, 1), st.floats(1, 600))
def test_doubt_lowers_scores_of_few_pixels_alone(score: float, height: float) -> None:
    found = float(doubt(np.array([score], np.float32), np.array([height], np.float32))[0])
    sure = min(max(score, 0.02), 0.98)
    odds = sure / (1 - sure) * min(1.0, height / CLEAR) ** 2
    assert found == pytest.approx(odds / (1 + odds), abs=1e-5)


def still(path: Path, colour: int) -> LabelledImage:
    """A grey picture with one white person."""
    picture = np.full((64, 96, 3), colour, np.uint8)
    cv2.rectangle(picture, (40, 16), (55, 51), (255, 255, 255), -1)
    cv2.imwrite(str(path), picture)
    return single_image(path, np.array([[40, 16, 56, 52]], np.float32), np.zeros((0, 4), np.float32))


def test_in_a_mosaic_boxes_land_where_the_pixels_are(tmp_path: Path) -> None:
    images = [still(tmp_path / f"{number}.png", 60) for number in range(2)]
    shots = [Shot(images[number % 2], Warp(flip=number > 1)) for number in range(4)]
    pixels, targets = render(shots, (192, 128))
    assert targets.mask.sum() == 4
    white = pixels.numpy().min(0) > 200
    columns = 192 // STRIDE
    for row in range(4):
        cell, offset, sides = targets.cells[row], targets.offsets[row], targets.sides[row]
        centre = np.array([cell % columns, cell // columns]) + offset
        left, top, right, bottom = np.round(np.concatenate((centre - sides[:2], centre + sides[2:])) * STRIDE).astype(
            int
        )
        assert white[top + 1 : bottom - 1, left + 1 : right - 1].all()
        around = white[max(top - 3, 0) : bottom + 3, max(left - 3, 0) : right + 3]
        assert around.sum() == pytest.approx((bottom - top) * (right - left), rel=0.15)


def test_a_still_has_no_keyframe_and_its_velocity_is_the_true_displacement(tmp_path: Path) -> None:
    image = still(tmp_path / "still.png", 60)
    pairs = Pairs([image], np.ones(1), SIZES, 30, seed=4, scale=(0.8, 1.2), zoom=1.5, max_gap=5)
    moved = 0
    for index in range(30):
        (shot,), (key_shot,), gap = pairs.draw(index)
        sample = pairs[index]
        assert sample["gap"] == gap and 1 <= gap <= 5 and sample["key_count"] == 1
        corners = np.array([[40, 16, 1], [56, 16, 1], [40, 52, 1], [56, 52, 1]], np.float64).T
        now, then = (one.warp.matrix((96, 64), (96, 64)) @ corners for one in (shot, key_shot))
        middle = [(points.min(1) + points.max(1)) / 2 for points in (now, then)]
        expected = (middle[0] - middle[1]) / STRIDE / gap
        np.testing.assert_allclose(sample["key_velocity"][0], expected, atol=1e-4)
        np.testing.assert_allclose(sample["key_xyxy"][0].reshape(2, 2).mean(0), middle[0], atol=1e-3)
        assert sample["arrived"] and not sample["key_image"].any()
        moved += bool(np.abs(expected).max() > 0.01)
    assert moved > 20, "the camera moves"


def test_in_a_mosaic_of_stills_each_moves_in_a_way_of_its_own(tmp_path: Path) -> None:
    images = [still(tmp_path / f"{number}.png", 60) for number in range(3)]
    pairs = Pairs(images, np.ones(3), SIZES, 20, seed=4, scale=(0.8, 1.2), zoom=1.2, max_gap=5, mosaic=1.0)
    for index in range(20):
        shots, before, gap = pairs.draw(index)
        sample = pairs[index]
        assert len(shots) == len(before) == 4 and sample["arrived"] and not sample["key_image"].any()
        count = sample["key_count"]
        assert sample["mask"].sum() <= count <= 4
        middles = sample["key_xyxy"][:count].reshape(-1, 2, 2).mean(1)
        quarters = {(x >= 48, y >= 32) for x, y in middles.tolist()}
        assert len(quarters) >= count - 1, "one in each quarter, but for who stands on an edge"
        if count > 1:
            assert len({tuple(row) for row in sample["key_velocity"][:count].round(3).tolist()}) > 1
        now = middles - gap * STRIDE * sample["key_velocity"][:count]
        corners = np.array([[40, 16, 1], [56, 16, 1], [40, 52, 1], [56, 52, 1]], np.float64).T
        starts = [one.warp.matrix((96, 64), (48, 32)) @ corners for one in before]
        expected = [(points.min(1) + points.max(1)) / 2 for points in starts]
        for x, y in now:
            assert min(np.hypot(x % 48 - cx % 48, y % 32 - cy % 32) for cx, cy in expected) < 0.5


def test_sizes_are_drawn_per_batch_as_often_as_asked() -> None:
    sizes = Sizes(((96, 64), (160, 96)), (0.75, 0.25), batch=4, seed=2)
    drawn = [sizes.of(index) for index in range(4000)]
    assert all(len(set(drawn[first : first + 4])) == 1 for first in range(0, 4000, 4))
    assert 0.2 < drawn.count((160, 96)) / 4000 < 0.3
