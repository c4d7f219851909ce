"""What is compared: the pipeline's modes and frame skipping, at a keyframe period each; and how they run over a film.

Frame skipping (`predicted`) is what a product without a student does to save time, so the arm that a student must beat:
the teacher sees every K-th frame, and the frames between are predicted.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, Literal

from tqdm import tqdm

from edge.pipeline.backend import Backend
from edge.pipeline.config import LaneSettings, Mode, PipelineSettings
from edge.pipeline.look_costs import StatedCosts
from edge.pipeline.modes import MODES
from edge.pipeline.pipeline import TrackedFrame, TrackingPipeline
from edge.pipeline.schedule import KeyframeSchedule
from edge.sources.base import Frame
from edge.sources.sequence import SequenceSource
from edge.tracking.tracker import TrackerSettings

Arm = Mode | Literal["second", "third", "adaptive", "predicted"]
SCHEDULED: Mapping[Arm, Mapping[str, Any]] = {
    "second": {"student_every": 2},
    "third": {"student_every": 3},
    "adaptive": {"schedule": "adaptive"},
}
"""AttTrack with frames that nobody sees: every second or third frame is a look, or the lane's `quality` decides."""
ARMS: tuple[Arm, ...] = (*MODES, *SCHEDULED, "predicted")
SKIPPING: tuple[Mode, ...] = ("naive", "no-update", "atttrack")
"""Frames are skipped in the first of these that the networks allow; its student is never asked."""


def has_period(arm: Arm) -> bool:
    """Whether K means anything to it."""
    return arm != "adaptive" and (arm == "predicted" or MODES[mode_of(arm)].schedule is KeyframeSchedule)


def mode_of(arm: Arm) -> Mode:
    """The mode that wants the networks which an arm needs."""
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


def settings_of(arm: Arm, k: int | None, lane: LaneSettings, allowed: Collection[Mode]) -> LaneSettings:
    """How the pipeline runs an arm; `allowed`: modes that the networks allow."""
    if arm != "predicted":
        return replace(lane, k=k or 1, mode=mode_of(arm), **SCHEDULED.get(arm, {}))
    mode: Mode = next((mode for mode in SKIPPING if mode in allowed), SKIPPING[0])
    return replace(lane, k=k or 1, mode=mode, student_every=k or 1)


@dataclass(slots=True)
class FrameTracker:
    """One arm at one period over the frames of one source, from a fresh tracker on. Takes a lane of `pipeline`."""

    pipeline: TrackingPipeline
    arm: Arm
    k: int = 1
    lane: str = "source"

    def __enter__(self) -> "FrameTracker":
        self.pipeline.add_lane(
            self.lane, settings_of(self.arm, self.k, self.pipeline.settings.lane, self.pipeline.modes)
        )
        return self

    def __exit__(self, *_: object) -> None:
        self.pipeline.remove_lane(self.lane)

    def track(self, frame: Frame) -> TrackedFrame:
        """The frame's tracks."""
        (tracked,) = self.pipeline.collect(self.pipeline.submit({self.lane: frame}))
        return tracked


def open_pipelines(
    chosen: Sequence[Variant],
    backend: Backend,
    lane: LaneSettings | None = None,
    tracker: TrackerSettings | None = None,
) -> dict[Variant, TrackingPipeline]:
    """A pipeline for each variant, of the variant's mode; they share the networks. What looks cost is not measured:
    the same film gets the same looks."""
    lane, tracker = lane or LaneSettings(), tracker or TrackerSettings()
    settings = [
        PipelineSettings(settings_of(variant.mode, variant.k, lane, backend.modes), 1, tracker) for variant in chosen
    ]
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
