"""Which frames the teacher sees."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class LaneState:
    """What a policy knows of a lane that has a frame in this tick."""

    lane_id: str
    k: int
    """Wanted keyframe period, frames."""
    frames_since_teacher: int | None
    """1 on the frame after a keyframe; None while the lane has no usable keyframe."""
    since_teacher_s: float | None
    """The same in seconds of the frames' own time."""


class KeyframePolicy(Protocol):
    """Chooses keyframes, tick by tick, with all lanes of the tick in view. May remember what it has chosen."""

    def select(self, lanes: Sequence[LaneState]) -> frozenset[str]:
        """Ids of the lanes whose frame goes to the teacher.

        A lane without a usable keyframe must be among them wherever the student wants a prior.
        """
        ...

    def forget(self, lane_id: str) -> None:
        """The lane is gone; its id may come back as another one."""
        ...


class EveryFrame:
    """Teacher only."""

    def select(self, lanes: Sequence[LaneState]) -> frozenset[str]:
        """All."""
        return frozenset(lane.lane_id for lane in lanes)

    def forget(self, lane_id: str) -> None:
        """Nothing is remembered."""


class NoFrame:
    """Student only."""

    def select(self, lanes: Sequence[LaneState]) -> frozenset[str]:
        """None."""
        return frozenset()

    def forget(self, lane_id: str) -> None:
        """Nothing is remembered."""


class KeyframeSchedule:
    """Every K-th frame of each lane (AttTrack section 3), with the lanes' phases staggered.

    A lane's first frame is a keyframe. Its second keyframe comes after K frames or fewer: in the tick in which the
    fewest other lanes have theirs, so that the teacher's work is spread evenly. From then on every K-th. A lane that is
    alone has keyframes at 0, K, 2K and so on.
    """

    def __init__(self) -> None:
        self._due: dict[str, tuple[int, int]] = {}  # lane -> (its frames until the next keyframe, k)

    def select(self, lanes: Sequence[LaneState]) -> frozenset[str]:
        """See `KeyframePolicy.select`."""
        chosen = [lane.lane_id for lane in lanes if self._is_due(lane)]
        for lane in lanes:
            if lane.frames_since_teacher is None:
                chosen.append(lane.lane_id)
                self._due[lane.lane_id] = (self._calmest(lane), lane.k)
        return frozenset(chosen)

    def forget(self, lane_id: str) -> None:
        """See `KeyframePolicy.forget`."""
        self._due.pop(lane_id, None)

    def _is_due(self, lane: LaneState) -> bool:
        """Count this frame of a lane that has a keyframe already."""
        if lane.frames_since_teacher is None:
            return False
        due, _ = self._due[lane.lane_id]
        due = min(due, lane.k) - 1  # a period shortened meanwhile holds at once
        self._due[lane.lane_id] = (due or lane.k, lane.k)
        return due == 0

    def _calmest(self, new: LaneState) -> int:
        """The tick in 1..K from now in which the fewest other lanes have a keyframe; of several, the last."""
        others = [due for lane_id, due in self._due.items() if lane_id != new.lane_id]
        load = [sum(tick >= due and (tick - due) % k == 0 for due, k in others) for tick in range(new.k + 1)]
        return min(range(1, new.k + 1), key=lambda tick: (load[tick], -tick))
