"""What the pipeline keeps for one stream."""

from dataclasses import dataclass
from typing import Final

from edge.detections import Detections, Tracks
from edge.heatmap_memory import Memory
from edge.letterbox import Letterbox
from edge.schedule import LaneState
from edge.sources.base import Frame
from edge.tracking.tracker import Tracker


@dataclass(slots=True)
class Lane:
    """One stream's letterbox, keyframe memory, tracker and counters. Touches no other lane's."""

    lane_id: Final[str]
    k: int
    """Keyframe period, frames; may be changed between ticks."""
    tracker: Final[Tracker]
    memory: Final[Memory]
    letterbox: Letterbox
    frames_since_teacher: int | None = None
    """0 on a keyframe; None before the first, and after the picture's size has changed."""
    _teacher_time_s: float = 0.0
    _last_time_s: float | None = None

    def fit(self, frame: Frame) -> None:
        """Take the frame's size; another size than before makes the kept heatmap useless."""
        height, width = frame.image.shape[:2]
        box = self.letterbox
        if (width, height) != (box.source_width, box.source_height):
            self.letterbox = Letterbox(width, height, box.input_width, box.input_height)
            self.frames_since_teacher = None

    def state(self, frame: Frame) -> LaneState:
        """What the schedule sees of this lane before `frame`."""
        if self.frames_since_teacher is None:
            return LaneState(self.lane_id, self.k, None, None)
        since_s = frame.time_s - self._teacher_time_s
        return LaneState(self.lane_id, self.k, self.frames_since_teacher + 1, since_s)

    def begin(self, frame: Frame, keyframe: bool) -> None:
        """Count the frame."""
        if keyframe:
            self.frames_since_teacher = 0
            self._teacher_time_s = frame.time_s
        elif self.frames_since_teacher is not None:
            self.frames_since_teacher += 1

    def associate(self, detections: Detections, time_s: float) -> Tracks:
        """Feed the tracker with the time since the last frame; a clock that jumps back counts as none."""
        dt_s = 0.0 if self._last_time_s is None else max(0.0, time_s - self._last_time_s)
        self._last_time_s = time_s
        return self.tracker.update(detections, dt_s)
