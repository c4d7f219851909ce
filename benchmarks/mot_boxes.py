"""Boxes with identities as MOTChallenge text files hold them: ground truth and results alike."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from edge.arrays import F64, I64, Bool

PEDESTRIAN = 1
"""Class number of MOT16, MOT17 and MOT20; MOT15 writes -1 for it."""


@dataclass(frozen=True, slots=True)
class MotBoxes:
    """Rows of one file, in its order."""

    frames: I64  # (N,) counted from 1
    ids: I64  # (N,)
    xywh: F64  # (N, 4) left, top, width, height in source pixels
    flags: F64  # (N,) ground truth: 0 = not scored; results: confidence
    classes: I64  # (N,) PEDESTRIAN where the file names none

    def __len__(self) -> int:
        return len(self.frames)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a comma-separated file of 7 to 10 columns; an empty file holds no boxes.

        Raises ValueError naming the file when it is not in MOTChallenge form.
        """
        text = path.read_text()
        try:
            table = np.loadtxt(text.splitlines(), delimiter=",", ndmin=2) if text.strip() else np.zeros((0, 9))
        except ValueError as error:
            raise ValueError(f"{path} is no MOTChallenge text: {error}") from None
        if table.shape[1] < 7:
            raise ValueError(f"{path} has {table.shape[1]} columns, expected frame,id,left,top,width,height,flag,...")
        # Ten columns are MOT15 or a result: x,y,z = -1 stand where later years have class and visibility.
        classed = table.shape[1] in (8, 9)
        classes = table[:, 7].astype(np.int64) if classed else np.full(len(table), PEDESTRIAN)
        return cls(
            frames=table[:, 0].astype(np.int64),
            ids=table[:, 1].astype(np.int64),
            xywh=table[:, 2:6],
            flags=table[:, 6],
            classes=np.where(classes == -1, PEDESTRIAN, classes),
        )

    def where(self, keep: Bool) -> Self:
        """The rows where `keep` (N,) is true."""
        return type(self)(self.frames[keep], self.ids[keep], self.xywh[keep], self.flags[keep], self.classes[keep])

    def between(self, first: int, last: int) -> Self:
        """The rows of frames first..last, both included."""
        return self.where((self.frames >= first) & (self.frames <= last))

    def per_frame(self, first: int, last: int) -> Iterator[Self]:
        """One MotBoxes for each frame first..last, empty ones included."""
        for frame in range(first, last + 1):
            yield self.where(self.frames == frame)


def iou(ours: F64, theirs: F64) -> F64:
    """Intersection over union of (N, 4) and (M, 4) xywh boxes, (N, M); boxes without area overlap nothing."""
    low = np.maximum(ours[:, None, :2], theirs[None, :, :2])
    high = np.minimum(ours[:, None, :2] + ours[:, None, 2:], theirs[None, :, :2] + theirs[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=-1)
    union = ours[:, 2:].prod(axis=-1)[:, None] + theirs[:, 2:].prod(axis=-1)[None] - shared
    ratio: F64 = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return ratio
