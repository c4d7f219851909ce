"""The student's second input in training: the frozen teacher's heatmap, moved as in service, and then disturbed.

In service the heatmap comes from `edge.heatmap_memory`; here motion comes from the labels instead of the tracker, with
noise, and blobs fade, go missing or appear, so that a late, absent or false peak of the teacher makes no ghost.
The teacher has seen these very frames, which makes its maps cleaner and surer than they will be: the disturbances make
up for it.
"""

import numpy as np

from edge.arrays import F32
from edge.boxes import iou_matrix
from edge.objects import window_radii
from edge.ops.host import extrapolate, own
from engines.signature import STRIDE
from training.models.decode import Decoded
from training.recipe import Recipe
from training.targets import draw_gaussian

SCORE_THRESHOLD = 0.4
"""As in service: peaks above it are objects that move, the rest of the map stays."""
GONE = 1 << 20
"""A shift that takes a blob off any map."""


def make_priors(
    decoded: Decoded,
    key_xyxy: F32,
    key_velocity: F32,
    key_count: list[int],
    gap: list[int],
    recipe: Recipe,
    rng: np.random.Generator,
) -> F32:
    """Priors (B, 1, h, w) of target frames `gap` frames after their keyframes.

    decoded: the teacher on the keyframes. key_xyxy (B, M, 4) true boxes in input pixels and key_velocity (B, M, 2) in
    cells per frame, of which the first key_count are used.
    """
    heatmaps = decoded.heatmap.numpy()
    height, width = heatmaps.shape[2], heatmaps.shape[3]
    priors = np.zeros_like(heatmaps)
    for row in range(len(heatmaps)):
        if rng.random() < recipe.blank:
            continue
        seen = decoded.scores[row].numpy() > SCORE_THRESHOLD
        boxes, points = decoded.boxes[row].numpy()[seen], decoded.points[row].numpy()[seen].astype(np.float64)
        sides = (boxes[:, 2:] - boxes[:, :2]) / STRIDE
        count = key_count[row]
        velocity = match_velocities(boxes, key_xyxy[row, :count], key_velocity[row, :count])
        velocity[rng.random(len(velocity)) < recipe.still] = 0
        noise = rng.normal(0, recipe.jitter * np.sqrt(gap[row]), sides.shape) * sides
        moved = points + gap[row] * velocity + noise
        shifts = (np.floor(moved) - np.floor(points)).astype(np.int32)
        shifts[rng.random(len(shifts)) < recipe.drop] = GONE
        radii = window_radii(sides)
        owners = np.empty((height, width), np.int32)
        own(np.floor(points).astype(np.int32), radii, owners)
        strength = np.append(1 - recipe.fade * rng.random(len(points)), 1).astype(np.float32)  # last: owner is -1
        extrapolate(heatmaps[row, 0] * strength[owners], owners, shifts, priors[row, 0])
        for blob in np.flatnonzero(rng.random(len(points)) < recipe.spurious):
            x, y = np.floor(points[blob] + rng.normal(0, 1, 2) * sides[blob]).astype(int)
            if 0 <= x < width and 0 <= y < height:
                draw_gaussian(priors[row, 0], x, y, int(radii[blob]), 1 - recipe.fade * rng.random())
    return priors


def match_velocities(boxes: F32, true_boxes: F32, true_velocity: F32) -> F32:
    """(N, 2) velocity of the true box that each detection overlaps most, 0 where none reaches IoU 0.5."""
    velocity = np.zeros((len(boxes), 2), np.float32)
    if len(boxes) and len(true_boxes):
        overlap = iou_matrix(boxes, true_boxes)
        best = overlap.argmax(1)
        hit = overlap[np.arange(len(boxes)), best] >= 0.5
        velocity[hit] = true_velocity[best[hit]]
    return velocity
