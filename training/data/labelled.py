"""A picture with person boxes: what every reader of a data set makes and every sample is made from."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edge.arrays import F16, F32, I64, U8
from training.targets import UNKNOWN


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """One picture on disk and its persons. Boxes are xyxy in source pixels, unclipped."""

    path: Path
    xyxy: F32  # (n, 4)
    ids: I64  # (n,) identity counted over all sequences, UNKNOWN for single images
    ignore: F32  # (k, 4) regions without trustworthy labels
    sequence: str = ""
    frame: int = 0
    """1-based frame number inside the sequence; 0 for single images."""
    scores: F32 | None = None
    """(n,) how plain each person is to see, 0..1; None: all are."""
    looks: F16 | None = None
    """(n, D) appearance of each by a network made for that, unit length, NaN where unknown; None: of nobody."""

    def read(self) -> U8:
        """The picture, (H, W, 3) BGR."""
        image = cv2.imread(str(self.path))
        if image is None:
            raise OSError(f"cannot read {self.path} as a picture; is it missing or cut short?")
        return image.astype(np.uint8, copy=False)


def single_image(
    path: Path, xyxy: F32, ignore: F32, scores: F32 | None = None, looks: F16 | None = None
) -> LabelledImage:
    """A picture of no sequence, whose persons have no identity."""
    return LabelledImage(path, xyxy, np.full(len(xyxy), UNKNOWN, np.int64), ignore, scores=scores, looks=looks)
