"""A network at work in the pipeline: its device buffers, and the host's copies of what it found."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.arrays import I32, Bool
from edge.ops.base import Ops
from edge.ops.framing import Framing
from edge.pipeline.modes import NetworkName
from edge.pipeline.tick import Ticket
from edge.pipeline.timings import StageTimes, Stopwatch
from edge.tracking.detections import Detections
from engines.device import Array, CudaStream, Device
from engines.engine import Engine
from engines.signature import BOXES, CLASSES, EMBEDDINGS, HEATMAP, IMAGE, PEOPLE, POINTS, PRIOR, SCORES, Signature


class Network:
    """One engine with buffers on the device for one batch, and on the host for the results of `depth` batches.

    The batches follow each other on one cuda_stream, so the device's buffers need no more care than that. On the host,
    a batch's results stay until another batch has the same turn.
    """

    def __init__(
        self,
        name: NetworkName,
        engine: Engine,
        device: Device,
        ops: Ops,
        cuda_stream: CudaStream,
        times: StageTimes,
        max_batch: int,
        depth: int,
        classes: Sequence[str] = PEOPLE,
    ) -> None:
        """`classes`: the pair's, in whose places detections tell theirs."""
        self.name, self.engine, self.cuda_stream = name, engine, cuda_stream
        self._device, self._ops, self._times = device, ops, times
        self._role = engine.signature.role
        self._clock: Stopwatch = times.stages()[engine.signature.role]
        self._execution = engine.prepare(max_batch)
        self._prior: Array | None = self._execution.inputs.get(PRIOR)
        arrays, decoded = engine.signature.output_arrays(max_batch), engine.signature.decoded
        self._found = [{name: device.host_empty(*arrays[name]) for name in decoded} for _ in range(depth)]
        self._classes = _places(engine.signature, classes) if len(classes) > 1 else None

    def enqueue(self, tickets: Sequence[Ticket], turn: int) -> None:
        """Letterbox, prior, network and the copy back, for one frame of each lane.

        `turn`, below `depth`: where the results go on the host.
        """
        batch, inputs, outputs = len(tickets), self._execution.inputs, self._execution.outputs
        with self._times.letterbox(batch):
            pictures = [ticket.frame.pixels for ticket in tickets]
            letterboxes = [ticket.framing.of(self._role) for ticket in tickets]
            self._ops.letterbox(pictures, letterboxes, inputs[IMAGE][:batch], self.cuda_stream)
        if self._prior is not None:
            with self._times.extrapolate(batch):
                moved = [ticket.lane.memory.prior(ticket.frame.time_s, ticket.framing) for ticket in tickets]
                self._ops.extrapolate(moved, self._prior[:batch], self.cuda_stream)
        with self._clock(batch):
            self._execution.run(batch, self.cuda_stream)
            for name, found in self._found[turn].items():
                self._device.copy(outputs[name][:batch], found[:batch], self.cuda_stream)

    def detections(self, turn: int, framings: Sequence[Framing], least_scores: Sequence[float]) -> list[Detections]:
        """What was found in each image of a batch, scores strictly above its `least_scores`; new arrays."""
        found, batch = self._found[turn], len(framings)
        scores, boxes = found[SCORES][:batch], found[BOXES][:batch]
        good = scores > np.asarray(least_scores, np.float32)[:, None]
        good &= np.isfinite(boxes).all(axis=2)
        xyxy, scores = boxes[good], scores[good]
        embeddings, points = found[EMBEDDINGS][:batch][good], found[POINTS][:batch][good]
        ends = np.cumsum(np.count_nonzero(good, axis=1)).tolist()
        classes = self._classes_in(found, good)
        return [
            Detections(
                framing.of(self._role).to_source(xyxy[at]),
                scores[at],
                embeddings[at],
                points[at],
                None if classes is None else classes[at],
            )
            for framing, at in zip(framings, map(slice, [0, *ends], ends), strict=False)
        ]

    def _classes_in(self, found: Mapping[str, npt.NDArray[Any]], good: Bool) -> I32 | None:
        """(G,) the pair's classes of the `good` rows (B, N); None where the pair has but one."""
        if self._classes is None:
            return None
        if CLASSES not in found:
            return np.repeat(self._classes, np.count_nonzero(good))
        own: I32 = found[CLASSES][: len(good)][good]
        return self._classes.take(own, mode="clip")  # whatever a network answers, it is one of its classes

    def heatmap(self, row: int) -> Array:
        """(h, w) of image `row` of the batch enqueued last, for work on the same cuda_stream."""
        return self._execution.outputs[HEATMAP][row][0]


def _places(signature: Signature, classes: Sequence[str]) -> I32:
    """Where a network's own classes stand among `classes`; (1,) -1 where it does not say which it sees."""
    return np.array([classes.index(name) for name in signature.classes] or [-1], np.int32)
