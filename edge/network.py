"""A network at work in the pipeline: its device buffers, and the host's copy of what it found."""

from collections.abc import Sequence

import numpy as np

from edge.arrays import F32
from edge.detections import Detections
from edge.letterbox import Letterbox
from edge.ops.base import Ops
from edge.tick import Ticket
from edge.timings import StageTimes, Stopwatch
from engines.device import Array, CudaStream, Device
from engines.engine import Engine
from engines.signature import BOXES, DECODED, EMBEDDINGS, HEATMAP, IMAGE, POINTS, PRIOR, SCORES


class Network:
    """One engine with buffers for one batch; `enqueue` fills them, `detections` reads what came out."""

    def __init__(self, engine: Engine, device: Device, ops: Ops, max_batch: int, times: StageTimes) -> None:
        self._device, self._ops, self._times = device, ops, times
        self._clock: Stopwatch = times.stages()[engine.signature.role]
        self._execution = engine.prepare(max_batch)
        self._prior: Array | None = self._execution.inputs.get(PRIOR)
        arrays = engine.signature.output_arrays(max_batch)
        self._found: dict[str, F32] = {name: device.host_empty(*arrays[name]) for name in DECODED}

    def enqueue(self, tickets: Sequence[Ticket], cuda_stream: CudaStream) -> None:
        """Letterbox, prior, network and the copy back, for one frame of each lane."""
        batch, inputs, outputs = len(tickets), self._execution.inputs, self._execution.outputs
        with self._times.letterbox(batch):
            images = [ticket.frame.image for ticket in tickets]
            letterboxes = [ticket.letterbox for ticket in tickets]
            self._ops.letterbox(images, letterboxes, inputs[IMAGE][:batch], cuda_stream)
        if self._prior is not None:
            with self._times.extrapolate(batch):
                moved = [ticket.lane.memory.prior(ticket.frame.time_s) for ticket in tickets]
                self._ops.extrapolate(moved, self._prior[:batch], cuda_stream)
        with self._clock(batch):
            self._execution.run(batch, cuda_stream)
            for name, found in self._found.items():
                self._device.copy(outputs[name][:batch], found[:batch], cuda_stream)

    def detections(self, row: int, letterbox: Letterbox, threshold: float) -> Detections:
        """What was found in the batch's image `row`, scores strictly above `threshold`; new arrays."""
        scores, boxes = self._found[SCORES][row], self._found[BOXES][row]
        good = (scores > threshold) & np.isfinite(boxes).all(axis=1)
        return Detections(
            xyxy=letterbox.to_source(boxes[good]),
            scores=scores[good],
            embeddings=self._found[EMBEDDINGS][row][good],
            points=self._found[POINTS][row][good],
        )

    def heatmap(self, row: int) -> Array:
        """(h, w) of the batch's image `row`, on the device, until the next `enqueue`."""
        return self._execution.outputs[HEATMAP][row][0]
