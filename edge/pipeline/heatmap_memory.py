"""What a lane remembers of its keyframe, and how that becomes a prior for later frames (AttTrack's Phi)."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from edge.ops.base import MovedHeatmap, Ops
from edge.ops.framing import Framing
from edge.ops.letterbox import Letterbox
from edge.ops.objects import Objects
from edge.tracking.detections import Detections, Tracks
from engines.device import Array, CudaStream, Device, Event
from engines.signature import STRIDE

Motion: TypeAlias = Callable[[Detections, Tracks, Letterbox], Objects]
"""Which objects a keyframe's heatmap has, and how they move."""


def follow_tracks(detections: Detections, tracks: Tracks, letterbox: Letterbox) -> Objects:
    """Every detection is an object that moves as its track does; one without a track stays where it is."""
    velocities = np.zeros((len(detections), 2), np.float32)
    seen = tracks.detection >= 0
    velocities[tracks.detection[seen]] = tracks.velocities[seen] * np.float32(letterbox.ratio / STRIDE)
    xyxy = letterbox.to_input(detections.xyxy)
    sides = (xyxy[:, 2:] - xyxy[:, :2]) * np.float32(1 / STRIDE)
    return Objects.from_boxes(detections.points, sides, velocities)


def stand_still(detections: Detections, tracks: Tracks, letterbox: Letterbox) -> Objects:
    """Nothing moves: the prior is the heatmap itself (the paper's no-update baseline, Phi = identity)."""
    return Objects.none()


class HeatmapMemory:
    """The last keyframe of one lane. Buffers are allocated once; the owner map is drawn when a prior first needs it.

    There is room for two heatmaps: a new one is put aside as soon as the teacher has it, while priors still come from
    the old one, and takes its place when the tracker has said how the objects move.
    """

    def __init__(self, device: Device, ops: Ops, cells: tuple[int, int]) -> None:
        """`cells`: (h, w) of the heatmap."""
        self._device, self._ops = device, ops
        self._heatmaps = [device.empty(cells, np.float32) for _ in range(2)]
        self._owners = device.empty(cells, np.int32)
        self._objects = Objects.none()
        self._time_s = 0.0
        self._undrawn: CudaStream | None = None  # where the owner map has to be drawn; None where it has been
        self._put_aside = self._shown = 0
        self.readers: Sequence[Event] = ()
        """When the device has made the last priors from the heatmap before the one kept, if it has not."""

    def put_aside(self, heatmap: Array, cuda_stream: CudaStream) -> int:
        """Copy a keyframe's heatmap (h, w) float32 on the teacher's cuda_stream; returns the slot that it is in.

        The slot is that of the keyframe before the last: no prior from it may be on the device any more, but for what
        `readers` says.
        """
        for reader in self.readers:
            cuda_stream.wait(reader)
        self.readers = ()
        self._put_aside = 1 - self._put_aside
        self._device.copy(heatmap, self._heatmaps[self._put_aside], cuda_stream)
        return self._put_aside

    def keep(self, slot: int, objects: Objects, time_s: float, cuda_stream: CudaStream) -> None:
        """From now on, priors come from the heatmap in `slot`, of the time `time_s`.

        cuda_stream: the student's, on which priors are made; it must wait for the heatmap.
        """
        self._shown, self._objects, self._time_s, self._undrawn = slot, objects, time_s, cuda_stream

    def prior(self, time_s: float, framing: Framing) -> MovedHeatmap:
        """How the kept heatmap looks at `time_s`, in the student's cells; only after `keep`.

        Velocities are those of the keyframe; time never runs backwards.
        """
        if self._undrawn is not None:
            centres = np.floor(self._objects.centres).astype(np.int32)
            self._ops.own(centres, self._objects.radii, self._owners, self._undrawn)
            self._undrawn = None
        elapsed_s = max(0.0, time_s - self._time_s)
        shifts, to = self._objects.shifts(elapsed_s), None if framing.alike else framing
        return MovedHeatmap(self._heatmaps[self._shown], self._owners, shifts, to)
