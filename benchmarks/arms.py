"""What is compared: the pipeline's modes and frame skipping, at a keyframe period each; and how they run over a film.

Frame skipping (`predicted`) is what a product without a student does to save time, so the arm that a student must beat:
the teacher sees every K-th frame, and the people of that keyframe, moved on by their velocity, are the boxes of the
frames between, as `Tracker.predict_boxes` has them. The tracker sees keyframes only, with the time between them.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from tqdm import tqdm

from edge.pipeline.backend import Backend
from edge.pipeline.config import LaneSettings, PipelineSettings
from edge.pipeline.look_costs import StatedCosts
from edge.pipeline.modes import MODES, Mode
from edge.pipeline.pipeline import TrackedFrame, TrackingPipeline
from edge.pipeline.schedule import KeyframeSchedule
from edge.sources.base import Frame
from edge.sources.sequence import SequenceSource
from edge.tracking.detections import Tracks
from edge.tracking.tracker import TrackerSettings

Arm = Mode | Literal["second", "third", "adaptive", "predicted"]
SCHEDULED: Mapping[Arm, Mapping[str, Any]] = {
    "second": {"student_every": 2},
    "third": {"student_every": 3},
    "adaptive": {"schedule": "adaptive"},
}
"""AttTrack with frames that nobody sees: every second or third frame is a look, or the lane's `quality` decides."""
ARMS: tuple[Arm, ...] = (*MODES, *SCHEDULED, "predicted")
NAMES: Mapping[str, str] = {
    "teacher": "teacher alone",
    "student": "student alone",
    "naive": "naive mix",
    "no-update": "AttTrack, heatmap not moved",
    "atttrack": "AttTrack",
    "second": "AttTrack, every 2nd frame",
    "third": "AttTrack, every 3rd frame",
    "adaptive": "AttTrack, adaptive",
    "predicted": "frames skipped, Kalman only",
}
COLOURS: Mapping[str, str] = {
    "atttrack": "#0072B2",
    "no-update": "#009E73",
    "naive": "#E69F00",
    "predicted": "#CC79A7",
    "teacher": "#000000",
    "student": "#D55E00",
    "second": "#56B4E9",
    "third": "#F0E442",
    "adaptive": "#7F7F7F",
}
"""Told apart by people with any kind of colour blindness."""


def has_period(arm: Arm) -> bool:
    """Whether K means anything to it."""
    return arm != "adaptive" and (arm == "predicted" or MODES[mode_of(arm)].schedule is KeyframeSchedule)


def mode_of(arm: Arm) -> Mode:
    """The pipeline's mode behind an arm."""
    match arm:
        case "predicted":
            return "teacher"
        case "second" | "third" | "adaptive":
            return "atttrack"
        case _:
            return arm


@dataclass(frozen=True, slots=True)
class Variant:
    """One arm at one period."""

    mode: Arm
    k: int | None
    """None where the keyframe period means nothing: a single network runs."""

    def __str__(self) -> str:
        return self.mode if self.k is None else f"{self.mode} K={self.k}"


def variants(modes: Sequence[Arm], periods: Sequence[int]) -> list[Variant]:
    """Every mode at every period; modes with a single network once."""
    return [Variant(mode, k) for mode in modes for k in (periods if has_period(mode) else [None])]


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
        self.pipeline.add_lane(self.lane, self._settings())
        return self

    def _settings(self) -> LaneSettings:
        wanted = SCHEDULED.get(self.arm, {})
        return replace(self.pipeline.settings.lane, k=self.k, mode=mode_of(self.arm), **wanted)

    def __exit__(self, *_: object) -> None:
        self.pipeline.remove_lane(self.lane)

    def track(self, frame: Frame) -> TrackedFrame:
        """The frame's tracks."""
        since = self._frames % self.k
        self._frames += 1
        if self.arm == "predicted" and since and self._keyframe is not None:
            tracks = moved(self._keyframe.tracks, frame.time_s - self._keyframe.frame.time_s)
            return replace(self._keyframe, frame=frame, tracks=tracks, kind="predicted", since_teacher=since)
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


def open_pipelines(
    chosen: Sequence[Variant],
    backend: Backend,
    lane: LaneSettings | None = None,
    tracker: TrackerSettings | None = None,
) -> dict[Variant, TrackingPipeline]:
    """A pipeline for each variant, of the variant's mode; they share the networks. What looks cost is not measured:
    the same film gets the same looks."""
    lane, tracker = lane or LaneSettings(), tracker or TrackerSettings()
    settings = [PipelineSettings(replace(lane, mode=mode_of(variant.mode)), 1, tracker) for variant in chosen]
    pipelines = [TrackingPipeline(backend, wanted, StatedCosts()) for wanted in settings]
    return dict(zip(chosen, pipelines, strict=True))


def track_sequence(
    source: SequenceSource, pipelines: Mapping[Variant, TrackingPipeline]
) -> dict[Variant, list[TrackedFrame]]:
    """What each variant says about each frame; every picture is decoded once."""
    found: dict[Variant, list[TrackedFrame]] = {variant: [] for variant in pipelines}
    with ExitStack() as stack:
        trackers = {
            variant: stack.enter_context(FrameTracker(pipeline, variant.mode, variant.k or 1))
            for variant, pipeline in pipelines.items()
        }
        for frame in tqdm(source, total=source.frame_count, desc=source.path.name, unit="frame", disable=None):
            for variant, tracker in trackers.items():
                found[variant].append(tracker.track(frame))
    return found
