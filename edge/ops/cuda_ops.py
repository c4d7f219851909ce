"""Letterbox and extrapolation by the kernels of edge/ops/kernels, bit for bit as `edge.ops.host` does them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge.arrays import I32
from edge.ops.base import MovedHeatmap
from edge.ops.framing import Framing, Meetings
from edge.ops.kernels.build import KERNELS, kernel_image
from edge.ops.letterbox import GREY, Letterbox
from edge.ops.pixels import Pixels, Surface, Uploaded, on_host
from edge.ops.resampling import column_weights, halvings, row_weights
from edge.ops.uploads import Uploads
from engines.cuda_device import CudaDevice
from engines.device import CudaStream, GpuArray
from engines.staging import StagingRing, aligned

_PICTURE = np.dtype(
    [
        *((name, np.uint64) for name in ("source", "chroma", "columns", "rows")),
        *((name, np.int32) for name in ("pitch", "source_width", "source_height", "halvings", "nv12")),
        *((name, np.int32) for name in ("left", "top", "width", "height")),
        ("colours", np.int32, 6),
    ],
    align=True,
)
"""`struct Picture` of letterbox.cu."""
_MEETINGS = ("columns", "rows", "columns_back", "rows_back")
_HEATMAP = np.dtype([(name, np.uint64) for name in ("values", "owners", "shifts", *_MEETINGS)])
"""`struct Heatmap` of prior.cu."""
_TILE = (32, 8, 1)
"""Threads of a block that share a part of a picture."""
_ROW = (256, 1, 1)
"""Threads of a block that share a part of a heatmap."""


@dataclass(frozen=True, slots=True)
class _Scaling:
    """What the kernel needs to know about one camera's size; made once, kept on the device."""

    halvings: int
    columns: GpuArray
    rows: GpuArray


@dataclass(frozen=True, slots=True)
class _At:
    """An address on the device, as kernels take them."""

    pointer: int


def _nbytes(pixels: Pixels) -> int:
    """Of what has to go to the device."""
    if isinstance(pixels, Surface | Uploaded):
        return 0
    return on_host(pixels)[0].nbytes


class CudaOps:
    """Ops on a GPU. Keeps a staging ring per cuda_stream, so one thread at a time."""

    def __init__(self, device: CudaDevice, image: bytes | None = None) -> None:
        """`image`: the compiled kernels, None to build them or take them from the cache.

        Raises DeviceError where they cannot be built or are not for this GPU.
        """
        self._device = device
        if image is None:
            image = kernel_image("".join(map(str, device.compute_capability)))
        self._kernels = device.kernels(image, KERNELS)
        self.upload = Uploads(device)
        """See `Ops.upload`."""
        self._rings: dict[int, StagingRing] = {}  # by the cuda_stream's handle
        self._meetings: dict[Framing | tuple[int, ...], dict[str, GpuArray]] = {}  # likewise
        self._scalings: dict[Letterbox, _Scaling] = {}  # as many as there are camera sizes

    def letterbox(
        self, images: Sequence[Pixels], letterboxes: Sequence[Letterbox], out: GpuArray, cuda_stream: CudaStream
    ) -> None:
        """See `Ops.letterbox`. Pictures of a size never seen before cost two small allocations and a wait.

        Of a Surface nothing is copied: the kernel reads it where it is, behind its `ready`.
        """
        ring, offset = self._ring(cuda_stream), aligned(len(images) * _PICTURE.itemsize)
        ring.reserve(offset + sum(aligned(_nbytes(pixels)) for pixels in images))
        rows = []
        for pixels, box in zip(images, letterboxes, strict=True):
            if isinstance(pixels, Surface):
                cuda_stream.wait(pixels.ready)
                source, chroma, colours = pixels.luma.pointer, pixels.chroma.pointer, pixels.colours
                pitch, nv12 = pixels.luma.shape[1], True
            else:
                image, colours = on_host(pixels)
                if isinstance(pixels, Uploaded):
                    cuda_stream.wait(pixels.ready)
                    source = pixels.there.pointer
                else:
                    source = ring.put(offset, image)
                    offset += aligned(image.nbytes)
                pitch, nv12 = image.nbytes // image.shape[0], image.ndim == 2
                chroma = source + pitch * box.source_height
            scaling = self._scaling(box, cuda_stream)
            where = source, chroma, scaling.columns.pointer, scaling.rows.pointer
            size = pitch, box.source_width, box.source_height, scaling.halvings, nv12
            rows.append((*where, *size, box.left, box.top, box.width, box.height, colours.coefficients))
        table = np.array(rows, _PICTURE)
        ring.put(0, table.view(np.uint8))
        ring.send()
        height, width = out.shape[2:]
        grid = (-(-width // _TILE[0]), -(-height // _TILE[1]), len(images))
        self._kernels["letterbox"].launch(grid, _TILE, (_At(ring.pointer), out, width, height, GREY), cuda_stream)

    def own(self, centres: I32, radii: I32, out: GpuArray, cuda_stream: CudaStream) -> None:
        """See `Ops.own`."""
        ring, offset = self._ring(cuda_stream), aligned(centres.nbytes)
        ring.reserve(offset + aligned(radii.nbytes))
        where, how_far = ring.put(0, centres), ring.put(offset, radii)
        ring.send()
        height, width = out.shape
        arguments = (_At(where), _At(how_far), len(radii), out, width, height)
        self._kernels["own"].launch((-(-width * height // _ROW[0]), 1, 1), _ROW, arguments, cuda_stream)

    def extrapolate(self, moved: Sequence[MovedHeatmap], out: GpuArray, cuda_stream: CudaStream) -> None:
        """See `Ops.extrapolate`."""
        table = np.zeros(len(moved), _HEATMAP)
        ring, offset = self._ring(cuda_stream), aligned(table.nbytes)
        ring.reserve(offset + sum(aligned(lane.shifts.nbytes) for lane in moved))
        for row, lane in zip(table, moved, strict=True):
            row["values"], row["owners"] = lane.heatmap.pointer, lane.owners.pointer
            row["shifts"] = ring.put(offset, lane.shifts)
            offset += aligned(lane.shifts.nbytes)
            for name, cells in self._met(lane, cuda_stream).items():
                row[name] = cells.pointer
        ring.put(0, table.view(np.uint8))
        ring.send()
        (height, width), (from_height, from_width) = out.shape[2:], moved[0].heatmap.shape
        to = (_At(ring.pointer), out, width, height, from_width)
        grid = (-(-width * height // _ROW[0]), len(moved), 1)
        self._kernels["move_begin"].launch(grid, _ROW, to, cuda_stream)
        grid = (-(-from_width * from_height // _ROW[0]), len(moved), 1)
        self._kernels["move_end"].launch(grid, _ROW, (*to, from_height), cuda_stream)

    def _ring(self, cuda_stream: CudaStream) -> StagingRing:
        ring = self._rings.get(cuda_stream.handle)
        if ring is None:
            ring = self._rings[cuda_stream.handle] = StagingRing(self._device, cuda_stream)
        return ring

    def _met(self, lane: MovedHeatmap, cuda_stream: CudaStream) -> dict[str, GpuArray]:
        """Which cells meet, on the device."""
        key = lane.framing or lane.heatmap.shape
        if key not in self._meetings:
            meetings = lane.framing.meetings if lane.framing else Meetings.all_alike(lane.heatmap.shape)
            self._meetings[key] = {name: self._kept(getattr(meetings, name), cuda_stream) for name in _MEETINGS}
            cuda_stream.synchronize()  # the tables here may go
        return self._meetings[key]

    def _scaling(self, box: Letterbox, cuda_stream: CudaStream) -> _Scaling:
        scaling = self._scalings.get(box)
        if scaling is None:
            count = halvings((box.source_width, box.source_height), (box.width, box.height))
            columns = column_weights(box.source_width >> count, box.width)
            rows = row_weights(box.source_height >> count, box.height)
            scaling = _Scaling(count, self._kept(columns, cuda_stream), self._kept(rows, cuda_stream))
            cuda_stream.synchronize()  # the other cuda_stream may use it next, and the tables here go
            self._scalings[box] = scaling
        return scaling

    def _kept(self, table: I32, cuda_stream: CudaStream) -> GpuArray:
        array = self._device.empty(table.shape, table.dtype)
        self._device.copy(table, array, cuda_stream)
        return array
