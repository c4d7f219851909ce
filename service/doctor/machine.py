"""What `doctor` asks of the machine: driver, runtimes, decoders, clock, processor."""

import ctypes
import ctypes.util
import os
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import av

from edge.sources.decoding import Wanted, survey
from engines.cuda_device import CudaDevice
from engines.errors import DeviceError

Status = Literal["ok", "warn", "fail"]
CPU_FLAGS = {
    "avx2": "fast",
    "avx512f": "faster",
    "avx512_vnni": "8-bit networks",
    "avx512_bf16": "training in bf16",
    "amx_bf16": "training in bf16",
    "asimd": "fast",
}
"""Features in /proc/cpuinfo that the networks use, and what for; `asimd` is Arm's."""
JETSON = Path("/etc/nv_tegra_release")
"""JetPack's mark."""
REMEDIES = {
    "gstreamer": "run with JetPack's own OpenCV, which has GStreamer: apt install python3-opencv; see docs/GPU.md",
    "gpu": "in a container, ask for the video unit, too: NVIDIA_DRIVER_CAPABILITIES=compute,utility,video",
}
"""Where a video unit is expected and does not decode; until then the CPU does."""
UNSYNCHRONIZED = 5
"""adjtimex's TIME_ERROR: nobody disciplines the clock."""
EARLIEST = 1767225600
"""2026-01-01: a clock before that was never set."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    status: Status
    found: str
    advice: str = ""
    """What to do; empty when ok."""


def driver() -> Check:
    """The NVIDIA driver and its first GPU; a service on the CPU does without."""
    if not _loads("libcuda.so.1"):
        return Check("driver", "ok", "no NVIDIA driver; networks run on the CPU")
    try:
        gpu = CudaDevice()
    except DeviceError as error:
        advice = "reboot after a driver update; in a container ask for the GPU: docker run --gpus all"
        return Check("driver", "warn", str(error), advice)
    (major, minor), speaks = gpu.compute_capability, gpu.driver_version
    return Check("driver", "ok", f"CUDA {speaks // 1000}.{speaks % 1000 // 10}; {gpu.name} (sm_{major}{minor})")


def runtimes() -> Check:
    """Which network runtimes are installed; without any nothing runs."""
    wanted = ("onnxruntime", "onnxruntime-gpu", "tensorrt", "tensorrt-rtx")
    found = {name: number for name in wanted if (number := _version(name))}
    if not found:
        return Check("runtime", "fail", "none", "pip install -e '.[cpu,service]', or '.[gpu,service]'")
    text = ", ".join(f"{name} {number}" for name, number in found.items())
    if "onnxruntime" in found and "onnxruntime-gpu" in found:
        advice = "they share a module and break each other: pip uninstall both, install one"
        return Check("runtime", "fail", text, advice)
    return Check("runtime", "ok", text)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def decoders() -> Check:
    """FFmpeg's decoders, which every camera may come to need."""
    missing = [name for name in ("h264", "hevc", "mjpeg") if not _can_decode(name)]
    text = f"FFmpeg of PyAV {av.__version__}"
    if missing:
        return Check(
            "decoders", "fail", f"{text}; cannot decode {', '.join(missing)}", "pip install --force-reinstall av"
        )
    return Check("decoders", "ok", text)


def _can_decode(codec: str) -> bool:
    try:
        return av.Codec(codec, "r").is_decoder
    except ValueError:  # av.codec.UnknownCodecError
        return False


def decoding(wanted: Wanted, device: str) -> Check:
    """Which ways of decoding work here, and whether the `wanted` one does; device: where the networks are told to run.

    Worth a warning: the machine has a video unit by the look of it, and `auto` cannot use it.
    """
    refusals = survey()
    works = ", ".join(where for where, refusal in refusals.items() if refusal is None)
    found = f"{wanted}; here work: {works}"
    if refusal := refusals.get(wanted):
        return Check("decoding", "fail", f"{found}; not {wanted}: {refusal}", "choose another --decode, such as auto")
    expected = "gstreamer" if JETSON.exists() else "gpu" if _loads("libcuda.so.1") else "cpu"
    if wanted == "auto" and device != "cpu" and (refusal := refusals[expected]):
        return Check("decoding", "warn", f"{found}; not {expected}: {refusal}", REMEDIES[expected])
    return Check("decoding", "ok", found)


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def clock() -> Check:
    """Whether the time is right: frame ages and event times hang on it."""
    if time.time() < EARLIEST:
        return Check(
            "clock", "fail", time.strftime("%Y-%m-%d", time.gmtime()), "set the clock: timedatectl set-ntp true"
        )
    now = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    if _unsynchronized():
        advice = "timedatectl set-ntp true; several cameras or machines cannot be compared otherwise"
        return Check("clock", "warn", f"{now}, not synchronised", advice)
    return Check("clock", "ok", now)


def _unsynchronized() -> bool:
    """Ask the kernel; where it does not say, assume the best."""
    try:
        adjtimex = ctypes.CDLL(None).adjtimex
    except (OSError, AttributeError):
        return False
    question = ctypes.create_string_buffer(512)  # struct timex with modes = 0: read only
    return bool(adjtimex(question) == UNSYNCHRONIZED)


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> Check:
    """Cores that this process may use, and the features that its networks like."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        text = cpuinfo.read_text()
    except OSError:
        return Check("processor", "ok", f"{cores} cores, features unknown")
    flags = {flag for line in text.splitlines() if line.startswith(("flags", "Features")) for flag in line.split()}
    found = [flag for flag in CPU_FLAGS if flag in flags]
    shown = f"{cores} cores, {', '.join(found) or 'none of ' + ', '.join(CPU_FLAGS)}"
    if not {"avx2", "asimd"} & flags:
        return Check("processor", "warn", shown, "without AVX2 the networks are several times slower")
    return Check("processor", "ok", shown)
