"""The bars that the product is held to on a GPU, beside what was measured."""

from collections.abc import Mapping
from typing import Any

Results = Mapping[str, Any]
"""Step -> what is known of it."""
FASTEST = "<fastest>"
"""In a path: the way of running the networks that is the fastest at K=6."""
BARS: Mapping[str, tuple[str, str, float]] = {
    "kernels equal their specification": ("kernels passed", "above", 0.5),
    "engines agree with ONNX Runtime on the CPU": ("parity passed", "above", 0.5),
    "compute-sanitizer finds nothing in the kernels": ("sanitizer passed", "above", 0.5),
    "rate at K=6, as a share of what the engines alone reach": (f"law {FASTEST} share_of_engines 6", "above", 0.9),
    "c, ms per student frame": (f"law {FASTEST} c_ms", "below", 0.3),
    "worst residual of the law": (f"law {FASTEST} worst_residual", "below", 0.05),
    "one stream at K=6, FPS (stated for an H200 at 1088x608)": (f"law {FASTEST} fps_by_k 6", "above", 400),
    # 99 %: the first and the last frames of a window belong to it by chance.
    "64 streams of 30 FPS: frames tracked per second": ("lanes 64 paced fps_total", "above", 0.99 * 64 * 30),
    "64 streams of 30 FPS: p95 of the frames' age, ms": ("lanes 64 paced age_ms p95", "below", 100),
}
"""Name -> where the number is: step and path in its result; on which side of what it must be."""


def verdicts(results: Results) -> dict[str, Any]:
    """Each bar's measured value, what it should be and whether it is, None where nothing was measured; and on what."""
    way = fastest(results)
    found = {}
    for name, (path, side, bar) in BARS.items():
        value = _number(results, path.replace(FASTEST, way or ""))
        met = None if value is None else value > bar if side == "above" else value < bar
        found[name] = {"measured": value, "bar": f"{side} {bar:g}", "met": met}
    gpu = _result(results, "environment").get("gpu") or {}
    return {"measured_on": gpu.get("name"), "with": way, "bars": found}


def fastest(results: Results) -> str | None:
    """Which way of running the networks is the fastest at K=6; None where no law was measured."""
    law = _result(results, "law")
    rates = {way: found.get("fps_by_k", {}).get("6", 0.0) for way, found in law.items()}
    return max(rates, key=lambda way: float(rates[way]), default=None)


def _result(results: Results, step: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = results.get(step, {}).get("result", {})
    return found


def _number(results: Results, path: str) -> float | None:
    """What lies at the path's end, None where it breaks off."""
    step, *names = path.split()
    found: Any = _result(results, step)
    for name in names:
        found = found.get(name) if found else None
    return None if found is None else float(found)
