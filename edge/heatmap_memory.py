"""What a lane remembers of its keyframe, and how that becomes a prior for later frames (AttTrack's Phi)."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from edge.detections import Detections, Tracks
from edge.letterbox import Letterbox
from edge.objects import Objects
from edge.ops.base import MovedHeatmap, Ops
from engines.device import Array, CudaStream, Device
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
    """The last keyframe of one lane. Its buffers are allocated once; the owner map is drawn once per keyframe."""

    def __init__(self, device: Device, ops: Ops, cells: tuple[int, int]) -> None:
        """`cells`: (h, w) of the heatmap."""
        self._device, self._ops = device, ops
        self._heatmap = device.empty(cells, np.float32)
        self._owners = device.empty(cells, np.int32)
        self._objects = Objects.none()
        self._time_s = 0.0

    def keep(self, heatmap: Array, objects: Objects, time_s: float, cuda_stream: CudaStream) -> None:
        """Remember a keyframe, after the tracker has said how its objects move.

        heatmap: (h, w) float32 on the device, copied. time_s: the frame's time.
        """
        self._time_s, self._objects = time_s, objects
        self._device.copy(heatmap, self._heatmap, cuda_stream)
        centres = np.floor(objects.centres).astype(np.int32)
        self._ops.own(centres, objects.radii, self._owners, cuda_stream)

    def prior(self, time_s: float) -> MovedHeatmap:
        """How the kept heatmap looks at `time_s`; only after `keep`.

        Velocities are those of the keyframe; time never runs backwards.
        """
        elapsed_s = max(0.0, time_s - self._time_s)
        return MovedHeatmap(self._heatmap, self._owners, self._objects.shifts(elapsed_s))
