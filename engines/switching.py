"""An engine that can be replaced while it works: the service runs on ONNX Runtime until a plan is ready."""

import logging
from collections.abc import Mapping

from engines.device import Array, CudaStream
from engines.engine import Bindable, Buffers, Execution
from engines.errors import DeviceLostError, EngineError, SignatureError

log = logging.getLogger(__name__)


class SwitchingEngine:
    """Keeps the `Engine` contract with whichever engine was offered last. Buffers stay where they are."""

    def __init__(self, first: Bindable) -> None:
        self.signature = first.signature
        self.current: Bindable = first
        """The engine that runs from the next batch on."""

    def offer(self, engine: Bindable) -> None:
        """Let `engine` run from the next batch on; may be called on any thread.

        Raises SignatureError unless it is the same network.
        """
        if engine.signature != self.signature:
            raise SignatureError(f"cannot switch to another network: {engine.signature}, expected {self.signature}")
        self.current = engine  # one assignment, which other threads see whole

    def prepare(self, max_batch: int) -> "SwitchingExecution":
        """Allocate buffers for up to `max_batch` images."""
        engine = self.current
        return SwitchingExecution(self, engine, engine.prepare(max_batch))


class SwitchingExecution:
    """Buffers, and the execution that works on them now; it changes between two runs, never within one."""

    def __init__(self, switch: SwitchingEngine, engine: Bindable, execution: Execution) -> None:
        self._switch, self._engine, self._execution = switch, engine, execution
        self.inputs: Mapping[str, Array] = execution.inputs
        self.outputs: Mapping[str, Array] = execution.outputs
        self.max_batch = execution.max_batch

    def run(self, batch: int, cuda_stream: CudaStream) -> None:
        """Enqueue on the current engine. One that cannot be bound or run is logged, and the one before goes on."""
        engine = self._switch.current
        if engine is not self._engine:
            self._engine = engine  # tried once
            try:
                execution = engine.bind(Buffers(self.inputs, self.outputs, self.max_batch))
                execution.run(batch, cuda_stream)
            except DeviceLostError:
                raise
            except EngineError as error:  # the first run allocates, and TensorRT-RTX compiles
                log.error("the %s goes on without its plan: %s", self._switch.signature.role, error)
            else:
                log.info("the %s runs on its plan now", self._switch.signature.role)
                self._execution = execution
                return
        self._execution.run(batch, cuda_stream)
