"""AttTrack's Phi written down once more, object by object in float64, as an oracle for the pipeline's priors."""

import numpy as np

from edge.arrays import F32, F64, I32


def reference_prior(heatmap: F32, centres: F64, radii: I32, velocities: F64, elapsed_s: float) -> F64:
    """The heatmap (h, w) with every object's cells moved by whole cells; the largest value wins, the rest is 0.

    centres (M, 2) and velocities (M, 2) in cells and cells per second, radii (M,) cells.
    """
    h, w = heatmap.shape
    y, x = np.mgrid[:h, :w]
    nearest, owner = np.full((h, w), np.inf), np.full((h, w), -1)
    for row, ((cx, cy), radius) in enumerate(zip(np.floor(centres), radii, strict=True)):
        sigma = (2 * radius + 1) / 6
        distance = np.round(((x - cx) ** 2 + (y - cy) ** 2) / sigma**2, 9)
        inside = np.maximum(abs(x - cx), abs(y - cy)) <= radius
        closer = inside & (distance < nearest)
        nearest[closer], owner[closer] = distance[closer], row
    prior = np.where(owner == -1, heatmap.astype(np.float64), 0)
    for row, (centre, velocity) in enumerate(zip(centres, velocities, strict=True)):
        dx, dy = (np.floor(centre + elapsed_s * velocity) - np.floor(centre)).astype(int)
        for cell_y, cell_x in np.argwhere(owner == row):
            if 0 <= cell_y + dy < h and 0 <= cell_x + dx < w:
                there = cell_y + dy, cell_x + dx
                prior[there] = max(prior[there], float(heatmap[cell_y, cell_x]))
    return prior
