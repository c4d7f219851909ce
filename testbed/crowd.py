"""People walking on a plane, and what a detector would see of them: input for the tracker with known identities."""

import numpy as np

from edge.arrays import F32, F64, I64, Bool
from edge.tracking.boxes import iou_matrix
from edge.tracking.detections import Detections

WALK_HEIGHTS_PER_S = 0.75
"""1.3 m/s for a person of 1.7 m."""
COVERED_IOU = 0.45
"""A person hidden by this much of a nearer one is not detected."""


class CrowdFilm:
    """A crowd of constant size before a resting camera; who leaves on one side makes room for someone new."""

    def __init__(
        self,
        people: int,
        seed: int = 0,
        frame_rate: float = 30.0,
        size: tuple[int, int] = (1920, 1080),
        miss_rate: float = 0.03,
        false_alarm_rate: float = 0.02,
        embedding_dim: int = 64,
        look_noise: float = 0.04,
    ) -> None:
        """`miss_rate` of the people are overlooked in each frame, `false_alarm_rate` as many are seen that are not;
        `look_noise` is the deviation of each number of a unit embedding."""
        self.dt_s = 1 / frame_rate
        self._rng = np.random.default_rng(seed)
        self._size = size
        self._miss_rate = miss_rate
        self._false_alarm_rate = false_alarm_rate
        self._names = np.arange(people)
        self._next_name = people
        self._look_noise = look_noise
        self._looks = self._new_looks(people, embedding_dim)
        # Feet between the horizon and the lower edge; the lower the nearer the larger.
        self._feet = self._rng.uniform((0, 0.3 * size[1]), size, (people, 2))
        heading = self._rng.choice((0, np.pi), people) + self._rng.normal(0, 0.3, people)
        pace = WALK_HEIGHTS_PER_S * self._rng.uniform(0.6, 1.4, people)
        self._velocity = (pace * (np.cos(heading), 0.3 * np.sin(heading))).T

    def step(self) -> tuple[Detections, I64]:
        """The next frame's detections, best first, and the person in each row; -1 where there is nobody."""
        self._walk()
        xyxy = self._boxes()
        seen = (self._rng.random(len(xyxy)) >= self._miss_rate) & ~self._covered(xyxy)
        false_alarms = self._rng.binomial(len(xyxy), self._false_alarm_rate)
        xyxy, names = xyxy[seen], self._names[seen]
        height = (xyxy[:, 3] - xyxy[:, 1])[:, None]
        xyxy = xyxy + self._rng.normal(0, 0.015, xyxy.shape) * height
        looks = self._looks[seen] + self._rng.normal(0, self._look_noise, self._looks[seen].shape)
        scores = self._rng.uniform(0.45, 0.95, len(xyxy) + false_alarms)
        dim = looks.shape[1]
        corner = self._rng.uniform(0, self._size, (false_alarms, 2))
        return _detections(
            np.concatenate((xyxy, np.hstack((corner, corner + np.array((30, 80)))))),
            scores,
            np.concatenate((looks, self._new_looks(false_alarms, dim))),
            np.concatenate((names, np.full(false_alarms, -1))),
        )

    def _walk(self) -> None:
        self._feet += self._velocity * self._heights()[:, None] * self.dt_s
        gone = (self._feet[:, 0] < 0) | (self._feet[:, 0] > self._size[0])
        count = int(gone.sum())
        self._feet[gone, 0] %= self._size[0]
        self._names[gone] = np.arange(self._next_name, self._next_name + count)
        self._looks[gone] = self._new_looks(count, self._looks.shape[1])
        self._next_name += count
        self._feet[:, 1] = np.clip(self._feet[:, 1], 0.3 * self._size[1], self._size[1])

    def _heights(self) -> F64:
        """(N,) pixels: a quarter of what is below the horizon, which lies at a tenth of the picture's height."""
        heights: F64 = 0.25 * (self._feet[:, 1] - 0.1 * self._size[1])
        return heights

    def _boxes(self) -> F64:
        height = self._heights()
        half_width = 0.2 * height
        x, y = self._feet.T
        return np.stack((x - half_width, y - height, x + half_width, y), axis=1)

    def _covered(self, xyxy: F64) -> Bool:
        """(N,) whether a nearer person stands before this one."""
        nearer = self._feet[:, 1] > self._feet[:, 1, None]
        covered: Bool = np.any((iou_matrix(xyxy, xyxy) > COVERED_IOU) & nearer, axis=1)
        return covered

    def _new_looks(self, count: int, dim: int) -> F64:
        return _unit(self._rng.normal(size=(count, dim)))


def _unit(vectors: F64) -> F64:
    norms: F64 = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / norms


def _detections(xyxy: F64, scores: F64, looks: F64, names: I64) -> tuple[Detections, I64]:
    order = np.argsort(-scores)
    centres = (xyxy[:, :2] + xyxy[:, 2:]) / 8
    as_f32: list[F32] = [array[order].astype(np.float32) for array in (xyxy, scores, _unit(looks), centres)]
    boxes, likelihoods, embeddings, points = as_f32
    return Detections(xyxy=boxes, scores=likelihoods, embeddings=embeddings, points=points), names[order]
