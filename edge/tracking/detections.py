"""What a network saw in one frame (`Detections`), what the tracker says of it (`Tracks`): structs of arrays."""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Literal, Self

import numpy as np

from edge.arrays import F32, F64, I32, I64, U8

SCORE_THRESHOLD = 0.4
"""Detections must score higher, where nothing else is said."""


class TrackState(IntEnum):
    """Life of an identity; `Tracks.states` holds these as uint8."""

    TENTATIVE = 0
    """Seen once; has no public id yet."""
    CONFIRMED = 1
    """Seen in this frame."""
    LOST = 2
    """Not seen in this frame; its box is the motion model's prediction."""


@dataclass(frozen=True, slots=True)
class Detections:
    """Boxes of one frame that score high enough to matter, best first; one row is one person, or one object."""

    xyxy: F32  # (N, 4) source pixels, not clipped to the image (boxes are amodal)
    scores: F32  # (N,) in (0, 1], descending
    embeddings: F32  # (N, D) unit length
    points: F32  # (N, 2) object centres (x, y) in cells, as the heatmap has them
    classes: I32 | None = None  # (N,) places in the pair's classes, -1: not known; None: the pair has one

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def empty(cls, embedding_dim: int = 64) -> Self:
        """No person at all."""
        return cls(
            xyxy=np.zeros((0, 4), np.float32),
            scores=np.zeros(0, np.float32),
            embeddings=np.zeros((0, embedding_dim), np.float32),
            points=np.zeros((0, 2), np.float32),
        )


Why = Literal["unseen", "duplicate"]
"""Why an identity ended. unseen: for longer than the tracker remembers; duplicate: it was another's second box."""


@dataclass(frozen=True, slots=True)
class Gone:
    """Identities that ended with a frame; their ids never come back. Who was seen last comes last."""

    ids: I64  # (G,)
    unseen_s: F64  # (G,) seconds since the last observation
    whys: tuple[Why, ...] = ()  # G

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def nobody(cls) -> Self:
        """No identity at all."""
        return cls(np.zeros(0, np.int64), np.zeros(0))


@dataclass(frozen=True, slots=True)
class Tracks:
    """The identities of one frame. Rows are ordered by id; arrays are the caller's to keep."""

    ids: I64  # (N,) counted from 1 per tracker, given on confirmation
    xyxy: F32  # (N, 4) source pixels, Kalman-corrected
    scores: F32  # (N,) score of the last detection
    states: U8  # (N,) TrackState
    velocities: F32  # (N, 2) centre's (x, y) velocity, source pixels per second; 0 until two observations
    ages_s: F32  # (N,) seconds since the first observation
    unseen_s: F32  # (N,) seconds since the last observation, 0 where seen in this frame
    detection: I32  # (N,) row in this frame's Detections, -1 where the identity was not seen
    gone: Gone = field(default_factory=Gone.nobody)  # who ended with this frame
    remembered: I64 = field(default_factory=lambda: np.zeros(0, np.int64))  # (R,) other ids that may come back
    clock_s: float = 0.0  # the tracker's own time, seconds from its first frame; never runs back
    classes: I32 | None = None  # (N,) places in the pair's classes; None: the pair has but one

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def empty(cls) -> Self:
        """No identity at all."""
        return cls(
            ids=np.zeros(0, np.int64),
            xyxy=np.zeros((0, 4), np.float32),
            scores=np.zeros(0, np.float32),
            states=np.zeros(0, np.uint8),
            velocities=np.zeros((0, 2), np.float32),
            ages_s=np.zeros(0, np.float32),
            unseen_s=np.zeros(0, np.float32),
            detection=np.zeros(0, np.int32),
        )
