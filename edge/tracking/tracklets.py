"""The tracker's memory: every identity it follows, as one struct of arrays."""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from edge.arrays import F32, F64, I32, I64, U8, Bool
from edge.tracking.detections import TrackState

_COLUMNS = (
    *("embeddings", "births", "ids", "states", "scores", "first_seen_s", "last_seen_s", "harms", "waits_s2"),
    *("detection", "classes"),
)
"""Fields with one row per identity; `motion` has them on its second axis."""


@dataclass(slots=True)
class Tracklets:
    """Identities in the order in which they were first seen, so tentative ones, born in the last frame, come last.

    Arrays may be written in place.
    """

    motion: F64  # (5, N, 4) Kalman state as edge.tracking.kalman lays it out, source pixels
    embeddings: F32  # (N, D) smoothed appearance, unit length
    births: I64  # (N,) counts everybody who was ever seen; unlike an id, nobody is told of it
    ids: I64  # (N,) public id, 0 while tentative
    states: U8  # (N,) TrackState
    scores: F32  # (N,) score of the last detection
    first_seen_s: F64  # (N,) on the tracker's clock
    last_seen_s: F64  # (N,) on the tracker's clock
    harms: F64  # (N,) fading sum of the harm that predictions of this person did, see edge.tracking.drift
    waits_s2: F64  # (N,) fading sum of the squared seconds that these reached ahead
    detection: I32  # (N,) row in the last frame's Detections, -1 where not seen in it
    classes: I32  # (N,) places in the pair's classes; the first one's, where there is but one

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def known(self) -> int:
        """K: number of confirmed and lost identities; they are the first K rows."""
        return len(self) - int(np.count_nonzero(self.states == TrackState.TENTATIVE))

    @classmethod
    def empty(cls) -> Self:
        """Nobody; D is taken from the first who come."""
        return cls(
            motion=np.zeros((5, 0, 4)),
            embeddings=np.zeros((0, 0), np.float32),
            births=np.zeros(0, np.int64),
            ids=np.zeros(0, np.int64),
            states=np.zeros(0, np.uint8),
            scores=np.zeros(0, np.float32),
            first_seen_s=np.zeros(0),
            last_seen_s=np.zeros(0),
            harms=np.zeros(0),
            waits_s2=np.zeros(0),
            detection=np.zeros(0, np.int32),
            classes=np.zeros(0, np.int32),
        )

    def copy(self) -> Self:
        """The same identities in arrays of their own."""
        copies: dict[str, Any] = {name: getattr(self, name).copy() for name in ("motion", *_COLUMNS)}
        return replace(self, **copies)

    def append(self, born: Self) -> None:
        """Add the identities of `born` after the present ones."""
        if not len(self):
            self.embeddings = self.embeddings.reshape(0, born.embeddings.shape[1])
        self.motion = np.concatenate((self.motion, born.motion), axis=1)
        for name in _COLUMNS:
            setattr(self, name, np.concatenate((getattr(self, name), getattr(born, name))))

    def keep(self, kept: Bool) -> None:
        """Forget the identities where `kept` (N,) is False; the others close ranks and stay in order."""
        rows = kept.nonzero()[0]
        self.motion = self.motion.take(rows, axis=1)
        for name in _COLUMNS:
            setattr(self, name, getattr(self, name).take(rows, axis=0))
