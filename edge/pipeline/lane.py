"""What the pipeline keeps for one stream."""

from dataclasses import dataclass, field
from typing import Final

from edge.ops.framing import Framing
from edge.pipeline.attention import Attention
from edge.pipeline.config import LaneSettings
from edge.pipeline.heatmap_memory import HeatmapMemory
from edge.pipeline.modes import NetworkName
from edge.pipeline.schedule import Kind, LaneState
from edge.sources.base import Frame
from edge.tracking.detections import Detections, Tracks
from edge.tracking.hindsight import Hindsight
from edge.tracking.tracker import Look, Tracker


@dataclass(slots=True)
class Lane:
    """One stream's letterbox, keyframe memory, tracker and counters. Touches no other lane's."""

    lane_id: Final[str]
    settings: LaneSettings
    """May be replaced between ticks."""
    tracker: Tracker
    memory: Final[HeatmapMemory]
    framing: Framing
    attention: Attention = field(default_factory=Attention)
    epoch: int = 1
    """Grows when identities start anew: an id means somebody else in another epoch."""
    discontinuity: bool = False
    """Whether the frame tracked last was the first one after a reconnect."""
    frames_since_teacher: int | None = None
    """0 on a keyframe; None before the first, and after a reconnect or a change of the picture's size."""
    awaited_s: float | None = None
    """Time of the keyframe about which the teacher has yet to answer; None where there is none."""
    _hindsight: Hindsight | None = None
    """From when the student has answered about that keyframe."""
    _teacher_time_s: float = 0.0
    _look_time_s: float | None = None  # of the frame that a network saw last
    _fitted_session: int = 0
    _tracked_session: int = 0
    _tracked_size: tuple[int, int] | None = None

    def fit(self, frame: Frame) -> None:
        """Take the frame's size; another size than before, or a reconnect, makes the kept heatmap useless."""
        width, height = frame.size
        box = self.framing.teacher
        if (width, height) != (box.source_width, box.source_height):
            self.framing = self.framing.resized(width, height)
            self.frames_since_teacher = None
        if frame.session != self._fitted_session:
            self._fitted_session = frame.session
            self.frames_since_teacher = None

    def state(self, frame: Frame) -> LaneState:
        """What the schedule sees of this lane before `frame`."""
        known = self.frames_since_teacher is not None
        return LaneState(
            lane_id=self.lane_id,
            settings=self.settings,
            frames_since_teacher=self.frames_since_teacher + 1 if self.frames_since_teacher is not None else None,
            since_teacher_s=frame.time_s - self._teacher_time_s if known else None,
            time_s=frame.time_s,
            pixels=frame.pixels,
            attention=self.attention,
        )

    def begin(self, frame: Frame, kind: Kind) -> None:
        """Count the frame."""
        if kind == "teacher":
            self.frames_since_teacher = 0
            self._teacher_time_s = frame.time_s
        elif self.frames_since_teacher is not None:
            self.frames_since_teacher += 1

    def least_score(self, settings: LaneSettings, network: NetworkName) -> float:
        """What a detection must exceed: the teacher decides who is there, a student may be less sure of who was."""
        return settings.threshold * (1 if network == "teacher" else self.tracker.settings.weak_share)

    @property
    def may_settle(self) -> bool:
        """Whether the teacher's late answer can be taken in."""
        return self._hindsight is not None

    def settle(self, detections: Detections, settings: LaneSettings) -> Tracks:
        """Take in the teacher's late answer; returns the keyframe's tracks."""
        assert self._hindsight is not None and self.awaited_s is not None  # noqa: S101  (see may_settle)
        tracks, self.tracker = self._hindsight.settle(detections, settings.threshold)
        if settings.schedule == "adaptive":
            self.attention.learn(True, tracks.ids, self.tracker, self.awaited_s)
        self.awaited_s = self._hindsight = None
        return tracks

    def begin_anew(self) -> None:
        """After an error: a late answer that is still to come is of no use, and the next frame is a keyframe."""
        if self._hindsight is not None:
            self._hindsight.give_up()
        self.awaited_s = self._hindsight = self.frames_since_teacher = None

    def look(
        self, detections: Detections, frame: Frame, settings: LaneSettings, between_keyframes: bool, late: bool
    ) -> Look:
        """What the lane's tracker is to be updated with: the time since the last look counts; a clock that jumps back
        counts as none.

        `late`: on a keyframe, whose teacher is still to answer; see `settle`.
        """
        dt_s = self._since_look_s(frame)
        self.discontinuity = frame.session != self._tracked_session and self._look_time_s is not None
        self._look_time_s, self._tracked_session = frame.time_s, frame.session
        if self.discontinuity:
            self._start_anew(dt_s)
            self.attention = Attention()
        before, self._tracked_size = self._tracked_size or frame.size, frame.size
        if before != frame.size:  # a camera's night mode, or a viewer's wish: the same scene, in other pixels
            self.tracker.rescale(frame.size[0] / before[0], frame.size[1] / before[1])
        if self._hindsight is not None:
            self._hindsight.remember(detections, dt_s, settings.threshold)
            between_keyframes = True
        elif late:
            self._hindsight = Hindsight(self.tracker, dt_s)
            self.tracker = self._hindsight.scout
        return Look(self.tracker, detections, dt_s, settings.threshold, between_keyframes)

    def learn(self, tracks: Tracks, frame: Frame, settings: LaneSettings, between_keyframes: bool) -> None:
        """What came of a look."""
        if settings.schedule == "adaptive":
            self.attention.learn(not between_keyframes, tracks.ids, self.tracker, frame.time_s)
            if not self.attention.people and not self.attention.newcomers:
                self.attention.remember(frame.pixels)

    def predict(self, frame: Frame) -> Tracks:
        """The people of the last look where they should be in `frame`, which nobody sees."""
        self.discontinuity = False
        return self.tracker.predict_boxes(self._since_look_s(frame))

    def _since_look_s(self, frame: Frame) -> float:
        return 0.0 if self._look_time_s is None else max(0.0, frame.time_s - self._look_time_s)

    def _start_anew(self, gap_s: float) -> None:
        """The source was away for `gap_s`: what becomes of the identities."""
        if self.settings.identity == "keep":
            self.tracker.interrupt(gap_s)
        else:
            self.tracker = Tracker(self.tracker.settings)
            self.epoch += 1
