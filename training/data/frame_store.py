"""Decoded pictures kept on a device, so that each is read from disk once."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import torch
from torch import Tensor

from training.data.labelled import LabelledImage


@dataclass(frozen=True, slots=True)
class StoredFrame:
    """A decoded picture."""

    pixels: Tensor  # (H, W, 3) uint8 BGR on the store's device, shrunk where the store says so
    source_wh: tuple[int, int]
    """Its size on disk, to which its boxes belong."""


class FrameStore:
    """Keeps every picture that was asked for. At 1920x1080 a thousand pictures take 6.2 GB."""

    def __init__(self, device: torch.device, longest: int | None = None) -> None:
        """`longest`: shrink pictures whose longer side is above it, in pixels; None keeps them as they are."""
        self.device, self.longest = device, longest
        self._frames: dict[Path, StoredFrame] = {}
        self._pool = ThreadPoolExecutor(os.cpu_count())

    def fetch(self, pictures: Sequence[LabelledImage]) -> list[StoredFrame]:
        """The pictures, in order. Raises OSError for one that cannot be read, MemoryError where the device is full."""
        missing = {picture.path: picture for picture in pictures if picture.path not in self._frames}
        for path, (pixels, source_wh) in zip(missing, self._pool.map(self._read, missing.values()), strict=True):
            try:
                self._frames[path] = StoredFrame(pixels.to(self.device), source_wh)
            except torch.OutOfMemoryError as error:
                raise MemoryError(
                    f"{self.device} is full after {len(self._frames)} pictures; keep them smaller (longest is"
                    f" {self.longest or 'not set'}) or train on fewer"
                ) from error
        return [self._frames[picture.path] for picture in pictures]

    def _read(self, picture: LabelledImage) -> tuple[Tensor, tuple[int, int]]:
        bgr = picture.read()
        height, width = bgr.shape[:2]
        if self.longest is not None and max(width, height) > self.longest:
            k = self.longest / max(width, height)
            size = max(1, round(width * k)), max(1, round(height * k))
            return torch.from_numpy(cv2.resize(bgr, size, interpolation=cv2.INTER_AREA)), (width, height)
        return torch.from_numpy(bgr), (width, height)
