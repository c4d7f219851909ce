"""The detections of each lane's frame that its tracker takes seriously."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from edge.arrays import F32, F64, I32, Bool
from edge.tracking.blocks import Rows
from edge.tracking.boxes import suppress, xyxy_to_xyah
from edge.tracking.detections import Detections

SMALLEST_SIDE_PX = 1.0
FARTHEST_PX = 1e6
"""A box with a side below SMALLEST_SIDE_PX, a corner beyond +-FARTHEST_PX or a number that is none is ignored."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The usable detections of all lanes, lane after lane; in each the weak ones last."""

    rows: Rows
    strong: Bool  # (M,) which are not weak
    xyxy: F64  # (M, 4) source pixels
    xyah: F64  # (M, 4)
    scores: F32  # (M,)
    embeddings: F32  # (M, D) unit length
    detection: I32  # (M,) row in the lane's Detections
    classes: I32 | None  # (M,) as in Detections; None: there is but one

    @classmethod
    def of(
        cls,
        frames: Sequence[Detections],
        thresholds: F32,
        weakest: F32,
        same_iou: float = 1.0,
        several: bool = False,
    ) -> Self:
        """Those that can be boxes and score above `weakest` (L,); those not above `thresholds` (L,) are weak.

        Of boxes that overlap by more than `same_iou`, the best remains; where there are `several` classes, of each.
        """
        rows = Rows([len(frame) for frame in frames])
        xyxy = np.concatenate([frame.xyxy for frame in frames]).astype(np.float64)
        scores = np.concatenate([frame.scores for frame in frames])
        embeddings = np.concatenate([frame.embeddings for frame in frames])
        norms = np.sqrt(np.einsum("nd,nd->n", embeddings, embeddings))
        usable = scores > weakest[rows.lane]
        usable &= (xyxy[:, 2:] >= xyxy[:, :2] + SMALLEST_SIDE_PX).all(axis=1)
        usable &= (np.abs(xyxy) <= FARTHEST_PX).all(axis=1)
        usable &= norms < np.inf
        kept = usable.nonzero()[0]
        classes = np.concatenate([_classes(frame) for frame in frames]) if several else None
        apart = rows.lane if classes is None else rows.lane * (classes.max(initial=0) + 2) + classes + 1
        kept = kept[suppress(xyxy[kept], same_iou, apart[kept])]
        weak = scores[kept] <= thresholds[rows.lane[kept]]
        kept = kept[np.argsort(2 * rows.lane[kept] + weak, kind="stable")]
        xyxy = xyxy.take(kept, axis=0)
        return cls(
            rows=Rows(np.bincount(rows.lane[kept], minlength=len(frames)).tolist()),
            strong=scores[kept] > thresholds[rows.lane[kept]],
            xyxy=xyxy,
            xyah=xyxy_to_xyah(xyxy),
            scores=scores[kept],
            embeddings=embeddings.take(kept, axis=0) / np.maximum(norms[kept], 1e-12)[:, None],
            detection=(kept - rows.starts[rows.lane[kept]]).astype(np.int32),
            classes=None if classes is None else classes[kept],
        )


def _classes(frame: Detections) -> I32:
    return np.zeros(len(frame), np.int32) if frame.classes is None else frame.classes
