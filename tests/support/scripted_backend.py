"""A pair of scripted networks in a backend: a test says what the teacher sees, and reads what the student was given."""

import numpy as np

from edge.arrays import F32, F64
from edge.ops.host import HostOps
from edge.pipeline.backend import Backend
from engines.host import HostDevice
from tests.support.scripted_engine import Arrays, ScriptedEngine
from tests.support.tiny_pair import signature

SIZE = (320, 192)


class Scripted:
    """A backend of scripted networks: the teacher's heatmap and one detection are set, the student's priors kept."""

    def __init__(self) -> None:
        self.heatmap = np.zeros((48, 80), np.float32)
        self.scores = [0.9]
        self.priors: list[F32] = []
        self.images: list[np.ndarray] = []
        self.point = (10.5, 20.5)
        teacher = ScriptedEngine(signature("teacher", SIZE), self._teach)
        student = ScriptedEngine(signature("student", SIZE, prior=True), self._learn)
        self.backend = Backend(HostDevice(), HostOps(), teacher, student)

    def _teach(self, inputs: Arrays, outputs: Arrays) -> None:
        outputs["heatmap"][0] = self.heatmap
        self._decode(inputs, outputs)

    def _learn(self, inputs: Arrays, outputs: Arrays) -> None:
        if "prior" in inputs:
            self.priors.append(inputs["prior"][0].copy())
        self._decode(inputs, outputs)

    def _decode(self, inputs: Arrays, outputs: Arrays) -> None:
        self.images.append(inputs["image"].copy())
        x, y = self.point
        for row, score in enumerate(self.scores):
            outputs["scores"][row] = score
            outputs["points"][row] = x, y
            outputs["boxes"][row] = 4 * x - 14, 4 * y - 30, 4 * x + 14, 4 * y + 30
            outputs["embeddings"][row] = 1, 0, 0


class Crowd(Scripted):
    """People in straight lines, each with an embedding of their own."""

    def __init__(self, starts: F64, speeds: F64, sides: F64) -> None:
        super().__init__()
        self.starts, self.speeds, self.sides = starts, speeds, sides  # cells, cells per second, cells
        self.time_s = 0.0

    def points(self) -> F32:
        """Where everybody is now, cells."""
        return (self.starts + self.time_s * self.speeds).astype(np.float32)

    def _decode(self, inputs: Arrays, outputs: Arrays) -> None:
        points = self.points()
        for row, (point, side) in enumerate(zip(points, self.sides, strict=True)):
            outputs["scores"][row] = 0.9 - 0.01 * row
            outputs["points"][row] = point
            outputs["boxes"][row] = 4 * np.concatenate((point - side / 2, point + side / 2))
            angle = 2 * np.pi * row / len(points)
            outputs["embeddings"][row] = np.cos(angle), np.sin(angle), 0
