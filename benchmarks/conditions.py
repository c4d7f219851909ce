"""Under which conditions a number was measured; stands beside each number in benchmarks/results."""

import hashlib
import json
import os
import platform
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from edge.pipeline.backend import Backend
from engines.cuda_device import CudaDevice
from engines.files import whole
from engines.gpu import Gpu

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
SIZES = ("576x320", "1088x608")
"""Of the shipped networks' input."""
PACKAGES = ("numpy", "opencv-python-headless", "av", "lap", "onnxruntime", "onnxruntime-gpu", "uvicorn")


def conditions(models: Iterable[Path] = (), backend: Backend | None = None) -> dict[str, Any]:
    """Machine, versions, commit, model files, and what runs them, of this run."""
    return {
        "measured_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": _git("rev-parse", "--short=12", "HEAD"),
        "changed_since_commit": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "load_average": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
        "models": {path.name: hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in sorted(models)},
        "runtime": None if backend is None else _runtime(backend),
    }


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """p50, p95 and p99, as results have them."""
    found = np.percentile(values, (50, 95, 99)).tolist()
    return dict(zip(("p50", "p95", "p99"), (round(value, 3) for value in found), strict=True))


def save(name: str, result: Mapping[str, Any], folder: Path = RESULTS) -> Path:
    """Write `result` as folder/name.json, whole at any moment, and return the path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    with whole(path) as partial:
        partial.write_text(json.dumps(result, indent=1) + "\n")
    return path


def save_verdict(name: str, result: Mapping[str, Any], verdict: Mapping[str, Any], folder: Path) -> int:
    """Print the verdict, save both; an exit code: 1 where the verdict has `failures`."""
    for key, value in verdict.items():
        print(f"{key:27} {value}")
    print(f"saved {save(name, {**result, **verdict}, folder)}")
    return 1 if verdict["failures"] else 0


def _runtime(backend: Backend) -> dict[str, Any]:
    """The engines' kinds, and the GPU with its driver where there is one."""
    engines = {name: type(engine).__name__ for name, engine in backend.engines.items()}
    gpu = asdict(Gpu.of(backend.device)) if isinstance(backend.device, CudaDevice) else None
    return {"engines": engines, "gpu": gpu}


def _git(*arguments: str) -> str:
    """Output of git, empty outside of a checkout."""
    try:
        done = subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip()


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
