"""What must be known of a GPU and its driver to say whether a plan fits."""

from dataclasses import dataclass
from typing import Self

from engines.device import GpuDevice


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU and its driver."""

    name: str
    """The model, for people."""
    compute_capability: str
    """Such as '8.7'."""
    driver_major: int
    """Major version of CUDA that the driver speaks, such as 13."""

    @classmethod
    def of(cls, device: GpuDevice) -> Self:
        """The GPU behind a device."""
        major, minor = device.compute_capability
        return cls(device.name, f"{major}.{minor}", device.driver_version // 1000)
