"""What a teacher said about pictures, kept on disk: how a student learns from one that is only a model file.

A teacher that was adopted need not fit into a training step, nor be known to torch. It looks at each picture once, and
its answer is turned, cut and zoomed along with the picture.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from edge.arrays import F32, F64, U8
from engines.signature import STRIDE
from training.data.samples import Pairs, Sample, render
from training.data.warp import Warp, magnification
from training.targets import MAX_OBJECTS

MOST = 128
"""Detections of one picture that become part of a prior."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A teacher's answer to one picture, in pixels of the picture as it was kept for training."""

    size: tuple[int, int]
    """(width, height) of the picture."""
    heatmap: U8  # (h, w) likelihood in 255ths, in the teacher's cells
    to_cells: F64  # (4,) cells per pixel in x and y, then the cell of the picture's corner
    points: F32  # (n, 2) centres
    boxes: F32  # (n, 4) xyxy
    scores: F32  # (n,) descending

    def save(self, path: Path) -> None:
        """Write it; `path` ends in .npz."""
        np.savez(path, **asdict(self))

    @classmethod
    def load(cls, path: Path) -> Self:
        """What `save` wrote."""
        with np.load(path) as file:
            width, height = file["size"].tolist()
            arrays = {name: file[name] for name in ("heatmap", "to_cells", "points", "boxes", "scores")}
        return cls((width, height), **arrays)

    def seen(self, warp: Warp, matrix: F64, input_wh: tuple[int, int]) -> "Seen":
        """The answer as it lies in a shot; matrix (2, 3) from the picture's pixels to input pixels."""
        columns, rows = input_wh[0] // STRIDE, input_wh[1] // STRIDE
        back = np.diag([1 / self.to_cells[0], 1 / self.to_cells[1], 1.0])
        back[:2, 2] = -self.to_cells[2:] / self.to_cells[:2]
        moved = np.diag([1 / STRIDE, 1 / STRIDE]) @ matrix @ back  # from cell to cell, which begin at whole numbers
        moved[:, 2] += moved[:, :2] @ (0.5, 0.5) - 0.5  # OpenCV's pixels lie around whole numbers
        heatmap = self.heatmap
        if (several := round(1 / magnification(moved))) > 1:  # of the cells that meet one, the largest counts
            heatmap = cv2.dilate(heatmap, np.ones((several, several), np.uint8)).astype(np.uint8, copy=False)
        warped = cv2.warpAffine(heatmap.astype(np.float32) / 255, moved, (columns, rows)).astype(np.float32)
        points = (self.points.astype(np.float64) @ matrix[:, :2].T + matrix[:, 2]) / STRIDE
        cells = np.floor(points).astype(np.int64)
        inside = ((cells >= 0) & (cells < (columns, rows))).all(1)
        np.maximum.at(warped, (cells[inside, 1], cells[inside, 0]), self.scores[inside])  # a peak stays a peak
        boxes = warp.boxes(self.boxes, matrix)
        return Seen(warped[None], _padded(points), _padded(boxes), _padded(self.scores[:, None])[:, 0])


@dataclass(frozen=True, slots=True)
class Seen:
    """An answer in a shot; N = MOST rows, unused ones score 0."""

    heatmap: F32  # (1, h, w)
    points: F32  # (N, 2) cells
    boxes: F32  # (N, 4) xyxy, input pixels
    scores: F32  # (N,)


class AnsweredPairs(Dataset[Sample]):
    """The samples of `Pairs`, with the teacher's answers in place of the keyframe's pixels.

    Beside each picture lies its answer, under the same name with the ending .npz.
    """

    def __init__(self, pairs: Pairs) -> None:
        self.pairs = pairs

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Sample:
        (shot,), (key_shot,), gap = self.pairs.draw(index)  # its pairs have no mosaics
        key, input_wh = key_shot.picture, self.pairs.sizes.of(index)
        pixels, targets = render((shot,), input_wh)
        now, before = (Answer.load(one.path.with_suffix(".npz")) for one in (shot.picture, key))
        matrix = shot.warp.matrix(now.size, input_wh)
        key_xyxy = np.zeros((MAX_OBJECTS, 4), np.float32)
        velocity = np.zeros((MAX_OBJECTS, 2), np.float32)
        count = len(key.ids)
        key_xyxy[:count] = shot.warp.boxes(key.xyxy, matrix)
        velocity[:count] = key_shot.velocity @ (matrix[:, :2].T / STRIDE)
        seen = before.seen(shot.warp, matrix, input_wh)
        return {
            "image": pixels,
            **asdict(targets),
            "wanted": torch.from_numpy(now.seen(shot.warp, matrix, input_wh).heatmap),
            **{f"key_{name}": value for name, value in asdict(seen).items()},
            "key_xyxy": key_xyxy,
            "key_velocity": velocity,
            "key_count": count,
            "gap": gap,
        }


def _padded(rows: F64 | F32) -> F32:
    """(MOST, ...) the first rows, then zeros."""
    out = np.zeros((MOST, rows.shape[1]), np.float32)
    out[: min(MOST, len(rows))] = rows[:MOST]
    return out
