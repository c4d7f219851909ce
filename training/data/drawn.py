"""Drawn scenes as training data: people whose every box and identity is known, and motion from one frame to the next.

The seeds are not those of the demo, and the scenes differ from it in size, number of people and frame rate.
"""

from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from edge.sources.synthetic import SyntheticSource
from training.data.labelled import LabelledImage

FIRST_SEED = 1000
FRAMES = 24
HIDDEN = 0.25
"""Visibility below which somebody is neither a person to learn nor background."""
SIZES = ((1280, 720), (960, 540), (640, 360))


def draw_sequences(scenes: int, first: int, cache: Path) -> tuple[list[LabelledImage], dict[str, int]]:
    """The frames of so many scenes, drawn once below `cache`, and how many identities each scene has.

    Identities are counted from `first` on.
    """
    images: list[LabelledImage] = []
    identities: dict[str, int] = {}
    for number in tqdm(range(scenes), desc="drawing scenes", disable=not scenes):
        rng = np.random.default_rng((FIRST_SEED, number))
        width, height = SIZES[number % len(SIZES)]
        people, rate = int(rng.integers(4, 50)), float(rng.choice((5, 10, 15, 25)))
        source = SyntheticSource(width=width, height=height, frame_rate=rate, people=people, seed=FIRST_SEED + number)
        name = f"drawn-{number:03d}"
        base = first + sum(identities.values())
        known: dict[int, int] = {}
        begin = int(rng.integers(0, 600))
        for frame in range(FRAMES):
            path = cache / name / f"{frame + 1:06d}.jpg"
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), source.image(begin + frame), [cv2.IMWRITE_JPEG_QUALITY, 92])
            truth = source.truth(begin + frame)
            seen = truth.visibility >= HIDDEN
            ids = np.array([base + known.setdefault(int(one), len(known)) for one in truth.ids[seen]], np.int64)
            images.append(LabelledImage(path, truth.xyxy[seen], ids, truth.xyxy[~seen], name, frame + 1))
        identities[name] = len(known)
    return images, identities
