"""Samples are functions of their index; pairs keep identity, geometry and motion."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from training.data.labelled import LabelledImage
from training.data.samples import InPhases, Pairs, Sizes, Views

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
    views = Views(images, np.ones(len(images)), SIZES, 10, seed=3, scale=(0.8, 1.1), zoom=1.2)
    first, again, other = views[4], views[4], views[5]
    assert torch.equal(first["image"], again["image"])
    assert not torch.equal(first["image"], other["image"])
    assert first["image"].shape == (3, 64, 96)
    assert first["heatmap"].shape == (1, 16, 24)


def test_pictures_of_weight_zero_are_never_drawn(tmp_path: Path) -> None:
    images = moving_person(tmp_path, 2)
    images[0] = LabelledImage(tmp_path / "absent.png", images[0].xyxy, images[0].ids, images[0].ignore)
    views = Views(images, np.array([0.0, 1.0]), SIZES, 50, seed=1, scale=(1, 1), zoom=1)
    assert all(views[index]["image"].shape == (3, 64, 96) for index in range(50))


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
        Views([image], np.ones(1), SIZES, length, seed=1, scale=(1, 1), zoom=1)
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
