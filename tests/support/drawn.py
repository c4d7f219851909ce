"""A scene of bright rectangles that walk in straight lines over dark ground; the truth is known at every time."""

from dataclasses import dataclass

import numpy as np

from edge.arrays import F32, U8
from edge.sources.base import Frame

BOX = (56, 120)
"""Width and height of every walker, source pixels: what the tiny pair looks for after a letterbox of ratio 1/2."""
COLOURS = ((255, 40, 40), (40, 255, 40), (40, 40, 255), (255, 255, 40), (255, 40, 255), (40, 255, 255))
"""Blue, green, red of the walkers, in order."""


@dataclass(frozen=True)
class Drawn:
    """Walkers at `starts` (their centres, source pixels) with `velocities` (pixels per second)."""

    starts: tuple[tuple[float, float], ...]
    velocities: tuple[tuple[float, float], ...]
    width: int = 640
    height: int = 384
    frame_rate: float = 30.0

    def xyxy(self, time_s: float) -> F32:
        """(N, 4) where the walkers are."""
        centre = np.array(self.starts) + time_s * np.array(self.velocities)
        half = np.array(BOX) / 2
        return np.concatenate((centre - half, centre + half), axis=1).astype(np.float32)

    def frame(self, index: int) -> Frame:
        """The picture at index / frame_rate; edges are drawn to whole pixels."""
        time_s = index / self.frame_rate
        image: U8 = np.full((self.height, self.width, 3), 30, np.uint8)
        for (left, top, right, bottom), colour in zip(self.xyxy(time_s).round().astype(int), COLOURS, strict=False):
            image[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = colour
        return Frame(image, index, time_s, 1e9 + time_s, "media")
