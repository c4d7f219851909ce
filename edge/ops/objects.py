"""The persons of a keyframe as its heatmap has them: where their blobs lie and how fast they move."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from edge.arrays import F32, F64, I32

MIN_OVERLAP = 0.7
"""A centre may stray as far as the moved box still overlaps by this; that is its blob's radius (FairMOT)."""
FRAME_S = 1 / 30
"""Nobody crosses more than their own box within such a frame; a faster velocity is an error of measurement."""


@dataclass(frozen=True, slots=True)
class Objects:
    """M persons, best score first."""

    centres: F64  # (M, 2) x, y in cells
    radii: I32  # (M,) cells from the centre's cell to the edge of the blob's square window, at least 1
    velocities: F64  # (M, 2) cells per second

    def __len__(self) -> int:
        return len(self.radii)

    @classmethod
    def none(cls) -> Self:
        """No person at all."""
        return cls(np.zeros((0, 2)), np.zeros(0, np.int32), np.zeros((0, 2)))

    @classmethod
    def from_boxes(cls, centres: F32, sides: F32, velocities: F32) -> Self:
        """Objects with Gaussian radii and believable velocities.

        centres: (M, 2) cells. sides: (M, 2) widths and heights of the boxes, cells. velocities: (M, 2) cells/s, 0 where
        unknown; each component is limited to one box side per 1/30 s.
        """
        fastest = np.maximum(sides, 0).astype(np.float64) / FRAME_S
        return cls(
            centres=centres.astype(np.float64),
            radii=window_radii(sides),
            velocities=np.clip(velocities.astype(np.float64), -fastest, fastest),
        )

    def shifts(self, elapsed_s: float) -> I32:
        """(M, 2) whole cells by which each blob has moved after `elapsed_s`; exactly 0 at 0 s and at rest."""
        moved = np.floor(self.centres + elapsed_s * self.velocities) - np.floor(self.centres)
        return moved.astype(np.int32)


def window_radii(sides: F32) -> I32:
    """(M,) radii in cells of boxes with `sides` (M, 2), widths and heights in cells; at least 1.

    FairMOT takes the smallest of three solutions; the one below (both corners move inwards or outwards together)
    is the smallest for every box.
    """
    box = np.ceil(np.maximum(sides, 0)).astype(np.float64)
    total, area = box.sum(1), box.prod(1)
    half = MIN_OVERLAP * total
    radius = np.sqrt(half**2 + 4 * MIN_OVERLAP * (1 - MIN_OVERLAP) * area) - half
    radii: I32 = np.maximum(1, radius).astype(np.int32)
    return radii
