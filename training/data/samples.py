"""Training samples: a view of one labelled picture, or of two of the same sequence (keyframe and target frame).

Sample `i` is a function of (seed, i) alone, so a run that resumes at step s continues exactly as it would have.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from edge.arrays import F32, F64
from engines.signature import STRIDE
from training.data.labelled import LabelledImage
from training.data.warp import Warp, visible
from training.targets import MAX_OBJECTS, Targets, make_targets

Sample = dict[str, Any]


class Views(Dataset[Sample]):
    """Single views. `weights`: how often each picture is drawn, relative to the others."""

    def __init__(
        self,
        images: Sequence[LabelledImage],
        weights: F64,
        input_wh: tuple[int, int],
        length: int,
        seed: int,
        scale: tuple[float, float],
        zoom: float,
    ) -> None:
        self.images, self.input_wh, self.length, self.seed = images, input_wh, length, seed
        self.scale, self.zoom = scale, zoom
        self.cumulative = np.cumsum(weights) / np.sum(weights)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Sample:
        rng = np.random.default_rng((self.seed, index))
        image = self.images[int(np.searchsorted(self.cumulative, rng.random(), side="right"))]
        warp = Warp.draw(rng, self.scale, self.zoom)
        pixels, targets, _ = view(image, warp, self.input_wh)
        return {"image": pixels, **asdict(targets)}


class Pairs(Dataset[Sample]):
    """A target frame and the keyframe i frames before it, i ~ U{1..max_gap}, under one geometry."""

    def __init__(
        self,
        images: Sequence[LabelledImage],
        input_wh: tuple[int, int],
        length: int,
        seed: int,
        scale: tuple[float, float],
        zoom: float,
        max_gap: int = 11,
    ) -> None:
        self.input_wh, self.length, self.seed, self.max_gap = input_wh, length, seed, max_gap
        self.scale, self.zoom = scale, zoom
        self.frames = {(image.sequence, image.frame): image for image in images}
        self.targets = [image for image in images if image.frame > 1]

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Sample:
        rng = np.random.default_rng((self.seed, index))
        image = self.targets[rng.integers(len(self.targets))]
        gap = int(rng.integers(1, min(self.max_gap, image.frame - 1) + 1))
        key = self.frames[image.sequence, image.frame - gap]
        warp = Warp.draw(rng, self.scale, self.zoom)
        pixels, targets, _ = view(image, warp, self.input_wh)
        key_pixels, _, matrix = view(key, warp.recoloured(rng), self.input_wh)
        key_xyxy = np.zeros((MAX_OBJECTS, 4), np.float32)
        velocity = np.zeros((MAX_OBJECTS, 2), np.float32)
        count = len(key.ids)
        key_xyxy[:count] = warp.boxes(key.xyxy, matrix)
        velocity[:count] = self._source_velocity(key) @ (matrix[:, :2].T / STRIDE)
        return {
            "image": pixels,
            **asdict(targets),
            "key_image": key_pixels,
            "key_xyxy": key_xyxy,
            "key_velocity": velocity,
            "key_count": count,
            "gap": gap,
        }

    def _source_velocity(self, key: LabelledImage, span: int = 5) -> F32:
        """Centre displacement per frame over up to `span` frames that end at the keyframe; 0 for first-seen persons."""
        velocity = np.zeros((len(key.ids), 2), np.float32)
        for row, identity in enumerate(key.ids):
            for back in range(span, 0, -1):
                earlier = self.frames.get((key.sequence, key.frame - back))
                if earlier is None:
                    continue
                match = np.flatnonzero(earlier.ids == identity)
                if len(match):
                    moved = (key.xyxy[row] - earlier.xyxy[match[0]]).reshape(2, 2).mean(0)
                    velocity[row] = moved / back
                    break
        return velocity


def view(image: LabelledImage, warp: Warp, input_wh: tuple[int, int]) -> tuple[torch.Tensor, Targets, F64]:
    """Pixels uint8 (3, H, W) RGB, targets, and the (2, 3) map from source to input pixels."""
    bgr = image.read()
    matrix = warp.matrix((bgr.shape[1], bgr.shape[0]), input_wh)
    pixels = warp.image(bgr, matrix, input_wh)
    xyxy = warp.boxes(image.xyxy, matrix)
    keep = visible(xyxy, image.xyxy, float(np.sqrt(abs(np.linalg.det(matrix[:, :2])))), input_wh)
    cells = input_wh[1] // STRIDE, input_wh[0] // STRIDE
    ignore = warp.boxes(image.ignore, matrix)
    targets = make_targets(to_cells(xyxy[keep]), image.ids[keep], to_cells(ignore), cells)
    return torch.from_numpy(pixels), targets, matrix


def to_cells(xyxy: F32) -> F32:
    """Boxes (n, 4) from input pixels to cells."""
    return (xyxy / STRIDE).astype(np.float32)
