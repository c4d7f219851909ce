"""Who sees which frame: teacher, student or nobody. Here are the rules that count frames."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Literal, Protocol

from edge.ops.pixels import Pixels
from edge.pipeline.attention import Attention
from edge.pipeline.config import LaneSettings

Kind = Literal["teacher", "student", "predicted"]
"""Who sees a frame. predicted: nobody, its tracks are the motion model's; it costs no work on pixels at all."""


@dataclass(frozen=True, slots=True)
class LaneState:
    """What a schedule knows of a lane that has a frame in this tick."""

    lane_id: str
    settings: LaneSettings
    frames_since_teacher: int | None
    """1 on the frame after a keyframe; None while the lane has no usable keyframe."""
    since_teacher_s: float | None
    """The same in seconds of the frames' own time."""
    time_s: float = 0.0
    """The frame's own time."""
    pixels: Pixels | None = None
    attention: Attention = field(default_factory=Attention)
    """What this lane's looks have taught."""


@dataclass(frozen=True, slots=True)
class Wish:
    """Who should see a lane's frame."""

    kind: Kind
    worth: float = inf
    """What the look is worth, of its price; most for its cost is granted first. Infinite: granted always."""
    or_student: bool = False
    """Whether the student will do in the teacher's place."""


class Schedule(Protocol):
    """Decides tick by tick, with all lanes of the tick in view. May remember what it has chosen."""

    def choose(self, lanes: Sequence[LaneState]) -> Mapping[str, Wish]:
        """Lane -> who should see its frame.

        A lane without a usable keyframe must get the teacher wherever the student wants a prior.
        """
        ...

    def forget(self, lane_id: str) -> None:
        """The lane is gone; its id may come back as another one."""
        ...


class EveryFrame:
    """Teacher only."""

    def choose(self, lanes: Sequence[LaneState]) -> Mapping[str, Wish]:
        """The teacher for all."""
        return {lane.lane_id: Wish("teacher") for lane in lanes}

    def forget(self, lane_id: str) -> None:
        """Nothing is remembered."""


class NoFrame:
    """Student only."""

    def choose(self, lanes: Sequence[LaneState]) -> Mapping[str, Wish]:
        """The student for all."""
        return {lane.lane_id: Wish("student") for lane in lanes}

    def forget(self, lane_id: str) -> None:
        """Nothing is remembered."""


class KeyframeSchedule:
    """Every K-th frame of each lane (AttTrack section 3), with the lanes' phases staggered.

    A lane's first frame is a keyframe. Its second keyframe comes after K frames or fewer: in the tick in which the
    fewest other lanes have theirs, so that the teacher's work is spread evenly. From then on every K-th. A lane that is
    alone has keyframes at 0, K, 2K and so on. Of the frames between, the student sees every `student_every`-th.
    """

    def __init__(self) -> None:
        self._due: dict[str, tuple[int, int]] = {}  # lane -> (its frames until the next keyframe, k)

    def choose(self, lanes: Sequence[LaneState]) -> Mapping[str, Wish]:
        """See `Schedule.choose`."""
        chosen = {lane.lane_id: Wish(self._kind(lane)) for lane in lanes}
        for lane in lanes:
            if lane.frames_since_teacher is None:
                self._due[lane.lane_id] = (self._calmest(lane), lane.settings.k)
        return chosen

    def forget(self, lane_id: str) -> None:
        """See `Schedule.forget`."""
        self._due.pop(lane_id, None)

    def _kind(self, lane: LaneState) -> Kind:
        """Count this frame."""
        if lane.frames_since_teacher is None:
            return "teacher"
        due, k = self._due[lane.lane_id][0], lane.settings.k
        due = min(due, k) - 1  # a period shortened meanwhile holds at once
        self._due[lane.lane_id] = (due or k, k)
        if due == 0:
            return "teacher"
        return "predicted" if lane.frames_since_teacher % lane.settings.student_every else "student"

    def _calmest(self, new: LaneState) -> int:
        """The tick in 1..K from now in which the fewest other lanes have a keyframe; of several, the last."""
        others = [due for lane_id, due in self._due.items() if lane_id != new.lane_id]
        load = [sum(tick >= due and (tick - due) % k == 0 for due, k in others) for tick in range(new.settings.k + 1)]
        return min(range(1, new.settings.k + 1), key=lambda tick: (load[tick], -tick))
