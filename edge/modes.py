"""The five ways to run a pair: AttTrack, and the baselines that it is compared with."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from edge.heatmap_memory import Motion, follow_tracks, stand_still
from edge.schedule import EveryFrame, KeyframePolicy, KeyframeSchedule, NoFrame

Mode = Literal["teacher", "student", "naive", "no-update", "atttrack"]


@dataclass(frozen=True, slots=True)
class ModePlan:
    """Which networks a mode needs and what passes between them."""

    about: str
    """One line for people."""
    policy: type[KeyframePolicy]
    teacher: bool
    """Whether the teacher runs at all."""
    student: Literal["none", "plain", "prior"]
    """Which student runs; `plain` was trained without a prior."""
    motion: Motion | None
    """How the heatmap moves; None where the student gets no prior."""


MODES: Mapping[Mode, ModePlan] = MappingProxyType(
    {
        "teacher": ModePlan("the teacher on every frame", EveryFrame, True, "none", None),
        "student": ModePlan("the plain student on every frame", NoFrame, False, "plain", None),
        "naive": ModePlan("teacher and plain student in turn, nothing shared", KeyframeSchedule, True, "plain", None),
        "no-update": ModePlan(
            "the student gets the heatmap of the keyframe as it was", KeyframeSchedule, True, "prior", stand_still
        ),
        "atttrack": ModePlan(
            "the student gets the heatmap moved to its frame", KeyframeSchedule, True, "prior", follow_tracks
        ),
    }
)
