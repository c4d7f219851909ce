"""Small arrays on their way to the device."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def upload(array: NDArray[Any], device: torch.device) -> Tensor:
    """`array` on a device, without waiting for what the device is busy with.

    A GPU copies beside its other work from pinned memory only; from any other, the host waits until all before is done.
    """
    host = torch.from_numpy(np.ascontiguousarray(array))
    if device.type == "cuda":
        host = host.pin_memory()
    return host.to(device, non_blocking=True)
