"""Builds the stand-in for libcuda: the driver's C interface, and the kernels' own source, as host C++."""

import ctypes
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
KERNELS = HERE.parents[1] / "edge" / "ops" / "kernels"


@cache
def host_driver() -> Path:
    """The library; skips where no C++ compiler is. Undefined behaviour in a kernel ends the process."""
    compiler = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("no C++ compiler: the kernels cannot be run on the host (Debian: apt install g++)")
    library = Path(tempfile.mkdtemp(prefix="host-driver-")) / "libhostcuda.so"
    options = ["-O1", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-shared", "-fPIC"]
    sanitize = ["-fsanitize=undefined", "-fno-sanitize-recover=undefined"]
    sources = [HERE / "host_kernels.cpp", HERE / "host_driver.cpp"]
    command = [compiler, *options, f"-I{HERE}", f"-I{KERNELS}", *sources, "-o", library]
    done = subprocess.run([*command, *sanitize], capture_output=True, text=True, check=False)
    if done.returncode:  # some machines have the compiler without the sanitizer's library
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return library


def statistic(name: str) -> int:
    """`allocations` so far, bytes `copied` so far, `blocks` of memory or `live` queues and events at present."""
    return int(getattr(ctypes.CDLL(str(host_driver())), f"host_driver_{name}")())


def run_backwards(backwards: bool) -> None:
    """Let the last thread of the last block run first, or not."""
    ctypes.CDLL(str(host_driver())).host_driver_order(int(backwards))
