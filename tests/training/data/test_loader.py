"""The loader gives what was asked for, in order, whatever came before."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from training.data.labelled import LabelledImage
from training.data.loader import batches
from training.data.samples import Shots, Sizes
from training.targets import UNKNOWN

CPU = torch.device("cpu")


@pytest.fixture
def shots(tmp_path: Path) -> Shots:
    rng = np.random.default_rng(0)
    images = []
    for number in range(3):
        path = tmp_path / f"{number}.png"
        cv2.imwrite(str(path), rng.integers(0, 255, (48, 64, 3), np.uint8))
        box = np.array([[10, 5, 30, 40]], np.float32)
        images.append(LabelledImage(path, box, np.array([UNKNOWN]), np.zeros((0, 4), np.float32)))
    sizes = Sizes(((96, 64), (64, 96)), (0.5, 0.5), batch=4, seed=1)
    return Shots(images, np.ones(3), sizes, 40, 5, (0.8, 1.2), 1.5)


def test_nothing_wanted_gives_no_batch(shots: Shots) -> None:
    assert list(batches(shots, [], CPU)) == []


def test_batches_hold_the_samples_asked_for_in_order(shots: Shots) -> None:
    wanted = [range(4), range(8, 11), range(4, 8)]
    found = list(batches(shots, wanted, CPU))
    assert [len(batch["image"]) for batch in found] == [4, 3, 4]
    for batch, numbers in zip(found, wanted, strict=True):
        for row, number in enumerate(numbers):
            for name, value in shots[number].items():
                torch.testing.assert_close(
                    batch[name][row], torch.as_tensor(value), rtol=0, atol=0, msg=name, equal_nan=True
                )


def test_a_batch_does_not_depend_on_what_came_before(shots: Shots) -> None:
    straight = list(batches(shots, [range(3), range(3, 4)], CPU))[1]
    resumed = next(batches(shots, [range(3, 4)], CPU))
    for name, value in straight.items():
        torch.testing.assert_close(resumed[name], value, rtol=0, atol=0, msg=name, equal_nan=True)


def test_all_samples_of_a_batch_have_one_size_and_batches_differ(shots: Shots) -> None:
    sizes = {
        tuple(batch["image"].shape[2:]) for batch in batches(shots, [range(i, i + 4) for i in range(0, 40, 4)], CPU)
    }
    assert sizes == {(64, 96), (96, 64)}


def test_a_picture_that_is_missing_is_named(shots: Shots) -> None:
    for image in shots.images:
        image.path.unlink()
    with pytest.raises(OSError, match=r"cannot read .*\.png"):
        next(batches(shots, [range(1)], CPU))
