"""The student's second input in training: the frozen teacher's heatmap, moved as in service, and then disturbed.

In service the heatmap comes from `edge.pipeline.heatmap_memory`; here motion comes from the labels instead of the
tracker, with noise, and blobs fade, go missing or appear, so that a late, absent or false peak of the teacher makes no
ghost. The teacher has seen these very frames, which makes its maps cleaner and surer than they will be: the
disturbances make up for it. `edge.ops.host` is the specification of the movement, which here takes a whole batch, on
any device.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from edge.ops.objects import MIN_OVERLAP
from edge.tracking.detections import SCORE_THRESHOLD
from engines.signature import STRIDE
from training.models.decode import Decoded
from training.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Draws:
    """Random numbers for the N likeliest peaks of each of B samples, whether they count as objects or not."""

    blank: Tensor  # (B,) uniform
    uniform: Tensor  # (B, N, 5) uniform: still, drop, fade, spurious, height of the spurious
    normal: Tensor  # (B, N, 4) normal: displacement x, y; place of the spurious x, y

    @classmethod
    def of(cls, seed: int, samples: Iterable[int], peaks: int, device: torch.device) -> Self:
        """A function of seed and number of each sample alone, whatever batch it is in."""
        generators = [
            np.random.default_rng((seed, sample, 1)) for sample in samples
        ]  # the sample itself: (seed, sample)
        arrays = (
            [generator.random() for generator in generators],
            [generator.random((peaks, 5)) for generator in generators],
            [generator.standard_normal((peaks, 4)) for generator in generators],
        )
        return cls(*(torch.from_numpy(np.array(array)).to(device, non_blocking=True) for array in arrays))


@dataclass(frozen=True, slots=True)
class Windows:
    """The square windows of n objects, cell by cell, as far as they lie on their maps."""

    owner: Tensor  # (c,) object
    cell: Tensor  # (c,) cell in the batch of maps
    squared: Tensor  # (c,) squared distance from the window's centre, cells

    @classmethod
    def of(cls, centres: Tensor, radii: Tensor, sample: Tensor, shape: torch.Size) -> Self:
        """centres (n, 2) x, y and radii (n,) in whole cells; sample (n,) row of the batch; shape (B, 1, h, w)."""
        height, width = shape[2:]
        spans = 2 * radii + 1
        owner = torch.repeat_interleave(spans * spans)
        first = (spans * spans).cumsum(0) - spans * spans
        within = torch.arange(len(owner), device=owner.device) - first[owner]
        dy, dx = within // spans[owner] - radii[owner], within % spans[owner] - radii[owner]
        x, y = centres[owner, 0] + dx, centres[owner, 1] + dy
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        cell = (sample[owner] * height + y) * width + x
        return cls(owner[inside], cell[inside], (dx * dx + dy * dy)[inside])


def make_priors(
    decoded: Decoded,
    key_xyxy: Tensor,
    key_velocity: Tensor,
    key_count: Tensor,
    gap: Tensor,
    recipe: Recipe,
    draws: Draws,
) -> Tensor:
    """Priors (B, 1, h, w) float32 of target frames `gap` (B,) frames after their keyframes; all tensors on one device.

    decoded: the teacher on the keyframes. key_xyxy (B, M, 4) true boxes in input pixels and key_velocity (B, M, 2) in
    cells per frame, of which the first key_count (B,) are used.
    """
    heatmap = decoded.heatmap
    seen = decoded.scores > SCORE_THRESHOLD  # as in service: they are objects that move, the rest of the map stays
    sample = seen.nonzero()[:, 0]
    boxes, points = decoded.boxes[seen], decoded.points[seen].double()
    uniform, normal, frames = draws.uniform[seen], draws.normal[seen], gap[sample, None].double()
    sides = ((boxes[:, 2:] - boxes[:, :2]) / STRIDE).double()
    velocity = match_velocities(boxes, sample, key_xyxy, key_velocity, key_count).double()
    velocity = velocity * (uniform[:, 0] >= recipe.still)[:, None]
    moved = points + frames * velocity + recipe.jitter * frames.sqrt() * normal[:, :2] * sides
    centres = points.floor().long()
    radii = window_radii(sides)
    windows = Windows.of(centres, radii, sample, heatmap.shape)
    owners = own(windows, 2 * radii + 1, heatmap.numel())
    faded = heatmap * _with_last(1 - recipe.fade * uniform[:, 2], 1)[owners].float().view_as(heatmap)
    shifts = moved.floor().long() - centres
    priors = move(faded, owners, shifts, gone=uniform[:, 1] < recipe.drop)
    places = (points + normal[:, 2:] * sides).floor().long()
    height, width = heatmap.shape[2:]
    inside = ((places >= 0) & (places < places.new_tensor([width, height]))).all(1)
    false = inside & (uniform[:, 3] < recipe.spurious)
    draw_gaussians(priors, places[false], radii[false], sample[false], 1 - recipe.fade * uniform[false, 4])
    return priors * (draws.blank >= recipe.blank)[:, None, None, None]


def own(windows: Windows, spans: Tensor, cells: int) -> Tensor:
    """(cells,) the object that each cell belongs to, n where none: `edge.ops.host.own`. spans (n,) of windows."""
    distance = windows.squared.double() / (spans * spans)[windows.owner]
    nearest = distance.new_full((cells,), torch.inf).scatter_reduce_(0, windows.cell, distance, "amin")
    wins = distance == nearest[windows.cell]
    owners = spans.new_full((cells,), len(spans))
    return owners.scatter_reduce_(0, windows.cell[wins], windows.owner[wins], "amin")  # of several, the first


def move(heatmap: Tensor, owners: Tensor, shifts: Tensor, gone: Tensor) -> Tensor:
    """Heatmaps (B, 1, h, w) with their n objects shifted by whole cells (n, 2) or gone: `edge.ops.host.extrapolate`."""
    height, width = heatmap.shape[2:]
    still = _with_last((shifts == 0).all(1) & ~gone, True)
    cells = (~still[owners]).nonzero()[:, 0]
    owner = owners[cells]
    x, y = cells % width + shifts[owner, 0], cells // width % height + shifts[owner, 1]
    stays = (x >= 0) & (x < width) & (y >= 0) & (y < height) & ~gone[owner]
    target = cells + shifts[owner, 1] * width + shifts[owner, 0]
    out = heatmap.reshape(-1).index_fill(0, cells, 0)
    out.scatter_reduce_(0, target[stays], heatmap.reshape(-1)[cells[stays]], "amax")
    return out.view_as(heatmap)


def draw_gaussians(maps: Tensor, centres: Tensor, radii: Tensor, sample: Tensor, peaks: Tensor) -> None:
    """Composite n Gaussians into maps (B, 1, h, w) by maximum, as `training.targets.draw_gaussian` does one."""
    windows = Windows.of(centres, radii, sample, maps.shape)
    sigma = (2 * radii + 1).double()[windows.owner] / 6
    values = torch.exp(-windows.squared / (2 * sigma * sigma))
    values = values.where(values >= torch.finfo(torch.float64).eps, 0.0).float() * peaks.float()[windows.owner]
    maps.view(-1).scatter_reduce_(0, windows.cell, values, "amax")


def window_radii(sides: Tensor) -> Tensor:
    """(n,) radii in cells of boxes with `sides` (n, 2): `edge.ops.objects.window_radii`."""
    box = sides.clamp_min(0).ceil()
    total, area = box.sum(1), box.prod(1)
    half = MIN_OVERLAP * total
    radius = (half.square() + 4 * MIN_OVERLAP * (1 - MIN_OVERLAP) * area).sqrt() - half
    return radius.clamp_min(1).long()


def match_velocities(boxes: Tensor, sample: Tensor, true_xyxy: Tensor, true_velocity: Tensor, count: Tensor) -> Tensor:
    """(n, 2) velocity of the true box that each detection overlaps most, 0 where none reaches IoU 0.5.

    boxes (n, 4) of samples (n,); true_xyxy (B, M, 4), true_velocity (B, M, 2), of which the first count (B,) are used.
    """
    used = max(int(count.max()), 1)
    true = true_xyxy[sample, :used]  # (n, m, 4)
    low, high = boxes[:, None, :2].maximum(true[..., :2]), boxes[:, None, 2:].minimum(true[..., 2:])
    overlap = (high - low).clamp_min(0).prod(2)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    union = area[:, None] + (true[..., 2:] - true[..., :2]).prod(2) - overlap
    iou = overlap / union.where(union > 0, 1)
    iou = iou * (torch.arange(used, device=iou.device) < count[sample, None])
    best = iou.max(1)
    velocity: Tensor = true_velocity[sample, best.indices] * (best.values >= 0.5)[:, None]
    return velocity


def _with_last(values: Tensor, last: float) -> Tensor:
    """One value more, for the cells that no object owns."""
    return torch.cat((values, values.new_tensor([last])))
