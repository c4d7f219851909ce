"""What must be known of a GPU and its driver to say whether a plan fits, and whether there is a GPU at all."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from engines.device import GpuDevice

_NVIDIA, _DISPLAY = "0x10de", "0x03"  # PCI's numbers of the maker, and of the class


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


def built_in(system: Path = Path("/sys")) -> str | None:
    """What GPU of NVIDIA's is built into this machine, driver or not, and also from inside a container without it."""
    try:
        if "tegra" in (system / "devices/soc0/family").read_text().lower():
            return "a Jetson"
    except OSError:
        pass
    for device in sorted((system / "bus/pci/devices").glob("*")):
        try:
            vendor, kind = ((device / name).read_text().strip() for name in ("vendor", "class"))
        except OSError:
            continue
        if vendor == _NVIDIA and kind.startswith(_DISPLAY):
            return f"an NVIDIA GPU ({device.name})"
    return None
