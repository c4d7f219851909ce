"""Batches of samples, rendered with OpenCV by processes beside the one that trains."""

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from training.data.samples import Sample, Samples


def batches(
    samples: Samples, wanted: Iterable[Sequence[int]], device: torch.device, workers: int = 1
) -> Iterator[dict[str, Tensor]]:
    """A batch on `device` for each of `wanted`, which holds numbers of samples; in order."""
    loader: DataLoader[Sample] = DataLoader(
        samples,  # type: ignore[arg-type]  # by length and index, no subclass of torch's Dataset
        batch_sampler=wanted,  # type: ignore[arg-type]  # any iterable of batches does
        num_workers=workers,
        prefetch_factor=4,
        pin_memory=device.type == "cuda",
    )
    for batch in loader:
        yield {name: value.to(device, non_blocking=True) for name, value in batch.items()}
