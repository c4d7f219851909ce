"""The steps of `benchmarks.gpu.check`: each measures or compares one thing and returns what goes into the result.

Written against the seams alone, so that every step also runs on the CPU, which is how they are tested.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from time import perf_counter
from typing import Any, cast, get_args
from xml.etree import ElementTree

from benchmarks.conditions import ROOT, conditions
from benchmarks.gpu.speed import lanes, law
from benchmarks.gpu.subject import ROLES, GpuCheck
from engines.device import GpuDevice
from engines.errors import EngineError
from engines.gpu import Gpu
from engines.load import open_device
from engines.plan import PlanStore, RuntimeName
from engines.tensorrt_engine import TensorRtEngine

PYTEST = "-m pytest -q -p no:cacheprovider -m gpu".split()
KERNEL_TESTS = "tests/edge/ops/test_cuda_ops.py"
FEW = "share_a_batch or ends_of_luma or five_hundred or lanes_of_a_batch"
"""Tests that launch every kernel and are quick under the sanitizer."""


class Skip(Exception):
    """A step that cannot be done here, and why."""


def environment(check: GpuCheck) -> dict[str, Any]:
    """Machine, driver, versions."""
    found = conditions([check.model(role) for role in ROLES])
    device = open_device(check.device)
    if device.kind == "cuda":
        gpu = Gpu.of(cast(GpuDevice, device))
        found["gpu"] = {"name": gpu.name, "compute_capability": gpu.compute_capability, "cuda": gpu.driver_major}
    found["runtimes"] = [name for name in get_args(RuntimeName) if find_spec(name)]
    found["tools"] = {name: which(name) for name in ("compute-sanitizer", "nsys", "nvcc", "nvidia-smi")}
    return found


def plans(check: GpuCheck) -> dict[str, Any]:
    """Plans in fp16 of all networks with every runtime that is installed, if this GPU can run one of them."""
    runtimes = [name for name in get_args(RuntimeName) if find_spec(name)]
    if not runtimes:
        raise Skip("neither tensorrt nor tensorrt_rtx is installed")
    found: dict[str, Any] = {}
    for runtime in runtimes:
        tried = _build(check, runtime, ["student"])
        if not tried["failed"] and check.device == "cuda":
            tried["failed"] = _cannot_load(check)
        found[runtime] = tried if tried["failed"] else _build(check, runtime, ROLES)
        check.note(found)
    if all(entry["failed"] for entry in found.values()):
        shutil.rmtree(check.plans, ignore_errors=True)
        raise Skip("; ".join(f"{runtime}: {entry['failed']}" for runtime, entry in found.items()))
    return found


def halved(check: GpuCheck) -> dict[str, Any]:
    """Model files in fp16 for ONNX Runtime, which is all that runs where TensorRT does not."""
    if not find_spec("onnx"):
        raise Skip("onnx is not installed, which changes a file's precision")
    check.halves.mkdir(parents=True, exist_ok=True)
    for role in ROLES:
        command = [sys.executable, "-m", "export.precision", str(check.model(role)), "--precision", "fp16"]
        subprocess.run([*command, "--output", str(check.model(role, "halved"))], cwd=ROOT, check=True)
    return {role: check.model(role, "halved").stat().st_size for role in ROLES}


def kernels(check: GpuCheck) -> dict[str, Any]:
    """Letterbox, ownership and extrapolation against their specification, `edge.ops.host`."""
    return _tests(check, "kernels", KERNEL_TESTS)


def parity(check: GpuCheck) -> dict[str, Any]:
    """Every engine against ONNX Runtime on the CPU, on drawn frames."""
    return _tests(check, "parity", "tests/engines/test_parity.py")


def _tests(check: GpuCheck, name: str, file: str) -> dict[str, Any]:
    """What the tests marked `gpu` of a file say. Raises Skip where they cannot run."""
    if missing := [package for package in ("pytest", "hypothesis") if not find_spec(package)]:
        raise Skip(f"{' and '.join(missing)} not installed, which the tests need")
    report = check.out / f"{name}.xml"
    command = [sys.executable, *PYTEST, file, f"--junitxml={report}"]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    cases = list(ElementTree.parse(report).iter("testcase"))  # noqa: S314 - pytest's own
    skipped = [case.find("skipped") for case in cases]
    reasons = {str(entry.get("message")) for entry in skipped if entry is not None}
    if cases and None not in skipped:
        raise Skip("; ".join(reasons))
    broken = {
        case.get("name"): entry.get("message")
        for case in cases
        for entry in (*case.findall("failure"), *case.findall("error"))
    }
    return {
        "tests": len(cases) - len(skipped) + skipped.count(None),
        "failed": broken,
        "passed": bool(cases) and not broken,
    }


def sanitizer(check: GpuCheck) -> dict[str, Any]:
    """The kernels under compute-sanitizer: no access out of bounds, no use of what was never written."""
    tool = which("compute-sanitizer")
    if tool is None:
        raise Skip("no compute-sanitizer on this machine")
    found: dict[str, Any] = {}
    for kind in ("memcheck", "initcheck", "synccheck"):
        command = [tool, "--tool", kind, "--error-exitcode", "9", sys.executable, *PYTEST, KERNEL_TESTS]
        done = subprocess.run([*command, "-k", FEW], cwd=ROOT, capture_output=True, text=True, check=False)
        lines = [line for line in done.stdout.splitlines() if "ERROR SUMMARY" in line]
        said = lines[-1].strip("= ") if lines else (done.stderr or done.stdout)[-300:]
        found[kind] = {"exit": done.returncode, "summary": said}
        check.note(found | {"passed": all(entry["exit"] == 0 for entry in found.values())})
    return found | {"passed": all(entry["exit"] == 0 for entry in found.values())}


def _build(check: GpuCheck, runtime: str, roles: Sequence[str]) -> dict[str, Any]:
    """Seconds, and what the builder complained about."""
    command = [sys.executable, "-m", "export.to_plan", "--runtime", runtime, "--precision", "fp16"]
    command += ["--output", str(check.plans), "--progress", "none", "--max-batch", str(check.largest_batch)]
    command += ["--size", "{}x{}".format(*check.size)]  # of files that take any
    command += ["--optimum-batch", str(check.largest_batch // 2), *(str(check.model(role)) for role in roles)]
    started_s = perf_counter()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    complaint = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1] if done.returncode else ""
    return {"seconds": round(perf_counter() - started_s, 1), "failed": complaint}


def _cannot_load(check: GpuCheck) -> str:
    """Why the newest plan does not run here; empty where it does."""
    path: Path = next(PlanStore(check.plans).manifests())[0]
    try:
        device = cast(GpuDevice, open_device(check.device))
        queue = device.cuda_stream()
        TensorRtEngine(path, device).prepare(1).run(1, queue)
        queue.synchronize()
    except EngineError as error:
        return str(error)
    return ""


STEPS: Mapping[str, Callable[[GpuCheck], dict[str, Any]]] = {
    step.__name__: step for step in (environment, kernels, plans, halved, parity, sanitizer, law, lanes)
}
"""Names as in `benchmarks.gpu.check.LIMITS`."""
