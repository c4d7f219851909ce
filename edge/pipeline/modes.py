"""The five ways to run a pair: AttTrack, and the baselines that it is compared with."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from edge.pipeline.config import Mode
from edge.pipeline.heatmap_memory import Motion, follow_tracks, stand_still
from edge.pipeline.schedule import EveryFrame, KeyframeSchedule, NoFrame, Schedule

NetworkName = Literal["teacher", "student", "plain"]
"""`student` takes the teacher's heatmap as its prior, `plain` is the student that was trained without."""


@dataclass(frozen=True, slots=True)
class ModePlan:
    """Which networks a mode needs and what passes between them."""

    about: str
    """One line for people."""
    schedule: type[Schedule]
    """Who sees which frame; lanes whose modes have the same one share it."""
    student: Literal["student", "plain"] | None
    """The network of the frames between keyframes."""
    motion: Motion | None
    """How the heatmap moves; None where nothing is kept of it."""

    @property
    def networks(self) -> tuple[NetworkName, ...]:
        """What must be loaded."""
        teacher: tuple[NetworkName, ...] = () if self.schedule is NoFrame else ("teacher",)
        return teacher if self.student is None else (*teacher, self.student)


MODES: Mapping[Mode, ModePlan] = MappingProxyType(
    {
        "teacher": ModePlan("the teacher on every frame", EveryFrame, None, None),
        "student": ModePlan("the plain student on every frame", NoFrame, "plain", None),
        "naive": ModePlan("teacher and plain student in turn, nothing shared", KeyframeSchedule, "plain", None),
        "no-update": ModePlan(
            "the student gets the heatmap of the keyframe as it was", KeyframeSchedule, "student", stand_still
        ),
        "atttrack": ModePlan(
            "the student gets the heatmap moved to its frame", KeyframeSchedule, "student", follow_tracks
        ),
    }
)
