"""From a model file to an engine."""

from pathlib import Path

from engines.device import Device
from engines.engine import Engine
from engines.errors import DeviceError, ModelFileError
from engines.host import HostDevice
from engines.onnx_engine import OnnxEngine


def open_device(name: str) -> Device:
    """The device called 'cpu', 'cuda' or 'auto' (the best there is). Raises DeviceError where it is not there."""
    if name in ("cpu", "auto"):
        return HostDevice()
    if name == "cuda":
        raise DeviceError("no CUDA device: this version runs networks on the CPU only; use the device 'cpu' or 'auto'")
    raise DeviceError(f"unknown device {name!r}; use 'cpu', 'cuda' or 'auto'")


def load_engine(path: Path, device: Device, threads: int | None = None) -> Engine:
    """Load `path` for `device`; `threads` as in OnnxEngine.

    Raises ModelFileError, SignatureError or DeviceError.
    """
    if path.suffix != ".onnx":
        raise ModelFileError(f"cannot load {path}: expected a .onnx file")
    if not isinstance(device, HostDevice):
        raise DeviceError(f"no runtime here runs a .onnx file on {device.name!r}; use the device 'cpu'")
    return OnnxEngine(path, threads)
