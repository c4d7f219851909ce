"""Letterbox and extrapolation in OpenCV and NumPy: the default on a CPU and the specification for every kernel."""

from collections.abc import Sequence

import cv2
import numpy as np

from edge.arrays import F32, F64, I32, U8, Bool
from edge.ops.base import MovedHeatmap
from edge.ops.framing import Meetings
from edge.ops.letterbox import GREY, Letterbox
from edge.ops.pixels import Pixels, nv12_to_bgr, on_host
from edge.ops.resampling import halvings
from engines.device import CudaStream


class HostOps:
    """Ops on the host. Keeps scratch pictures between calls, so one thread at a time."""

    def __init__(self) -> None:
        self._moved: dict[tuple[int, ...], F32] = {}
        self._scratch: dict[tuple[int, int], U8] = {}  # (height, width) -> BGR; as many as there are camera sizes

    def letterbox(
        self, images: Sequence[Pixels], letterboxes: Sequence[Letterbox], out: U8, cuda_stream: CudaStream
    ) -> None:
        """See `Ops.letterbox`."""
        for image, letterbox, planes in zip(images, letterboxes, out, strict=True):
            scaled = self._resize(self._as_bgr(image), letterbox.width, letterbox.height)
            rows = slice(letterbox.top, letterbox.top + letterbox.height)
            columns = slice(letterbox.left, letterbox.left + letterbox.width)
            planes[:, : rows.start] = GREY
            planes[:, rows.stop :] = GREY
            planes[:, rows, : columns.start] = GREY
            planes[:, rows, columns.stop :] = GREY
            blue, green, red = planes[2, rows, columns], planes[1, rows, columns], planes[0, rows, columns]
            cv2.split(scaled, [blue, green, red])

    def upload(self, pixels: Pixels) -> Pixels:
        """See `Ops.upload`."""
        return pixels

    def own(self, centres: I32, radii: I32, out: I32, cuda_stream: CudaStream) -> None:
        """See `Ops.own`."""
        own(centres, radii, out)

    def extrapolate(self, moved: Sequence[MovedHeatmap], out: F32, cuda_stream: CudaStream) -> None:
        """See `Ops.extrapolate`."""
        for lane, prior in zip(moved, out, strict=True):
            if lane.framing is None:
                extrapolate(lane.heatmap, lane.owners, lane.shifts, prior[0])
                continue
            moved_map = self._moved.setdefault(lane.heatmap.shape, np.empty(lane.heatmap.shape, np.float32))
            extrapolate(lane.heatmap, lane.owners, lane.shifts, moved_map)
            resample(moved_map, lane.framing.meetings, prior[0])

    def _as_bgr(self, pixels: Pixels) -> U8:
        """`edge.ops.pixels.as_bgr`, without an allocation for what lies on the host."""
        image, colours = on_host(pixels)
        if image.ndim == 3:
            return image
        return nv12_to_bgr(image, colours, self._picture(image.shape[0] * 2 // 3, image.shape[1]))

    def _resize(self, image: U8, width: int, height: int) -> U8:
        """Shrink by halves (exact 2x2 means, rounded half up), then bilinearly by the rest, which is less than 2.

        Where a side to be halved is odd, its last row or column is left out. Close to FairMOT's area interpolation at
        an eighth of its time (0.25 against 1.9 ms for 720p to 569x320): OpenCV has fast code for these two steps and
        none for an area of fractional size.
        """
        for _ in range(halvings(image.shape[:2], (height, width))):
            half = self._picture(image.shape[0] // 2, image.shape[1] // 2)
            even = image[: 2 * half.shape[0], : 2 * half.shape[1]]
            image = _as_u8(cv2.resize(even, half.shape[1::-1], dst=half, interpolation=cv2.INTER_AREA))
        if image.shape[:2] == (height, width):
            return image
        scaled = self._picture(height, width)
        return _as_u8(cv2.resize(image, (width, height), dst=scaled, interpolation=cv2.INTER_LINEAR))

    def _picture(self, height: int, width: int) -> U8:
        """A scratch picture that the next call with this size overwrites."""
        picture = self._scratch.get((height, width))
        if picture is None:
            picture = self._scratch[height, width] = np.empty((height, width, 3), np.uint8)
        return picture


def own(centres: I32, radii: I32, out: I32) -> None:
    """Fill `out` (h, w) with the object that each cell belongs to; see `Ops.own`. O(h w + cells of the windows)."""
    height, width = out.shape
    out.fill(-1)
    if len(radii) == 0:
        return
    spans = 2 * radii.astype(np.int64) + 1
    owner = np.repeat(np.arange(len(radii)), spans**2)  # one entry per cell of each window, object after object
    within = np.arange(len(owner)) - np.repeat(np.cumsum(spans**2) - spans**2, spans**2)
    dy, dx = np.divmod(within, spans[owner])
    dx -= radii[owner]
    dy -= radii[owner]
    x, y = centres[owner, 0] + dx, centres[owner, 1] + dy
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    owner, cell = owner[inside], (y * width + x)[inside]
    # A quotient of two small integers: equal ones are equal doubles and different ones differ, so ties are exact.
    distance: F64 = (dx * dx + dy * dy)[inside] / (spans**2)[owner]
    nearest = np.full(height * width, np.inf)
    np.minimum.at(nearest, cell, distance)
    wins = np.flatnonzero(np.equal(distance, nearest[cell]))[::-1]  # backwards: of several, the first object stays
    out.reshape(-1)[cell[wins]] = owner[wins]


def extrapolate(heatmap: F32, owners: I32, shifts: I32, out: F32) -> None:
    """Move the objects of one heatmap (h, w) by whole cells into `out` (h, w), contiguous; see `Ops.extrapolate`.

    Only the cells of moving objects are touched after the copy; the temporaries are as many as these.
    """
    np.copyto(out, heatmap)
    moves: Bool = (shifts != 0).any(axis=1)
    if not moves.any():
        return
    height, width = heatmap.shape
    flat = out.reshape(-1)
    cells = np.flatnonzero(owners.reshape(-1) >= 0)
    owner = owners.reshape(-1)[cells]
    moving = moves[owner]
    cells, owner = cells[moving], owner[moving]
    flat[cells] = 0
    y, x = np.divmod(cells, width)
    x += shifts[owner, 0]
    y += shifts[owner, 1]
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    np.maximum.at(flat, (y * width + x)[inside], heatmap.reshape(-1)[cells[inside]])


def resample(heatmap: F32, meetings: Meetings, out: F32) -> None:
    """Write into `out` (h, w) the largest value of those cells of `heatmap` that each cell meets; 0 without any."""
    rows = _largest(heatmap, meetings.rows)
    out[:] = _largest(rows.T, meetings.columns).T


def _largest(values: F32, ranges: I32) -> F32:
    """(n, m) the largest of the rows first..last of `values` (k, m), for each of `ranges` (n, 2)."""
    first, last = ranges[:, 0], ranges[:, 1]
    largest: F32 = values[first]
    for further in range(1, 1 + int((last - first).max(initial=0))):
        np.maximum(largest, values[np.minimum(first + further, last)], out=largest)
    largest[last < first] = 0
    return largest


def _as_u8(image: object) -> U8:
    """OpenCV's stubs speak of integers and floats; a picture that came as uint8 left as uint8."""
    assert isinstance(image, np.ndarray)  # noqa: S101
    return image
