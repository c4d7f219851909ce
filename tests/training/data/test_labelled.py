"""A labelled picture reads itself."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from training.data.labelled import single_image
from training.targets import UNKNOWN

NOTHING = np.zeros((0, 4), np.float32)


def test_an_unreadable_picture_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"gone\.jpg"):
        single_image(tmp_path / "gone.jpg", NOTHING, NOTHING).read()


def test_persons_of_single_images_have_no_identity(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full((3, 4, 3), 7, np.uint8))
    image = single_image(tmp_path / "a.png", np.ones((2, 4), np.float32), NOTHING)
    assert image.ids.tolist() == [UNKNOWN, UNKNOWN]
    assert image.read().shape == (3, 4, 3)
