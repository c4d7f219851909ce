"""Training samples: a view of one labelled picture, or of two of the same sequence (target frame and keyframe).

Sample `i` is a function of (seed, i) alone, so a run that resumes at step s continues exactly as it would have. What is
drawn for it (`draw`) is the same for all who render it: here with OpenCV, in `device_loader` with torch.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch.utils.data import Dataset

from edge.arrays import F32, F64
from engines.signature import STRIDE
from training.data.labelled import LabelledImage
from training.data.warp import Warp, magnification, visible
from training.targets import MAX_OBJECTS, Targets, make_targets

Sample = dict[str, Any]


@dataclass(frozen=True, slots=True)
class View:
    """What is drawn for a view: which picture, seen how."""

    picture: LabelledImage
    warp: Warp
    velocity: F32 = field(default_factory=lambda: np.zeros((0, 2), np.float32))
    """Of a keyframe: (n, 2) how each of its persons moves, in source pixels per frame; nothing for other views."""


class Samples(Protocol):
    """Samples by number."""

    @property
    def input_wh(self) -> tuple[int, int]:
        """(width, height) of the views."""
        ...

    def __len__(self) -> int: ...

    def draw(self, index: int) -> tuple[View, ...]:
        """The views of a sample: the target frame, and in pairs the keyframe after it."""
        ...

    def __getitem__(self, index: int) -> Sample:
        """The sample as this process renders it."""
        ...


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

    def draw(self, index: int) -> tuple[View]:
        """See `Samples`."""
        rng = np.random.default_rng((self.seed, index))
        image = self.images[int(np.searchsorted(self.cumulative, rng.random(), side="right"))]
        return (View(image, Warp.draw(rng, self.scale, self.zoom)),)

    def __getitem__(self, index: int) -> Sample:
        pixels, targets, _ = render(*self.draw(index), self.input_wh)
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
        self._velocities: dict[Path, F32] = {}

    def __len__(self) -> int:
        return self.length

    def draw(self, index: int) -> tuple[View, View]:
        """See `Samples`."""
        rng = np.random.default_rng((self.seed, index))
        image = self.targets[rng.integers(len(self.targets))]
        gap = int(rng.integers(1, min(self.max_gap, image.frame - 1) + 1))
        warp = Warp.draw(rng, self.scale, self.zoom)
        key = self.frames[image.sequence, image.frame - gap]
        if key.path not in self._velocities:
            self._velocities[key.path] = self._velocity(key)
        return View(image, warp), View(key, warp.recoloured(rng), self._velocities[key.path])

    def __getitem__(self, index: int) -> Sample:
        view, key_view = self.draw(index)
        key = key_view.picture
        pixels, targets, _ = render(view, self.input_wh)
        key_pixels, _, matrix = render(key_view, self.input_wh)
        key_xyxy = np.zeros((MAX_OBJECTS, 4), np.float32)
        velocity = np.zeros((MAX_OBJECTS, 2), np.float32)
        count = len(key.ids)
        key_xyxy[:count] = key_view.warp.boxes(key.xyxy, matrix)
        velocity[:count] = key_view.velocity @ (matrix[:, :2].T / STRIDE)
        return {
            "image": pixels,
            **asdict(targets),
            "key_image": key_pixels,
            "key_xyxy": key_xyxy,
            "key_velocity": velocity,
            "key_count": count,
            "gap": view.picture.frame - key.frame,
        }

    def _velocity(self, picture: LabelledImage, span: int = 5) -> F32:
        """Centre displacement per frame over up to `span` frames that end at `picture`; 0 for first-seen persons."""
        velocity = np.zeros((len(picture.ids), 2), np.float32)
        for row, identity in enumerate(picture.ids):
            for back in range(span, 0, -1):
                earlier = self.frames.get((picture.sequence, picture.frame - back))
                if earlier is None:
                    continue
                match = np.flatnonzero(earlier.ids == identity)
                if len(match):
                    moved = (picture.xyxy[row] - earlier.xyxy[match[0]]).reshape(2, 2).mean(0)
                    velocity[row] = moved / back
                    break
        return velocity


class InPhases(Dataset[Sample]):
    """Samples of one kind after those of another: first all of the first phase, then all of the next."""

    def __init__(self, phases: Sequence[Samples]) -> None:
        self.phases = phases
        self.input_wh = phases[0].input_wh
        self.ends = list(accumulate(len(phase) for phase in phases))

    def __len__(self) -> int:
        return self.ends[-1]

    def draw(self, index: int) -> tuple[View, ...]:
        """See `Samples`."""
        phase, place = self._locate(index)
        return phase.draw(place)

    def __getitem__(self, index: int) -> Sample:
        phase, place = self._locate(index)
        return phase[place]

    def _locate(self, index: int) -> tuple[Samples, int]:
        number = bisect_right(self.ends, index)
        return self.phases[number], index - (self.ends[number - 1] if number else 0)


def render(view: View, input_wh: tuple[int, int]) -> tuple[torch.Tensor, Targets, F64]:
    """Pixels uint8 (3, H, W) RGB, targets, and the (2, 3) map from source to input pixels."""
    picture, warp = view.picture, view.warp
    bgr = picture.read()
    matrix = warp.matrix((bgr.shape[1], bgr.shape[0]), input_wh)
    pixels = warp.image(bgr, matrix, input_wh)
    xyxy = warp.boxes(picture.xyxy, matrix)
    keep = visible(xyxy, picture.xyxy, magnification(matrix), input_wh)
    cells = input_wh[1] // STRIDE, input_wh[0] // STRIDE
    ignore = warp.boxes(picture.ignore, matrix)
    targets = make_targets(to_cells(xyxy[keep]), picture.ids[keep], to_cells(ignore), cells)
    return torch.from_numpy(pixels), targets, matrix


def to_cells(xyxy: F32) -> F32:
    """Boxes (n, 4) from input pixels to cells."""
    return (xyxy / STRIDE).astype(np.float32)
