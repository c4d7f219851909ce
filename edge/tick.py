"""A submitted tick: which frame of which lane went to which network, under the settings that held then."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge.lane import Lane
from edge.letterbox import Letterbox
from edge.modes import Mode, NetworkName
from edge.sources.base import Frame
from engines.device import Event


@dataclass(frozen=True, slots=True)
class Ticket:
    """One lane's frame, and what was true of the lane when it was submitted: it may have changed when collected."""

    lane: Lane
    frame: Frame
    network: NetworkName
    letterbox: Letterbox
    mode: Mode
    k: int
    threshold: float
    since_teacher: int
    """Frames since the lane's keyframe: 0 on one, -1 where there was none."""

    @classmethod
    def of(cls, lane: Lane, frame: Frame, network: NetworkName) -> "Ticket":
        """The lane as it is now, after `Lane.begin`."""
        since = -1 if lane.frames_since_teacher is None else lane.frames_since_teacher
        return cls(lane, frame, network, lane.letterbox, lane.mode, lane.k, lane.threshold, since)


@dataclass(frozen=True, slots=True)
class InFlight:
    """A submitted tick, to be collected once, in the order of submission."""

    order: tuple[str, ...]  # lane ids as they were submitted
    shares: Mapping[NetworkName, Sequence[Ticket]]
    """What each network got, in the order of its batch."""
    done: Event
