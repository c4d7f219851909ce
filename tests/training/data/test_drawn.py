"""Drawn scenes as training data: their truth is that of the scene, identities are counted on."""

from pathlib import Path

import numpy as np
import pytest

from edge.sources.synthetic import SyntheticSource
from training.data import drawn
from training.data.drawn import FIRST_SEED, HIDDEN, SIZES, draw_sequences


def test_no_scenes_are_no_images(tmp_path: Path) -> None:
    assert draw_sequences(0, 7, tmp_path) == ([], {})


def test_every_box_and_identity_is_the_scenes_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawn, "FRAMES", 3)
    images, identities = draw_sequences(2, 7, tmp_path)
    assert [(image.sequence, image.frame) for image in images] == [
        (name, frame) for name in ("drawn-000", "drawn-001") for frame in (1, 2, 3)
    ]
    known = np.concatenate([image.ids for image in images])
    assert known.min() == 7 and known.max() == 7 + sum(identities.values()) - 1
    first = [image for image in images if image.sequence == "drawn-001"]
    assert min(image.ids.min() for image in first) == 7 + identities["drawn-000"]
    rng = np.random.default_rng((FIRST_SEED, 1))
    people, rate = int(rng.integers(4, 50)), float(rng.choice((5, 10, 15, 25)))
    begin = int(rng.integers(0, 600))
    width, height = SIZES[1]
    scene = SyntheticSource(width=width, height=height, frame_rate=rate, people=people, seed=FIRST_SEED + 1)
    for number, image in enumerate(first):
        truth = scene.truth(begin + number)
        seen = truth.visibility >= HIDDEN
        np.testing.assert_array_equal(image.xyxy, truth.xyxy[seen])
        np.testing.assert_array_equal(image.ignore, truth.xyxy[~seen])
        assert image.read().shape == (height, width, 3)
    again, _ = draw_sequences(2, 7, tmp_path)
    assert all(np.array_equal(a.ids, b.ids) for a, b in zip(images, again, strict=True))
