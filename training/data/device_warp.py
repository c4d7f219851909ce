"""`warp` in torch, for a batch of views at once: the same numbers, computed where the frames are.

Boxes agree with `warp` to float32's last digit. Pixels pass the same steps (area shrinking, bilinear map, HSV in whole
levels) in floating point, where OpenCV counts in fixed point. Against OpenCV 5, views of MOTChallenge frames differ by
0.004 grey levels on average and by 4 at most; random colours, where a hue tips over to its neighbour, by up to 12.
No step is a matrix product of coordinates, which TensorFloat-32 would round to ten bits.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from edge.arrays import F64
from training.data.upload import upload
from training.data.warp import GREY, shrunk

BORDER = float(round(GREY[0]))
"""Grey level outside of the picture, as OpenCV rounds it."""


def warp_pixels(frames: Sequence[Tensor], maps: Sequence[F64], input_wh: tuple[int, int]) -> Tensor:
    """Frames (H, W, 3) uint8 BGR of any sizes, each under its map (2, 3), as (B, 3, h, w) RGB: float, whole levels."""
    width, height = input_wh
    out = torch.empty((len(frames), 3, height, width), device=frames[0].device)
    groups: dict[torch.Size, list[int]] = defaultdict(list)
    for row, frame in enumerate(frames):
        groups[frame.shape].append(row)
    for rows in groups.values():
        warped = _warp_alike(torch.stack([frames[row] for row in rows]), [maps[row] for row in rows], input_wh)
        for row, picture in zip(rows, warped, strict=True):
            out[row] = picture.flip(0)
    return out


def _warp_alike(frames: Tensor, maps: Sequence[F64], input_wh: tuple[int, int]) -> Tensor:
    """Frames (n, H, W, 3) of one size as (n, 3, h, w) BGR."""
    height, width = frames.shape[1:3]
    sizes, rest = zip(*(shrunk((width, height), matrix) for matrix in maps), strict=True)
    rows = area_weights(height, [size[1] for size in sizes], frames.device)  # (n, h', H)
    columns = area_weights(width, [size[0] for size in sizes], frames.device)  # (n, w', W)
    levels = (frames.float() - BORDER).flatten(2)  # (n, H, W * 3); what is outside is 0
    levels = (rows @ levels).view(len(frames), -1, width, 3).permute(0, 3, 1, 2)  # (n, 3, h', W)
    levels = (levels @ columns.mT[:, None]).round()  # (n, 3, h', w')
    grid = _sampling_grid(rest, (levels.shape[3], levels.shape[2]), input_wh, frames.device)
    warped = functional.grid_sample(levels, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return (warped + BORDER).round()


def area_weights(length: int, sizes: Sequence[int], device: torch.device) -> Tensor:
    """(n, max size, length): row i averages the part of a line that shrinks to pixel i; beyond a size, rows are 0."""
    size = upload(np.array(sizes, np.float32), device)[:, None, None]
    step = length / size
    target = torch.arange(max(sizes), device=device)[:, None]
    source = torch.arange(length, device=device)
    overlap = torch.minimum((target + 1) * step, source + 1.0) - torch.maximum(target * step, source.float())
    return overlap.clamp_min(0) / step * (target < size)


def _sampling_grid(
    maps: Sequence[F64], source_wh: tuple[int, int], input_wh: tuple[int, int], device: torch.device
) -> Tensor:
    """(n, h, w, 2) where each input pixel looks, in -1..1 between the outer edges of the source."""
    width, height = source_wh
    to_edges = np.array([[2 / width, 0, 1 / width - 1], [0, 2 / height, 1 / height - 1], [0, 0, 1]])
    squares = np.stack([np.vstack((matrix, (0, 0, 1))) for matrix in maps])
    back = upload((to_edges @ np.linalg.inv(squares))[:, :2].astype(np.float32), device)
    x = torch.arange(input_wh[0], dtype=torch.float32, device=device)[:, None]  # (w, 1)
    y = torch.arange(input_wh[1], dtype=torch.float32, device=device)[:, None, None]  # (h, 1, 1)
    a, b, c = back[:, None, None].unbind(-1)  # each (n, 1, 1, 2)
    return x * a + y * b + c


def recolour(rgb: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """(B, 3, h, w) levels with saturation and value times (B,), through OpenCV's HSV: hue in steps of 2 degrees."""
    gain_s, gain_v = saturation[:, None, None], value[:, None, None]
    red, green, blue = rgb.unbind(1)
    high, low = rgb.amax(1), rgb.amin(1)
    spread = high - low
    turn = torch.where(high == green, blue - red + 2 * spread, red - green + 4 * spread)
    turn = torch.where(high == red, green - blue, turn)
    hue = (30 * turn / spread.clamp_min(1) + 0.5).floor() / 30  # in sixths of the circle
    chroma = (255 * spread / high.clamp_min(1) + 0.5).floor()
    chroma = (chroma * gain_s).clamp_max(255).floor() * (1 / 255)
    bright = (high * gain_v).clamp_max(255).floor() * (1 / 255)
    channels = []
    for offset in (5, 3, 1):
        k = (hue + offset) % 6
        channels.append(bright * (1 - chroma * torch.minimum(k, 4 - k).clamp(0, 1)) * 255)
    coloured = torch.stack(channels, 1).floor()  # OpenCV multiplies in this order and truncates
    return torch.where((gain_s != 1)[:, None] | (gain_v != 1)[:, None], coloured, rgb)


def warp_boxes(xyxy: Tensor, matrix: Tensor, hull_factor: Tensor) -> Tensor:
    """`Warp.boxes` for boxes (B, M, 4) float32, maps (B, 2, 3) and factors (B,) float64."""
    x = xyxy[..., 0::2].double()[..., None, None, :]  # (B, M, 1, 1, 2)
    y = xyxy[..., 1::2].double()[..., None, :, None]  # (B, M, 1, 2, 1)
    a, b, c = matrix[:, None, :, None, None, :].unbind(-1)  # each (B, 1, 2, 1, 1)
    corners = (a * x + b * y + c).flatten(3)  # (B, M, 2, 4)
    low, high = corners.amin(3), corners.amax(3)
    middle, half = (low + high) / 2, (high - low) / 2 * hull_factor[:, None, None]
    return torch.cat((middle - half, middle + half), 2).float()


def visible_boxes(xyxy: Tensor, before: Tensor, scale: Tensor, input_wh: tuple[int, int]) -> Tensor:
    """`visible` for boxes (B, M, 4) after and before the warp, and scales (B,): (B, M) bool."""
    width, height = (xyxy[..., 2:] - xyxy[..., :2]).unbind(2)
    area_before = (before[..., 2:] - before[..., :2]).prod(2) * scale.square().float()[:, None]
    aspect = torch.maximum(width / (height + 1e-16), height / (width + 1e-16))
    touches = (xyxy[..., 0] < input_wh[0]) & (xyxy[..., 2] > 0) & (xyxy[..., 1] < input_wh[1]) & (xyxy[..., 3] > 0)
    kept = width * height / (area_before + 1e-16) > 0.1
    return (width > 4) & (height > 4) & kept & (aspect < 10) & touches
