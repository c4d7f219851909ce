"""The steps of `benchmarks.gpu_check`: each measures or compares one thing and returns what goes into the result.

Written against the seams alone, so that every step also runs on the CPU, which is how they are tested.
"""

import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from shutil import which
from time import perf_counter
from typing import Any, cast, get_args

from benchmarks.conditions import ROOT, conditions
from benchmarks.gpu_parity import kernels, parity
from benchmarks.gpu_speed import lanes, law, rates, timeline
from benchmarks.gpu_subject import Check
from engines.device import GpuDevice
from engines.gpu import Gpu
from engines.load import open_device
from engines.plan import RuntimeName


class Skip(Exception):
    """A step that cannot be done here, and why."""


def environment(check: Check) -> dict[str, Any]:
    """Machine, driver, versions."""
    found = conditions([check.model(role) for role in ("teacher", "student", "student-plain")])
    device = open_device(check.device)
    if device.kind == "cuda":
        gpu = Gpu.of(cast(GpuDevice, device))
        found["gpu"] = {"name": gpu.name, "compute_capability": gpu.compute_capability, "cuda": gpu.driver_major}
    found["runtimes"] = [name for name in get_args(RuntimeName) if find_spec(name)]
    found["tools"] = {name: which(name) for name in ("compute-sanitizer", "nsys", "nvcc")}
    return found


def sanitizer(check: Check) -> dict[str, Any]:
    """The kernels under compute-sanitizer: no access out of bounds, no use of what was never written."""
    tool = which("compute-sanitizer")
    if tool is None:
        raise Skip("no compute-sanitizer on this machine")
    found = {}
    for kind in ("memcheck", "initcheck", "racecheck"):
        command = [tool, "--tool", kind, "--error-exitcode", "9", sys.executable, "-m", "benchmarks.gpu_check"]
        command += ["--step", "kernels", "--device", check.device, "--models", str(check.models), "--quick"]
        command += ["--pair", check.pair, "--size", f"{check.size[0]}x{check.size[1]}", "--out", str(check.out)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        lines = [line for line in done.stdout.splitlines() if "ERROR SUMMARY" in line or "RACECHECK SUMMARY" in line]
        found[kind] = {"exit": done.returncode, "summary": lines[-1].strip("= ") if lines else done.stderr[-300:]}
    return found | {"passed": all(entry["exit"] == 0 for entry in found.values())}


def plans(check: Check) -> dict[str, Any]:
    """Build plans of all networks with every runtime that is installed."""
    runtimes = [name for name in get_args(RuntimeName) if find_spec(name)]
    if not runtimes:
        raise Skip("neither tensorrt nor tensorrt_rtx is installed")
    # The newest plan is the one that the pipeline takes, hence fp16 last.
    built: dict[str, Any] = {}
    for runtime in runtimes:
        for precision in ("fp16",) if check.quick else ("fp32", "int8", "fp16"):
            command = [sys.executable, "-m", "export.to_plan", "--runtime", runtime, "--precision", precision]
            command += ["--output", str(check.plans), "--progress", "none"]
            command += ["--max-batch", str(check.largest_batch), "--optimum-batch", str(check.batches[-1])]
            command += [str(check.model(role)) for role in ("teacher", "student", "student-plain")]
            started_s = perf_counter()
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
            complaint = done.stderr.strip().splitlines()[-1:] if done.returncode else []
            built[f"{runtime} {precision}"] = {"seconds": round(perf_counter() - started_s, 1), "failed": complaint}
    return built | {"passed": not any(entry["failed"] for entry in built.values())}


STEPS: Mapping[str, tuple[Callable[[Check], dict[str, Any]], float]] = {
    "environment": (environment, 60),
    "kernels": (kernels, 60),
    "plans": (plans, 150),
    "parity": (parity, 100),
    "rates": (rates, 100),
    "law": (law, 100),
    "lanes": (lanes, 80),
    "sanitizer": (sanitizer, 100),
    "timeline": (timeline, 60),
}
"""In this order; with the most seconds that each may take."""
