"""Pieces of a picture that are laid over another: `Drawing`s of people, and their `Shadow`."""

import math
from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np

from edge.arrays import F32, U8

LEVELS = 4
"""A drawing is kept at full size and halved again and again, because the warp looks at four pixels only."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """Pixels with an anchor: the point of the drawing that is put somewhere."""

    levels: tuple[tuple[U8, U8], ...]
    """Per size (colour BGR times opacity, 255 * (1 - opacity)), each (h, w, 3)."""
    anchor: tuple[float, float]
    """(x, y) in pixels of the first level."""

    @classmethod
    def make(cls, colour: F32, opacity: F32, anchor: tuple[float, float]) -> Self:
        """From colour (h, w, 3) in 0..255 and opacity (h, w) in 0..1; empty borders are cut off."""
        rows, columns = np.flatnonzero(opacity.any(axis=1)), np.flatnonzero(opacity.any(axis=0))
        window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        solid = opacity[window][..., None]
        seen = np.clip(colour[window], 0, 255) * solid
        full = np.round(np.concatenate([seen, 255 * (1 - solid)], axis=2)).astype(np.uint8)
        levels = []
        for _ in range(LEVELS):
            levels.append((np.ascontiguousarray(full[..., :3]), np.repeat(full[..., 3:], 3, axis=2)))
            size = (max(2, full.shape[1] // 2), max(2, full.shape[0] // 2))
            full = np.asarray(cv2.resize(full, size, interpolation=cv2.INTER_AREA), np.uint8)
        return cls(tuple(levels), (anchor[0] - float(columns[0]), anchor[1] - float(rows[0])))

    def lay_over(self, picture: U8, column: float, row: float, scale: float) -> None:
        """Blend into `picture` (H, W, 3) in place, the anchor at (column, row), exact to a fraction of a pixel."""
        height, width = self.levels[0][0].shape[:2]
        left, top = column - self.anchor[0] * scale, row - self.anchor[1] * scale
        x0, y0 = max(0, math.floor(left)), max(0, math.floor(top))
        x1 = min(picture.shape[1], math.ceil(left + width * scale))
        y1 = min(picture.shape[0], math.ceil(top + height * scale))
        if x1 <= x0 or y1 <= y0:
            return
        level = min(LEVELS - 1, max(0, math.floor(-math.log2(scale))))
        colour, see_through = self.levels[level]
        fx, fy = scale * width / colour.shape[1], scale * height / colour.shape[0]
        warp = np.array([[fx, 0, left - x0 + 0.5 * fx - 0.5], [0, fy, top - y0 + 0.5 * fy - 0.5]])
        size, clear = (x1 - x0, y1 - y0), (255, 255, 255)
        window = picture[y0:y1, x0:x1]
        veil = cv2.warpAffine(see_through, warp, size, flags=cv2.INTER_LINEAR, borderValue=clear)
        cv2.multiply(window, veil, dst=window, scale=1 / 255)
        cv2.add(window, cv2.warpAffine(colour, warp, size, flags=cv2.INTER_LINEAR), dst=window)


WIDTH_M, HEIGHT_M = 1.3, 0.42
FEET = 0.44
"""Where the feet stand along its width: the light comes from the left."""
DARKNESS = 0.5
"""Under the feet, 0 to 1."""


class Shadow:
    """Spots of every size asked for so far; sizes are whole pixels, so there are few."""

    def __init__(self) -> None:
        self._veils: dict[int, U8] = {}

    def lay_over(self, picture: U8, column: float, row: float, metre: float) -> None:
        """Darken `picture` (H, W, 3) in place around the feet at (column, row); one metre there is `metre` pixels."""
        width = max(2, round(WIDTH_M * metre))
        veil = self._veils.get(width)
        if veil is None:
            veil = self._veils[width] = _veil(width)
        left, top = round(column - FEET * width), round(row - veil.shape[0] / 2)
        x0, y0 = max(0, left), max(0, top)
        x1, y1 = min(picture.shape[1], left + width), min(picture.shape[0], top + veil.shape[0])
        if x1 > x0 and y1 > y0:
            window = picture[y0:y1, x0:x1]
            cv2.multiply(window, veil[y0 - top : y1 - top, x0 - left : x1 - left], dst=window, scale=1 / 255)


def _veil(width: int) -> U8:
    """What is left of the light (h, width, 3), 255 = all."""
    height = max(2, round(width * HEIGHT_M / WIDTH_M))
    y, x = np.mgrid[0:height, 0:width]
    distance = np.hypot((x + 0.5) / width * 2 - 1, (y + 0.5) / height * 2 - 1)
    light = 255 * (1 - DARKNESS * np.clip(1 - distance, 0, 1) ** 1.2)
    return np.repeat(light.astype(np.uint8)[..., None], 3, axis=2)
