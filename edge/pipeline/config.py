"""Settings of the pipeline, checked when they are made."""

from dataclasses import dataclass, field
from typing import get_args

from edge.pipeline.modes import Mode
from edge.tracking.tracker import TrackerSettings

LONGEST_PERIOD = 1000


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """How frames become tracks. Raises ValueError on construction, naming the field, where a value makes no sense."""

    mode: Mode = "atttrack"
    """Mode of a lane that names none of its own: which networks run and what passes between them; see `modes`."""
    k: int = 6
    """Keyframe period of a lane that names none of its own, frames; 1 to 1000."""
    student_every: int = 1
    """Of the frames between keyframes the student sees every so many, and nobody the rest: 1 for all of them, k or more
    for none, which is plain frame skipping. Of a lane that names none of its own; 1 to 1000."""
    max_lanes: int = 16
    """Streams at a time, for which buffers are allocated; 1 to 256."""
    tracker: TrackerSettings = field(default_factory=TrackerSettings)
    """Association, and the score that a detection must exceed in a lane that names none of its own."""

    def __post_init__(self) -> None:
        check_mode(self.mode)
        check_period(self.k)
        check_student_every(self.student_every)
        if not 1 <= self.max_lanes <= 256:
            raise ValueError(f"max_lanes must be 1 to 256, got {self.max_lanes}")


def check_mode(mode: str) -> None:
    """Raise ValueError unless there is such a mode."""
    if mode not in get_args(Mode):
        raise ValueError(f"mode must be one of {', '.join(get_args(Mode))}, got {mode!r}")


def check_threshold(threshold: float) -> None:
    """Raise ValueError unless `threshold` can be a least score."""
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold must be between 0 and 1, got {threshold}")


def check_period(k: int) -> None:
    """Raise ValueError unless `k` can be a keyframe period."""
    if not 1 <= k <= LONGEST_PERIOD:
        raise ValueError(f"k must be 1 to {LONGEST_PERIOD} frames, got {k}")


def check_student_every(frames: int) -> None:
    """Raise ValueError unless `frames` can be the student's period."""
    if not 1 <= frames <= LONGEST_PERIOD:
        raise ValueError(f"student_every must be 1 to {LONGEST_PERIOD} frames, got {frames}")


def parse_size(text: str) -> tuple[int, int]:
    """'576x320' -> (576, 320): width and height in pixels. Raises ValueError."""
    width, times, height = text.lower().partition("x")
    if not (times and width.isdecimal() and height.isdecimal()):
        raise ValueError(f"a size looks like 576x320, got {text!r}")
    return int(width), int(height)
