"""Decoded pictures kept on a device, so that each is read from disk once."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor

from training.data.labelled import LabelledImage


class FrameStore:
    """Keeps every picture that was asked for. At 1920x1080 a thousand pictures take 6.2 GB."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._frames: dict[Path, Tensor] = {}
        self._pool = ThreadPoolExecutor(os.cpu_count())

    def fetch(self, pictures: Sequence[LabelledImage]) -> list[Tensor]:
        """The pictures, in order, each (H, W, 3) uint8 BGR on the store's device.

        Raises OSError for one that cannot be read, MemoryError where the device is full.
        """
        missing = {picture.path: picture for picture in pictures if picture.path not in self._frames}
        for path, bgr in zip(missing, self._pool.map(LabelledImage.read, missing.values()), strict=True):
            try:
                self._frames[path] = torch.from_numpy(bgr).to(self.device)
            except torch.OutOfMemoryError as error:
                raise MemoryError(
                    f"{self.device} is full after {len(self._frames)} pictures; train on fewer, or on the CPU"
                ) from error
        return [self._frames[picture.path] for picture in pictures]
