"""`Shadow`: the soft dark spot under a person. Without sharp edges it may sit on whole pixels, and is kept by size."""

import cv2
import numpy as np

from edge.arrays import U8

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
