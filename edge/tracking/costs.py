"""What it costs to say that a track and a detection are the same person: matrices (..., tracks, detections).

Leading axes are lanes, each with tracks and detections of its own.
"""

import numpy as np

from edge.arrays import F32, F64, I32
from edge.tracking.boxes import iou_matrix


def fused_cost(appearance: F32, embeddings: F32, distance: F64, appearance_weight: float, gate: float) -> F64:
    """(..., N, M) appearance and motion in one number; infinite where motion says it is impossible: FairMOT's first.

    `appearance` (..., N, D) and `embeddings` (..., M, D) are of unit length, `distance` (..., N, M) is squared
    Mahalanobis. The cost is appearance_weight * max(0, cosine distance) + (1 - appearance_weight) * distance where
    distance <= gate. An embedding of zeros says nothing: motion alone decides then.
    """
    cosine = appearance_cost(appearance, embeddings)
    known = [np.asarray(looks.any(axis=-1)) for looks in (appearance, embeddings)]
    cosine *= known[0][..., :, None] & known[1][..., None, :]
    cosine *= np.float32(appearance_weight)
    cost = distance * (1 - appearance_weight)
    cost += cosine
    cost[distance > gate] = np.inf
    return cost


def appearance_cost(appearance: F32, embeddings: F32) -> F32:
    """(..., N, M) cosine distance, not below 0, of unit vectors (..., N, D) and (..., M, D); 1 to zeros."""
    cosine: F32 = appearance @ embeddings.swapaxes(-1, -2)
    np.subtract(1, cosine, out=cosine)
    return np.maximum(cosine, 0, out=cosine)


def keep_apart(cost: F64, tracks: I32, detections: I32) -> None:
    """Make the cost (..., N, M) infinite, in place, where classes (..., N) and (..., M) differ; -1 is any class."""
    tracks, detections = tracks[..., :, None], detections[..., None, :]
    np.copyto(cost, np.inf, where=(tracks != detections) & (detections >= 0))


def iou_cost(tracks: F64, detections: F64) -> F64:
    """(..., N, M) 1 - IoU of boxes (..., N, 4) and (..., M, 4) xyxy in source pixels, ends included as FairMOT does."""
    overlap = iou_matrix(tracks, detections, pixel=1.0)
    return np.subtract(1, overlap, out=overlap)
