"""From an ONNX file to a plan, with what TensorRT 10, 11 and TensorRT-RTX have in common.

The library comes as an argument, so that this file needs none to be imported. Networks are strongly typed: precision
stands in the ONNX file, and no builder flag changes it.
"""

import threading
from collections.abc import Callable
from typing import Any, TypeAlias

from engines.errors import PlanError

Progress: TypeAlias = Callable[[float, str], None]
"""Called with the share that is done, 0 to 1 and never falling, and with what is being done; on any thread."""

Library: TypeAlias = Any
"""The module `tensorrt` or `tensorrt_rtx`; neither has types."""


def build_plan(trt: Library, model: bytes, max_batch: int, optimum_batch: int, progress: Progress) -> bytes:
    """A plan for batches of 1 to `max_batch`, tuned for `optimum_batch`; inputs vary in their first axis alone.

    Raises PlanError with the parser's or the builder's own words. Every object lives until the function ends, since the
    parser does not keep its network alive.
    """
    if not 1 <= optimum_batch <= max_batch:
        raise ValueError(f"optimum_batch must be 1..{max_batch}, got {optimum_batch}")
    logger = make_logger(trt)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(model):
        raise PlanError(f"{name_of(trt)} refuses the network: {_parser_errors(parser)}")
    config = builder.create_builder_config()
    config.clear_flag(trt.BuilderFlag.TF32)  # fp32 means fp32
    profile = builder.create_optimization_profile()
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        batch, *rest = tuple(tensor.shape)
        if batch != -1 or -1 in rest:
            raise PlanError(f"input {tensor.name!r} must vary in its first axis alone, has the shape {(batch, *rest)}")
        profile.set_shape(tensor.name, (1, *rest), (optimum_batch, *rest), (max_batch, *rest))
    config.add_optimization_profile(profile)
    # A monitor made in Python must be kept alive by Python.
    monitor = config.progress_monitor = _make_monitor(trt, progress)
    plan = builder.build_serialized_network(network, config)
    del monitor
    if plan is None:
        raise PlanError(f"{name_of(trt)} cannot build the network: {logger.last or 'it gives no reason'}")
    progress(1.0, "built")
    return bytes(memoryview(plan))


def name_of(trt: Library) -> str:
    """Such as 'tensorrt_rtx 1.7.1.116'."""
    return f"{trt.__name__} {trt.__version__}"


def make_logger(trt: Library) -> Any:
    """A logger that keeps the last error, as `last`, instead of printing."""

    class KeepingLogger(trt.ILogger):  # type: ignore[misc]  # the base is known when the library is
        """See `make_logger`."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.last = ""

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR):
                self.last = message

    return KeepingLogger()


class PhaseTree:
    """How far a build is, from TensorRT's nested phases. A phase fills one step of the phase that it belongs to."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._lock = threading.Lock()  # phases are reported by several threads
        self._parents: dict[str, str | None] = {}
        self._steps: dict[str, int] = {}
        self._done: dict[str, float] = {}
        self._share = 0.0

    def start(self, name: str, parent: str | None, steps: int) -> None:
        """A phase of so many steps begins inside another, or by itself."""
        with self._lock:
            self._parents[name] = parent
            self._steps[name] = max(steps, 1)
            self._done[name] = 0.0
        self._report(name)

    def step(self, name: str, step: int) -> None:
        """Step number `step`, from 0, of a phase is done."""
        with self._lock:
            if name not in self._steps:
                return
            self._done[name] = min(step + 1, self._steps[name])
        self._report(name)

    def finish(self, name: str) -> None:
        """A phase is over."""
        with self._lock:
            if name in self._steps:
                self._done[name] = self._steps[name]
        self._report(name)
        with self._lock:
            for table in (self._parents, self._steps, self._done):
                table.pop(name, None)

    def _report(self, name: str) -> None:
        with self._lock:
            if name not in self._steps:
                return
            phase, within = name, self._done[name] / self._steps[name]
            while (parent := self._parents.get(phase)) is not None and parent in self._steps:
                within = min(self._done[parent] + within, self._steps[parent]) / self._steps[parent]
                phase = parent
            self._share = max(self._share, within)
            share = self._share
        self._progress(share, name)


def _make_monitor(trt: Library, progress: Progress) -> Any:
    """TensorRT's way to say how far it is, told to `progress`."""
    tree = PhaseTree(progress)

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]  # the base is known when the library is
        """See `_make_monitor`."""

        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            tree.start(phase_name, parent_phase, num_steps)

        def phase_finish(self, phase_name: str) -> None:
            tree.finish(phase_name)

        def step_complete(self, phase_name: str, step: int) -> bool:
            tree.step(phase_name, step)
            return True  # go on

    return Monitor()


def _parser_errors(parser: Any) -> str:
    """What the parser says, each complaint with the node that it is about."""
    errors = (parser.get_error(index) for index in range(parser.num_errors))
    found = [f"{error.node_operator() or 'graph'} {error.node_name()!r}: {error.desc()}" for error in errors]
    return "; ".join(dict.fromkeys(found)) or "it gives no reason"
