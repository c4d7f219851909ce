"""The pixel work around the networks, on whatever device they run. Each call is a batch over lanes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from edge.arrays import I32
from edge.ops.framing import Framing
from edge.ops.letterbox import Letterbox
from edge.ops.pixels import Pixels
from engines.device import Array, CudaStream


@dataclass(frozen=True, slots=True)
class MovedHeatmap:
    """How to get one lane's prior from its keyframe's heatmap."""

    heatmap: Array  # (h, w) float32 in [0, 1], on the device
    owners: Array  # (h, w) int32 row of the object that a cell belongs to, -1 for the background; on the device
    shifts: I32  # (M, 2) whole cells (x, y) by which each object has moved; on the host
    framing: Framing | None = None
    """Of the picture, where the prior's cells are others than the heatmap's; None where they are the same."""


class Ops(Protocol):
    """`edge.ops.host` is the specification; every other implementation is tested against it."""

    def letterbox(
        self, images: Sequence[Pixels], letterboxes: Sequence[Letterbox], out: Array, cuda_stream: CudaStream
    ) -> None:
        """Scale pictures into the networks' input.

        images: B, in any of the forms of `Pixels`; arrays are taken at the call, a Surface must live until the work is
        done. out: (B, 3, H, W) uint8 RGB planar.
        """
        ...

    def upload(self, pixels: Pixels) -> Pixels:
        """The same picture, on its way to the device where that is another place. May be called on any thread."""
        ...

    def own(self, centres: I32, radii: I32, out: Array, cuda_stream: CudaStream) -> None:
        """Say which object each cell of a keyframe's heatmap belongs to.

        centres: (M, 2) x, y of the centres' cells; may lie off the map. radii: (M,) cells. A cell belongs to the object
        in whose window |cell - centre| <= radius (both axes) it lies; among several, to the one with the smallest
        distance^2 / (2 radius + 1)^2, then to the first. out: (h, w) int32, -1 where there is none.
        """
        ...

    def extrapolate(self, moved: Sequence[MovedHeatmap], out: Array, cuda_stream: CudaStream) -> None:
        """Write the priors: every cell's value goes to the cell that its owner's shift points at.

        Where several arrive, the largest stays; where none arrives, 0; what leaves the map is gone. The background does
        not move. Where networks have different sizes, each cell of the prior then takes the largest value of those that
        it meets, see `Framing`. Without shift, at one size, the result is the heatmap, bit for bit. out: (B, 1, h, w)
        float32 of the student's cells; all heatmaps of a batch are of one size.
        """
        ...
