"""Pictures that the student cannot see well, while its teacher has seen them clearly: what the prior is for.

On pictures like those of its training a student sees people almost as well as its teacher, and learns to do without the
prior. On a camera by night it then sees nobody, and does not believe the teacher, who did. So parts of a picture lose
their contrast, and some pictures their light; what the teacher says to the clear picture remains what is to be learnt.
"""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

PATCH = 64
"""Pixels between two places whose contrast is drawn; between them it changes evenly."""
DETAIL = 16
"""Pixels that become one colour where there is no contrast left."""
LEAST = 0.03
"""Contrast that is always left."""
NOISE = 0.04
"""Largest standard deviation of the sensor's noise, of full white."""


def fogged(image: Tensor, share: float, seed: int, samples: Iterable[int]) -> Tensor:
    """Pictures (B, 3, H, W) in [0, 1], about `share` of them in fog, as new ones; sides are multiples of DETAIL.

    A function of the seed and each sample's number alone, whatever batch it is in.
    """
    height, width = image.shape[2:]
    out = image.clone()
    for row, sample in enumerate(samples):
        rng = np.random.default_rng((seed, sample, 3))
        if rng.random() >= share:
            continue
        drawn = rng.uniform(-0.35, 1.15, (1, 1, max(2, height // PATCH), max(2, width // PATCH)))
        patches = torch.from_numpy(drawn).to(image).clamp(LEAST, 1)
        contrast = functional.interpolate(patches, (height, width), mode="bilinear", align_corners=True)
        one = image[row : row + 1]
        flat = functional.interpolate(functional.avg_pool2d(one, DETAIL), (height, width), mode="bilinear")
        light = rng.uniform(0.25, 1) if rng.random() < 0.5 else 1.0
        generator = torch.Generator(image.device).manual_seed(int(rng.integers(2**31)))
        noise = torch.randn(one.shape, generator=generator, device=image.device) * rng.uniform(0, NOISE)
        out[row : row + 1] = (light * (flat + contrast * (one - flat)) + noise).clamp(0, 1)
    return out
