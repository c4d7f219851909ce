"""Training samples: a shot of one labelled picture, or of two of the same sequence (target frame and keyframe).

Sample `i` is a function of (seed, i) alone, so a run that resumes at step s continues exactly as it would have.
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

from edge.arrays import F16, F32, F64, U8
from engines.signature import STRIDE
from training.data.labelled import LabelledImage
from training.data.warp import COLOUR, Warp, magnification, visible
from training.targets import MAX_OBJECTS, Targets, make_targets

Sample = dict[str, Any]

LOOKS = 256
"""Numbers that say what a person looks like, in the labels."""
CLEAR = 45.0
"""Height in input pixels from which a person is plain to see."""


@dataclass(frozen=True, slots=True)
class Shot:
    """What is drawn for a shot: which picture, seen how."""

    picture: LabelledImage
    warp: Warp
    velocity: F32 = field(default_factory=lambda: np.zeros((0, 2), np.float32))
    """Of a keyframe: (n, 2) how each of its persons moves, in source pixels per frame; nothing for other shots."""


Moment = tuple[Shot, ...]
"""What is seen at once: one shot, or four side by side."""


class Samples(Protocol):
    """Samples by number."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...


@dataclass(frozen=True, slots=True)
class Sizes:
    """Input sizes that batches alternate between at random: one set of weights is to serve them all."""

    wh: tuple[tuple[int, int], ...]
    """(width, height) each."""
    share: tuple[float, ...]
    """How often each is drawn; sums to 1."""
    batch: int
    """Samples whose numbers follow each other and that have one size."""
    seed: int

    def of(self, index: int) -> tuple[int, int]:
        """The size of sample `index`."""
        if len(self.wh) == 1:
            return self.wh[0]
        rng = np.random.default_rng((self.seed, index // self.batch, 2))
        return self.wh[int(rng.choice(len(self.wh), p=self.share))]


class Shots(Dataset[Sample]):
    """Single shots, some of them of four pictures at half their size.

    Photographs show people large; cameras see them small. Four to a picture make up for it.
    """

    def __init__(
        self,
        images: Sequence[LabelledImage],
        weights: F64,
        sizes: Sizes,
        length: int,
        seed: int,
        scale: tuple[float, float],
        zoom: float,
        mosaic: float = 0.0,
        doubts: bool = False,
        colour: float = COLOUR,
    ) -> None:
        """`weights`: how often each picture is drawn, relative to the others; `mosaic`: share of fours."""
        self.images, self.sizes, self.length, self.seed, self.colour = images, sizes, length, seed, colour
        self.scale, self.zoom, self.mosaic, self.doubts = scale, zoom, mosaic, doubts
        self.cumulative = np.cumsum(weights) / np.sum(weights)

    def __len__(self) -> int:
        return self.length

    def draw(self, index: int) -> Moment:
        """The shot of a sample, or its four."""
        rng = np.random.default_rng((self.seed, index))
        shots = 4 if self.mosaic and rng.random() < self.mosaic else 1
        return tuple(self._shot(rng) for _ in range(shots))

    def _shot(self, rng: np.random.Generator) -> Shot:
        image = self.images[int(np.searchsorted(self.cumulative, rng.random(), side="right"))]
        return Shot(image, Warp.draw(rng, self.scale, self.zoom, self.colour))

    def __getitem__(self, index: int) -> Sample:
        pixels, targets = render(self.draw(index), self.sizes.of(index), self.doubts)
        return {"image": pixels, **asdict(targets)}


class Pairs(Dataset[Sample]):
    """A target frame and the keyframe i frames before it, i ~ U{1..max_gap}, under one geometry.

    A single image has no keyframe: a moving camera sees it, and what the prior has to make up for is known (`arrived`).
    Its prior comes from what the teacher says to the image itself, which saves looking at another.
    """

    def __init__(
        self,
        images: Sequence[LabelledImage],
        weights: F64,
        sizes: Sizes,
        length: int,
        seed: int,
        scale: tuple[float, float],
        zoom: float,
        max_gap: int = 11,
        doubts: bool = False,
        as_is: float = 0.0,
        mosaic: float = 0.0,
        colour: float = COLOUR,
    ) -> None:
        """`weights`: how often each image is a target, relative to the others; a sequence's first frame never is.

        `as_is`: share of samples that show pictures as the camera does. `mosaic`: share of fours, each of a picture
        that moves in a way of its own.
        """
        self.sizes, self.length, self.seed, self.max_gap = sizes, length, seed, max_gap
        self.scale, self.zoom, self.doubts, self.as_is, self.mosaic = scale, zoom, doubts, as_is, mosaic
        self.colour = colour
        self.frames = {(image.sequence, image.frame): image for image in images if image.frame}
        self.targets = images
        begins = np.array([image.frame == 1 for image in images], bool)
        self.cumulative = np.cumsum(np.where(begins, 0, weights))
        self._velocities: dict[Path, F32] = {}

    def __len__(self) -> int:
        return self.length

    def draw(self, index: int) -> tuple[Moment, Moment, int]:
        """The target, what it was at the keyframe, and the frames between them."""
        rng = np.random.default_rng((self.seed, index))
        if self.mosaic and rng.random() < self.mosaic:
            gap = int(rng.integers(1, self.max_gap + 1))
            moved = [self._moved(rng, self._image(rng), gap) for _ in range(4)]
            return tuple(now for now, _ in moved), tuple(before for _, before in moved), gap
        image = self._image(rng)
        if not image.frame:
            gap = int(rng.integers(1, self.max_gap + 1))
            now, before = self._moved(rng, image, gap)
            return (now,), (before,), gap
        warp = Warp.draw(rng, self.scale, self.zoom, self.colour)
        gap = int(rng.integers(1, min(self.max_gap, image.frame - 1) + 1))
        key = self.frames[image.sequence, image.frame - gap]
        if self.as_is and rng.random() < self.as_is:
            warp = Warp()
        if key.path not in self._velocities:
            self._velocities[key.path] = self._velocity(key)
        return (Shot(image, warp),), (Shot(key, warp.recoloured(rng, self.colour), self._velocities[key.path]),), gap

    def _image(self, rng: np.random.Generator) -> LabelledImage:
        return self.targets[int(np.searchsorted(self.cumulative, rng.random() * self.cumulative[-1], side="right"))]

    def _moved(self, rng: np.random.Generator, image: LabelledImage, gap: int) -> tuple[Shot, Shot]:
        """A picture as a moving camera sees it, and `gap` frames before."""
        warp = Warp.draw(rng, self.scale, self.zoom, self.colour)
        return Shot(image, warp.panned(rng, gap)), Shot(image, warp.recoloured(rng, self.colour))

    def __getitem__(self, index: int) -> Sample:
        shots, before, gap = self.draw(index)
        input_wh = self.sizes.of(index)
        pixels, targets = render(shots, input_wh, self.doubts)
        key_xyxy = np.zeros((MAX_OBJECTS, 4), np.float32)
        velocity = np.zeros((MAX_OBJECTS, 2), np.float32)
        arrived = len(shots) > 1 or not shots[0].picture.frame
        if arrived:
            key_pixels = np.zeros((3, input_wh[1], input_wh[0]), np.uint8)
            boxes, way = self._seen_twice(shots, before, input_wh)
            moved = (way / gap).astype(np.float32)
        else:
            key_pixels, matrix = see(before[0], input_wh)
            boxes = before[0].warp.boxes(before[0].picture.xyxy, matrix)
            moved = (before[0].velocity @ matrix[:, :2].T).astype(np.float32)
        count = min(len(boxes), MAX_OBJECTS)
        key_xyxy[:count], velocity[:count] = boxes[:count], moved[:count] / STRIDE
        return {
            "image": pixels,
            **asdict(targets),
            "key_image": torch.from_numpy(key_pixels),
            "key_xyxy": key_xyxy,
            "key_velocity": velocity,
            "key_count": count,
            "gap": gap,
            "arrived": arrived,
        }

    @staticmethod
    def _seen_twice(shots: Moment, before: Moment, input_wh: tuple[int, int]) -> tuple[F32, F32]:
        """Boxes (n, 4) of the people of pictures now, and how far (n, 2) their centres came; input pixels."""
        each_wh, corners = places(len(shots), input_wh)
        boxes, moves = [], []
        for now_shot, before_shot, corner in zip(shots, before, corners, strict=True):
            source = now_shot.picture
            source_hw = source.read().shape
            matrices = (one.warp.matrix((source_hw[1], source_hw[0]), each_wh) for one in (before_shot, now_shot))
            earlier, now = (
                one.warp.boxes(source.xyxy, matrix)
                for one, matrix in zip((before_shot, now_shot), matrices, strict=True)
            )
            inside = (now[:, :2] < each_wh).all(1) & (now[:, 2:] > 0).all(1)
            boxes.append((now + np.tile(np.array(corner, np.float32), 2))[inside])
            moves.append((now - earlier).reshape(-1, 2, 2).mean(1)[inside])
        return np.concatenate(boxes), np.concatenate(moves)

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
        self.ends = list(accumulate(len(phase) for phase in phases))

    def __len__(self) -> int:
        return self.ends[-1]

    def __getitem__(self, index: int) -> Sample:
        phase, place = self._locate(index)
        return phase[place]

    def _locate(self, index: int) -> tuple[Samples, int]:
        number = bisect_right(self.ends, index)
        return self.phases[number], index - (self.ends[number - 1] if number else 0)


def see(shot: Shot, input_wh: tuple[int, int]) -> tuple[U8, F64]:
    """Pixels (3, H, W) RGB, and the (2, 3) map from source to input pixels."""
    bgr = shot.picture.read()
    matrix = shot.warp.matrix((bgr.shape[1], bgr.shape[0]), input_wh)
    return shot.warp.image(bgr, matrix, input_wh), matrix


def places(shots: int, input_wh: tuple[int, int]) -> tuple[tuple[int, int], list[tuple[int, int]]]:
    """Width and height of each shot, one or four, and its top left corner in the input."""
    width, height = input_wh
    if shots == 1:
        return input_wh, [(0, 0)]
    return (width // 2, height // 2), [(x, y) for y in (0, height // 2) for x in (0, width // 2)]


def render(shots: Sequence[Shot], input_wh: tuple[int, int], doubts: bool = False) -> tuple[torch.Tensor, Targets]:
    """Pixels uint8 (3, H, W) RGB and targets of one shot, or of four side by side, each a quarter of the picture.

    `doubts`: whether people of few pixels are to be scored low (see `doubt`).
    """
    width, height = input_wh
    each_wh, corners = places(len(shots), input_wh)
    pixels = np.empty((3, height, width), np.uint8)
    parts = []
    for shot, (x, y) in zip(shots, corners, strict=True):
        seen, matrix = see(shot, each_wh)
        pixels[:, y : y + each_wh[1], x : x + each_wh[0]] = seen
        picture, corner = shot.picture, np.array([x, y, x, y], np.float32)
        xyxy = shot.warp.boxes(picture.xyxy, matrix)
        if len(shots) > 1:
            xyxy = np.clip(xyxy, 0, [*each_wh, *each_wh]).astype(np.float32)
        keep = visible(xyxy, picture.xyxy, magnification(matrix), each_wh)
        scores = np.ones(len(xyxy), np.float32) if picture.scores is None else picture.scores
        looks = np.full((len(xyxy), 0), np.nan, np.float16) if picture.looks is None else picture.looks
        ignore = np.clip(shot.warp.boxes(picture.ignore, matrix), 0, [*each_wh, *each_wh])
        parts.append((xyxy[keep] + corner, picture.ids[keep], ignore + corner, scores[keep], looks[keep]))
    xyxy, ids, ignore, scores = (np.concatenate(column) for column in list(zip(*parts, strict=True))[:4])
    if doubts:
        scores = doubt(scores, np.clip(xyxy[:, 3], 0, height) - np.clip(xyxy[:, 1], 0, height))
    cells = height // STRIDE, width // STRIDE
    targets = make_targets(to_cells(xyxy), ids, to_cells(ignore), cells, scores, stack(parts))
    return torch.from_numpy(pixels), targets


def stack(parts: Sequence[tuple[Any, ...]]) -> F16:
    """The looks of all parts, (n, D); D = LOOKS, with NaN for the persons of pictures that have none."""
    rows: list[F16] = [
        np.full((len(part[4]), LOOKS), np.nan, np.float16) if part[4].shape[1] == 0 else part[4] for part in parts
    ]
    stacked: F16 = np.concatenate(rows)
    return stacked


def doubt(scores: F32, heights: F32) -> F32:
    """Scores (n,) lowered for people of few input pixels: a network that is sure of all of them is sure of posts, too.

    From CLEAR pixels down, the logit falls by 2 for each time that the height is divided by e.
    """
    sure = np.clip(scores, 0.02, 0.98)
    logit = np.log(sure / (1 - sure)) + 2 * np.minimum(0, np.log(np.maximum(heights, 1) / CLEAR))
    lowered: F32 = (1 / (1 + np.exp(-logit))).astype(np.float32)
    return lowered


def to_cells(xyxy: F32) -> F32:
    """Boxes (n, 4) from input pixels to cells."""
    return (xyxy / STRIDE).astype(np.float32)
