"""Frame skipping: the teacher sees every K-th frame, the motion model tells the boxes of the frames between.

What a product without a student does to save time, and so the arm that a student must beat. Its boxes between keyframes
are put out like any others, as `Tracker.predict_boxes` has them: the people of the last keyframe, moved on by their
velocity. The tracker itself sees keyframes only, with the time between them.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from edge.pipeline.modes import MODES, Mode
from edge.pipeline.pipeline import TrackedFrame, TrackingPipeline
from edge.pipeline.schedule import KeyframeSchedule
from edge.sources.base import Frame
from edge.tracking.detections import Tracks

Arm = Mode | Literal["predicted"]
"""What is compared: the pipeline's modes, and frame skipping."""
ARMS: tuple[Arm, ...] = (*MODES, "predicted")


def has_period(arm: Arm) -> bool:
    """Whether K means anything to it."""
    return arm == "predicted" or MODES[arm].schedule is KeyframeSchedule


@dataclass(slots=True)
class FrameTracker:
    """One arm at one period over the frames of one source, from a fresh tracker on. Takes a lane of `pipeline`."""

    pipeline: TrackingPipeline
    arm: Arm
    k: int = 1
    lane: str = "source"
    _frames: int = 0
    _keyframe: TrackedFrame | None = None

    def __enter__(self) -> "FrameTracker":
        self._frames, self._keyframe = 0, None
        self.pipeline.add_lane(self.lane, k=self.k, mode="teacher" if self.arm == "predicted" else self.arm)
        return self

    def __exit__(self, *_: object) -> None:
        self.pipeline.remove_lane(self.lane)

    def track(self, frame: Frame) -> TrackedFrame:
        """The frame's tracks."""
        since = self._frames % self.k
        self._frames += 1
        if self.arm == "predicted" and since and self._keyframe is not None:
            tracks = moved(self._keyframe.tracks, frame.time_s - self._keyframe.frame.time_s)
            return replace(self._keyframe, frame=frame, tracks=tracks, kind="predicted", k=self.k, since_teacher=since)
        (tracked,) = self.pipeline.collect(self.pipeline.submit({self.lane: frame}))
        self._keyframe = tracked
        return tracked


def moved(tracks: Tracks, after_s: float) -> Tracks:
    """The people of an earlier frame, `after_s` seconds later; see `Tracker.predict_boxes`, which needs the tracker."""
    return replace(
        tracks,
        xyxy=tracks.xyxy + np.tile(tracks.velocities, 2) * np.float32(after_s),
        detection=np.full(len(tracks), -1, np.int32),
    )
