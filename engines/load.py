"""From a model file to an engine: the file's kind and the device decide which."""

import logging
from importlib.util import find_spec
from pathlib import Path
from typing import cast, get_args

import onnxruntime as ort

from engines.cuda_device import CudaDevice
from engines.device import Device, GpuDevice
from engines.engine import Engine
from engines.errors import MAKE_PLAN, DeviceError, EngineError, ModelFileError, PlanError, PlanTooSmallError
from engines.host import HostDevice
from engines.onnx_cuda_engine import OnnxCudaEngine
from engines.onnx_engine import OnnxEngine
from engines.plan import PlanStore, RuntimeName, file_sha256, plans_folder
from engines.plan_builds import PlanBuilds
from engines.signature import size_name
from engines.switching import SwitchingEngine
from engines.tensorrt_engine import TensorRtEngine

log = logging.getLogger(__name__)


def open_device(name: str) -> Device:
    """The device called 'cpu', 'cuda' or 'auto' (a GPU if one is usable). Raises DeviceError where there is none."""
    if name == "cpu":
        return HostDevice()
    if name not in ("cuda", "auto"):
        raise DeviceError(f"unknown device {name!r}; use 'cpu', 'cuda' or 'auto'")
    try:
        device = CudaDevice()
        _check_runtime()
    except DeviceError as error:
        if name == "cuda":
            raise
        log.info("networks run on the CPU: %s", error)
        return HostDevice()
    return device


def _check_runtime() -> None:
    """Raise DeviceError unless something that runs networks on a GPU is installed."""
    if "CUDAExecutionProvider" in ort.get_available_providers():
        return
    if not any(find_spec(name) for name in get_args(RuntimeName)):
        raise DeviceError(
            "there is a GPU, but neither onnxruntime-gpu nor TensorRT is installed; see docs/GPU.md, or use the device "
            "'cpu'"
        )


def load_engine(
    path: Path,
    device: Device,
    threads: int | None = None,
    plans: Path | None = None,
    builds: PlanBuilds | None = None,
    max_batch: int = 1,
    size: tuple[int, int] | None = None,
) -> Engine:
    """Load the network at `path` for `device`.

    A .onnx file runs in ONNX Runtime; on a GPU its newest plan in the folder `plans` (None: `plans_folder`) takes its
    place where one fits. Where none does and `builds` is given, a plan is ordered there, and takes over when it is
    ready. A .plan file runs in TensorRT. `threads`: as in OnnxEngine. A plan for fewer than `max_batch` images does not
    fit; where it is all that is missing, and nobody builds another, that is an error: ONNX Runtime in its place would
    be several times slower. `size`: width and height of the input, None for the file's own; one with open sizes takes
    any multiples of 32.

    Raises ModelFileError, PlanError, SignatureError or DeviceError.
    """
    if path.suffix not in (".onnx", ".plan"):
        raise ModelFileError(f"cannot load {path}: expected a .onnx or .plan file")
    if device.kind == "cpu":
        if path.suffix == ".plan":
            raise DeviceError(f"{path} is a TensorRT plan and needs a GPU; on the CPU load the .onnx file it came from")
        return OnnxEngine(path, threads, size)
    gpu = cast(GpuDevice, device)  # which is what `kind` says
    if path.suffix == ".plan":
        return TensorRtEngine(path, gpu, max_batch=max_batch, size=size)
    planned = _planned(path, gpu, plans or plans_folder(), max_batch, size, too_small_will_do=builds is not None)
    return planned or _unplanned(path, gpu, builds, size)


def _planned(
    path: Path,
    device: GpuDevice,
    folder: Path,
    max_batch: int,
    size: tuple[int, int] | None,
    too_small_will_do: bool,
) -> TensorRtEngine | None:
    """The newest plan of a model file that fits; those that do not are told of, with the remedy.

    Raises PlanError where one fits but for its batch, unless that will do.
    """
    wanted = file_sha256(path) if path.is_file() else ""
    too_small: PlanError | None = None
    for plan, manifest in PlanStore(folder).manifests():
        if manifest.key.model_sha256 == wanted and manifest.key.size in ("", size_name(size)):
            try:
                return TensorRtEngine(plan, device, max_batch=max_batch, size=size)
            except EngineError as error:
                log.warning("%s", error)
                if isinstance(error, PlanTooSmallError):
                    too_small = error
    if too_small is not None and not too_small_will_do:
        raise too_small
    return None


def _unplanned(path: Path, device: GpuDevice, builds: PlanBuilds | None, size: tuple[int, int] | None) -> Engine:
    """ONNX Runtime, which a plan replaces if one is being built."""
    engine = OnnxCudaEngine(path, device, size=size)
    if builds is None:
        more = f" --size {size_name(size)}" if size else ""
        log.warning("%s runs without a plan; faster with one: %s %s%s", path.name, MAKE_PLAN, path, more)
        return engine
    switching = SwitchingEngine(engine)

    def take_over(plan: Path) -> None:
        switching.offer(TensorRtEngine(plan, device))

    builds.order(path, take_over, size)
    return switching
