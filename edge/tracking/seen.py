"""The detections of a frame that the tracker takes seriously."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from edge.arrays import F32, F64, I32
from edge.tracking.boxes import suppress, xyxy_to_xyah
from edge.tracking.detections import Detections

SMALLEST_SIDE_PX = 1.0
FARTHEST_PX = 1e6
"""A box with a side below SMALLEST_SIDE_PX, a corner beyond +-FARTHEST_PX or a number that is none is ignored."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The usable detections of a frame, weak ones last."""

    strong: int  # how many are not weak
    xyxy: F64  # (M, 4) source pixels
    xyah: F64  # (M, 4)
    scores: F32  # (M,)
    embeddings: F32  # (M, D) unit length
    detection: I32  # (M,) row in Detections

    @classmethod
    def of(cls, detections: Detections, threshold: float, weakest: float, same_iou: float = 1.0) -> Self:
        """Those that can be boxes and score above `weakest`; those not above `threshold` are weak.

        Of boxes that overlap by more than `same_iou`, the best remains.
        """
        xyxy = detections.xyxy.astype(np.float64)
        norms = np.sqrt(np.einsum("nd,nd->n", detections.embeddings, detections.embeddings))
        usable = detections.scores > weakest
        usable &= (xyxy[:, 2:] >= xyxy[:, :2] + SMALLEST_SIDE_PX).all(axis=1)
        usable &= (np.abs(xyxy) <= FARTHEST_PX).all(axis=1)
        usable &= norms < np.inf
        rows = usable.nonzero()[0]
        usable[rows[~suppress(xyxy[rows], same_iou)]] = False
        strong = detections.scores > threshold
        rows = np.concatenate([(usable & strong).nonzero()[0], (usable & ~strong).nonzero()[0]])
        xyxy = xyxy.take(rows, axis=0)
        return cls(
            strong=int(np.count_nonzero(strong[rows])),
            xyxy=xyxy,
            xyah=xyxy_to_xyah(xyxy),
            scores=detections.scores[rows],
            embeddings=detections.embeddings.take(rows, axis=0) / np.maximum(norms[rows], 1e-12)[:, None],
            detection=rows.astype(np.int32),
        )
