"""Builds the stand-in for libcuda, the driver's C interface and the kernels' own source as host C++, and has NVIDIA's
bindings find it in libcuda's place: they, and nobody else in this process."""

import ctypes
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from cuda.pathfinder._dynamic_libs import load_nvidia_dynamic_lib as finder
from cuda.pathfinder._dynamic_libs.load_dl_common import LoadedDL

from engines.cuda_device import CudaDevice

HERE = Path(__file__).resolve().parent
KERNELS = HERE.parents[1] / "edge" / "ops" / "kernels"


def stand_in_gpu(kind: type[CudaDevice] = CudaDevice, index: int = 0, sleeping: bool = False) -> CudaDevice:
    """A device of the stand-in. There is a GPU for nobody but whoever asks here."""
    with present():
        return kind(index, sleeping)


@contextmanager
def present() -> Iterator[None]:
    """Whoever looks for a GPU meanwhile finds the stand-in."""
    driver().host_driver_present(1)
    try:
        yield
    finally:
        driver().host_driver_present(0)


@contextmanager
def failing(status: int, for_good: bool) -> Iterator[None]:
    """All work comes to this error, and so does all else where the context is gone `for_good`."""
    driver().host_driver_fail(status, int(for_good))
    try:
        yield
    finally:
        driver().host_driver_fail(0, 0)


@cache
def driver() -> ctypes.CDLL:
    """The stand-in, to be asked and told things. Skips where the bindings have a real driver."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        library = ctypes.CDLL(str(_built()))
        loaded = LoadedDL(library._name, False, library._handle, "stand-in")
        finder._load_driver_lib_no_cache = lambda described: loaded
        return library
    pytest.skip("this machine has a real CUDA driver")


def _built() -> Path:
    """The library; skips where no C++ compiler is. Undefined behaviour in a kernel ends the process."""
    compiler = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("no C++ compiler: the kernels cannot be run on the host (Debian: apt install g++)")
    library = Path(tempfile.mkdtemp(prefix="host-driver-")) / "libhostcuda.so"
    options = ["-O1", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-shared", "-fPIC"]
    sanitize = ["-fsanitize=undefined", "-fno-sanitize-recover=undefined"]
    sources = [HERE / "host_kernels.cpp", HERE / "host_driver.cpp"]
    command = [compiler, *options, f"-I{HERE}", f"-I{KERNELS}", *sources, "-ldl", "-o", library]
    done = subprocess.run([*command, *sanitize], capture_output=True, text=True, check=False)
    if done.returncode:  # some machines have the compiler without the sanitizer's library
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return library


def statistic(name: str) -> int:
    """`allocations` so far, bytes `copied` so far, `blocks` of memory or `live` queues and events at present."""
    return int(getattr(driver(), f"host_driver_{name}")())


def run_backwards(backwards: bool) -> None:
    """Let the last thread of the last block run first, or not."""
    driver().host_driver_order(int(backwards))
