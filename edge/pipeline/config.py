"""Settings of one lane and of the pipeline, checked when they are made."""

from argparse import ArgumentTypeError
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args, get_type_hints

from edge.tracking.detections import SCORE_THRESHOLD
from edge.tracking.tracker import TrackerSettings

Mode = Literal["teacher", "student", "naive", "no-update", "atttrack"]
"""What each of them is: `edge.pipeline.modes`."""
IdentityPolicy = Literal["keep", "reset"]
ScheduleName = Literal["fixed", "adaptive"]
SHIPPED_PAIR = "open"
"""The networks that run unless others are named; what they are says models/README.md."""
INPUT_SIZE = (576, 320)
"""(width, height) of the networks' input, pixels, where nothing else is said."""


def _told(about: str, least: float | None = None, most: float | None = None) -> dict[str, Any]:
    """What people and schemas are told of a field; numbers have a `least` and a `most`."""
    return {"about": about, "least": least, "most": most}


@dataclass(frozen=True, slots=True)
class LaneSettings:
    """All that can be set about one stream on its way from frames to tracks.

    Raises ValueError on construction, naming the field, where a value makes no sense. A field that is added here is at
    once one of the service's settings, of the bodies of its streams, of what it keeps of them and of its messages.
    """

    k: int = field(default=6, metadata=_told("Keyframe period: the teacher sees every k-th frame.", 1, 1000))
    mode: Mode = field(default="atttrack", metadata=_told("How teacher and student share the work."))
    threshold: float = field(
        default=SCORE_THRESHOLD,
        metadata=_told("Score that a new person must exceed; half of it keeps a track between keyframes.", 0, 1),
    )
    identity: IdentityPolicy = field(
        default="keep",
        metadata=_told(
            "What becomes of identities when the camera was away. keep: people are found again by appearance; "
            "reset: a new epoch begins, with new ids."
        ),
    )
    schedule: ScheduleName = field(
        default="fixed",
        metadata=_told(
            "Who decides which network sees a frame. fixed: k and student_every; adaptive: what the tracker knows, at "
            "the price that `quality` sets."
        ),
    )
    quality: float = field(
        default=0.6,
        metadata=_told("Adaptive: how much a right box is worth. 1: teacher on every frame; 0: only the bounds.", 0, 1),
    )
    longest_s: float = field(
        default=1.0, metadata=_told("Adaptive: seconds after which the teacher looks at the latest.", 0.05, 60)
    )
    shortest_s: float = field(
        default=0.0, metadata=_told("Adaptive: seconds before which the teacher does not look again.", 0, 60)
    )
    student_every: int = field(
        default=1,
        metadata=_told(
            "Between keyframes the student sees every so many frames and nobody the rest, whose boxes are predicted. "
            "1: all of them; k or more: none.",
            1,
            1000,
        ),
    )

    def __post_init__(self) -> None:
        types = get_type_hints(LaneSettings)
        for one in fields(self):
            value, least, most = getattr(self, one.name), one.metadata["least"], one.metadata["most"]
            choices = get_args(types[one.name])
            if least is not None and not least <= value <= most:
                raise ValueError(f"{one.name} must be {least} to {most}, got {value}")
            if choices and value not in choices:
                raise ValueError(f"{one.name} must be one of {', '.join(choices)}, got {value!r}")


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """How frames become tracks. Raises ValueError on construction, naming the field, where a value makes no sense."""

    lane: LaneSettings = field(default_factory=LaneSettings)
    """Of a lane that is added without its own."""
    max_lanes: int = 16
    """Streams at a time, for which buffers are allocated; 1 to 256."""
    tracker: TrackerSettings = field(default_factory=TrackerSettings)
    """Association in all lanes."""

    def __post_init__(self) -> None:
        if not 1 <= self.max_lanes <= 256:
            raise ValueError(f"max_lanes must be 1 to 256, got {self.max_lanes}")


class SizeError(ValueError, ArgumentTypeError):
    """The text is no size. A command line that reads one shows the message as it is."""


def parse_size(text: str) -> tuple[int, int]:
    """'576x320' -> (576, 320): width and height in pixels; `size_name` is the way back. Raises SizeError."""
    width, times, height = text.lower().partition("x")
    if not (times and width.isdecimal() and height.isdecimal()):
        raise SizeError(f"a size looks like 576x320, got {text!r}")
    return int(width), int(height)
