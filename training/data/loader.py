"""Batches of samples on the device that trains: `open_loader` is the one door.

Both loaders give the same samples as the same dictionary, but for a few grey levels here and there (`device_warp`).
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from training.data.device_loader import DeviceLoader
from training.data.samples import Sample, Samples


class Loader(Protocol):
    """Where batches come from."""

    def batches(self, wanted: Iterable[Sequence[int]]) -> Iterator[dict[str, Tensor]]:
        """A batch on the loader's device for each of `wanted`, which holds numbers of samples; in order."""
        ...


class HostLoader:
    """Samples that a process beside this one renders with OpenCV."""

    def __init__(self, samples: Samples) -> None:
        self.samples = samples

    def batches(self, wanted: Iterable[Sequence[int]]) -> Iterator[dict[str, Tensor]]:
        """See `Loader`."""
        loader: DataLoader[Sample] = DataLoader(
            self.samples,  # type: ignore[arg-type]  # by length and index, no subclass of torch's Dataset
            batch_sampler=wanted,  # type: ignore[arg-type]  # any iterable of batches does
            num_workers=1,
            prefetch_factor=4,
        )
        return iter(loader)


def open_loader(samples: Samples, device: torch.device) -> Loader:
    """The loader for a device. The CPU's keeps no frames."""
    if device.type == "cpu":
        return HostLoader(samples)
    return DeviceLoader(samples, device)
