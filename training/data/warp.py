"""Random shots of a picture: one affine map from source pixels to input pixels, and a change of colour."""

import math
from dataclasses import dataclass, replace
from typing import Self

import cv2
import numpy as np

from edge.arrays import F32, F64, U8

GREY = (127.5, 127.5, 127.5)
COLOUR = 0.5
"""By what share FairMOT changes saturation and value."""


@dataclass(frozen=True, slots=True)
class Warp:
    """A drawn augmentation; the same values serve both frames of a pair."""

    rotation_deg: float = 0.0
    scale: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)  # fraction of the input's width and height
    shear_deg: tuple[float, float] = (0.0, 0.0)
    flip: bool = False
    saturation: float = 1.0
    value: float = 1.0

    @classmethod
    def draw(cls, rng: np.random.Generator, scale: tuple[float, float], zoom: float, colour: float = COLOUR) -> Self:
        """FairMOT's ranges, with `scale` and, with probability 1/4, a zoom in by up to `zoom`.

        colour: by what share saturation and value change at most.
        """
        s = rng.uniform(*scale) if rng.random() < 0.75 else rng.uniform(1.0, zoom)
        reach = 0.1 + max(0.0, (s - 1) / 2)
        return cls(
            rotation_deg=rng.uniform(-5, 5),
            scale=s,
            shift=(rng.uniform(-reach, reach), rng.uniform(-reach, reach)),
            shear_deg=(rng.uniform(-2, 2), rng.uniform(-2, 2)),
            flip=bool(rng.random() < 0.5),
            saturation=rng.uniform(1 - colour, 1 + colour),
            value=rng.uniform(1 - colour, 1 + colour),
        )

    def recoloured(self, rng: np.random.Generator, colour: float = COLOUR) -> Self:
        """The same geometry with fresh colours."""
        return replace(self, saturation=rng.uniform(1 - colour, 1 + colour), value=rng.uniform(1 - colour, 1 + colour))

    def panned(self, rng: np.random.Generator, frames: int) -> Self:
        """What the same camera sees so many frames later, as it turns and comes nearer, by up to 1 % a frame."""
        reach = 0.01 * frames
        return replace(
            self,
            scale=self.scale * math.exp(rng.uniform(-reach, reach) / 2),
            shift=(self.shift[0] + rng.uniform(-reach, reach), self.shift[1] + rng.uniform(-reach, reach)),
        )

    def matrix(self, source_wh: tuple[int, int], input_wh: tuple[int, int]) -> F64:
        """(2, 3) map from source pixels to input pixels: letterbox, rotate, scale, shift, shear, flip."""
        (sw, sh), (w, h) = source_wh, input_wh
        ratio = min(w / sw, h / sh)
        centre = np.array([[1, 0, -sw / 2], [0, 1, -sh / 2], [0, 0, 1]], np.float64)
        angle = math.radians(self.rotation_deg)
        k = ratio * self.scale
        turn = np.array(
            [[k * math.cos(angle), k * math.sin(angle), 0], [-k * math.sin(angle), k * math.cos(angle), 0], [0, 0, 1]]
        )
        shear_x, shear_y = (math.tan(math.radians(a)) for a in self.shear_deg)
        shear = np.array([[1, shear_x, 0], [shear_y, 1, 0], [0, 0, 1]])
        mirror = np.diag([-1.0 if self.flip else 1.0, 1.0, 1.0])
        back = np.array([[1, 0, w / 2 + self.shift[0] * w], [0, 1, h / 2 + self.shift[1] * h], [0, 0, 1]])
        matrix: F64 = back @ mirror @ shear @ turn @ centre
        return matrix[:2]

    @property
    def hull_factor(self) -> float:
        """By how much the hull of a turned box is shrunk (FairMOT)."""
        angle = math.radians(self.rotation_deg)
        return math.sqrt(max(abs(math.sin(angle)), abs(math.cos(angle))))

    def image(self, bgr: U8, matrix: F64, input_wh: tuple[int, int]) -> U8:
        """BGR (sh, sw, 3) to RGB planar (3, h, w): area-shrunk first where the map shrinks, as the letterbox does."""
        source_wh = bgr.shape[1], bgr.shape[0]
        size, matrix = shrunk(source_wh, matrix)
        if size != source_wh:
            bgr = cv2.resize(bgr, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        warped = cv2.warpAffine(bgr, matrix, input_wh, flags=cv2.INTER_LINEAR, borderValue=GREY)
        if self.saturation != 1 or self.value != 1:
            hsv = cv2.cvtColor(warped, cv2.COLOR_BGR2HSV)
            for channel, gain in ((1, self.saturation), (2, self.value)):
                table = np.clip(np.arange(256) * gain, 0, 255).astype(np.uint8)
                hsv[..., channel] = cv2.LUT(hsv[..., channel], table)
            warped = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)
        return np.ascontiguousarray(warped[..., ::-1].transpose(2, 0, 1)).astype(np.uint8, copy=False)

    def boxes(self, xyxy: F32, matrix: F64) -> F32:
        """Boxes (n, 4) in source pixels to the hulls of their warped corners, shrunk for the rotation; input pixels."""
        if len(xyxy) == 0:
            return xyxy
        x1, y1, x2, y2 = xyxy.T.astype(np.float64)
        corners = np.stack((np.stack((x1, x2, x1, x2)), np.stack((y1, y1, y2, y2))))  # (2, 4, n)
        warped = np.einsum("ij,jkn->ikn", matrix[:, :2], corners) + matrix[:, 2, None, None]
        low, high = warped.min(1), warped.max(1)  # (2, n)
        middle, half = (low + high) / 2, (high - low) / 2 * self.hull_factor
        return np.concatenate((middle - half, middle + half)).T.astype(np.float32)


def magnification(matrix: F64) -> float:
    """Length that an affine map (2, 3) gives to a unit of length, averaged over directions."""
    return math.sqrt(abs(np.linalg.det(matrix[:, :2])))


def shrunk(source_wh: tuple[int, int], matrix: F64) -> tuple[tuple[int, int], F64]:
    """Size to shrink a picture to before `matrix` (2, 3) maps it, so that nothing is skipped, and the map from there.

    A map that does not shrink comes back as it is, with the picture's own size.
    """
    k = magnification(matrix)
    if k >= 1:
        return source_wh, matrix
    sw, sh = source_wh
    size = max(1, round(sw * k)), max(1, round(sh * k))
    return size, matrix @ np.diag([sw / size[0], sh / size[1], 1.0])


def visible(
    xyxy: F32, before: F32, scale: float, input_wh: tuple[int, int]
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which warped boxes are worth a label: over 4 px, area kept, not too thin, touching the image (FairMOT)."""
    w, h = xyxy[:, 2] - xyxy[:, 0], xyxy[:, 3] - xyxy[:, 1]
    area_before = (before[:, 2] - before[:, 0]) * (before[:, 3] - before[:, 1]) * scale**2
    aspect = np.maximum(w / (h + 1e-16), h / (w + 1e-16))
    touches = (xyxy[:, 0] < input_wh[0]) & (xyxy[:, 2] > 0) & (xyxy[:, 1] < input_wh[1]) & (xyxy[:, 3] > 0)
    return (w > 4) & (h > 4) & (w * h / (area_before + 1e-16) > 0.1) & (aspect < 10) & touches
