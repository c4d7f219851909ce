"""Where CI runs, what the GPU tests need is there: without it they would be skipped, and prove nothing."""

import os
import platform
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from engines.nvrtc import compile_program

on_ci = pytest.mark.skipif(
    os.environ.get("CI") != "true" or platform.machine() != "x86_64", reason="holds for the build machine, x86-64"
)


@on_ci
def test_plans_can_be_built_there() -> None:
    assert find_spec("tensorrt_rtx") is not None


@on_ci
def test_kernels_can_be_compiled_for_gpus_and_for_the_host_there() -> None:
    assert compile_program('extern "C" __global__ void nothing() {}', "nothing.cu", "90")[0]
    assert any(shutil.which(compiler) for compiler in ("c++", "g++", "clang++"))


@on_ci
def test_names_of_all_three_versions_of_tensorrt_can_be_looked_up_there() -> None:
    bindings = Path(__file__).resolve().parents[1] / ".trt-bindings"
    versions = {path.name.split("-")[1] for path in bindings.glob("*.whl")}
    assert versions == {"10.3.0", "10.16.1.11", "11.4.0.106"}
    assert shutil.which("cc") is not None
