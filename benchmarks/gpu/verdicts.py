"""The bars that the product is held to on a GPU, beside what was measured."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Results = Mapping[str, Any]
"""Step -> what is known of it."""
STREAMS = "64"
FULL_RATE = 64 * 30.0


@dataclass(frozen=True, slots=True)
class Bar:
    """Something that must be above or below a number."""

    name: str
    measured: Callable[[Results], float | None]
    above: float | None = None
    below: float | None = None

    def verdict(self, results: Results) -> dict[str, Any]:
        """Measured value, bar, and whether it is met; None where nothing was measured."""
        value = self.measured(results)
        wanted = f"above {self.above:g}" if self.above is not None else f"below {self.below:g}"
        met = None
        if value is not None:
            met = value > self.above if self.above is not None else value < (self.below or 0.0)
        return {"measured": value, "bar": wanted, "met": met}


def verdicts(results: Results) -> dict[str, Any]:
    """Name -> verdict, and on what."""
    gpu = _result(results, "environment").get("gpu") or {}
    found = {bar.name: bar.verdict(results) for bar in BARS}
    return {"measured_on": gpu.get("name"), "with": fastest(results), "bars": found}


def fastest(results: Results) -> str | None:
    """Which way of running the networks is the fastest at K=6; None where no law was measured."""
    law = _result(results, "law")
    rates = {way: found.get("fps_by_k", {}).get("6", 0.0) for way, found in law.items()}
    return max(rates, key=lambda way: float(rates[way]), default=None)


def _result(results: Results, step: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = results.get(step, {}).get("result", {})
    return found


def _law(*path: str) -> Callable[[Results], float | None]:
    """A number of the fastest way's law."""
    return lambda results: _number(_result(results, "law"), fastest(results) or "", *path)


def _paced(*path: str) -> Callable[[Results], float | None]:
    """A number of the 64 streams that keep to their frame rate."""
    return lambda results: _number(_result(results, "lanes"), STREAMS, "paced", *path)


def _number(found: Any, *path: str) -> float | None:
    """What lies at the path's end, None where it breaks off."""
    for name in path:
        found = found.get(name) if found else None
    return None if found is None else float(found)


def _passed(step: str) -> Callable[[Results], float | None]:
    """1 or 0, None where the step has no result."""

    def look(results: Results) -> float | None:
        passed = _result(results, step).get("passed")
        return None if passed is None else float(passed)

    return look


BARS = (
    Bar("kernels equal their specification", _passed("kernels"), above=0.5),
    Bar("engines agree with ONNX Runtime on the CPU", _passed("parity"), above=0.5),
    Bar("compute-sanitizer finds nothing in the kernels", _passed("sanitizer"), above=0.5),
    Bar("rate at K=6, as a share of what the engines alone reach", _law("share_of_engines", "6"), above=0.9),
    Bar("c, ms per student frame", _law("c_ms"), below=0.3),
    Bar("worst residual of the law", _law("worst_residual"), below=0.05),
    Bar("one stream at K=6, FPS (stated for an H200 at 1088x608)", _law("fps_by_k", "6"), above=400),
    # 99 %: the first and the last frames of a window belong to it by chance.
    Bar("64 streams of 30 FPS: frames tracked per second", _paced("fps_total"), above=0.99 * FULL_RATE),
    Bar("64 streams of 30 FPS: p95 of the frames' age, ms", _paced("age_ms", "p95"), below=100),
)
