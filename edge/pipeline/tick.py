"""A tick on its way: which frame of which lane went to which network, under the settings that held then."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from edge.arrays import I64, Bool
from edge.ops.framing import Framing
from edge.pipeline.config import LaneSettings
from edge.pipeline.lane import Lane
from edge.pipeline.modes import NetworkName
from edge.pipeline.schedule import Kind
from edge.sources.base import Frame
from edge.tracking.detections import Detections, Tracks
from engines.device import Event
from engines.signature import PEOPLE


@dataclass(frozen=True, slots=True)
class TrackedFrame:
    """A frame and who is in it."""

    lane_id: str
    frame: Frame
    tracks: Tracks
    kind: Kind
    since_teacher: int
    """Frames since the lane's keyframe: 0 on one, -1 where there was none (mode `student`)."""
    epoch: int = 1
    """Grows when the lane's identities start anew, which a reconnect does where the lane's policy is `reset`."""
    discontinuity: bool = False
    """Whether this is the first frame after a reconnect."""
    settings: LaneSettings = field(default_factory=LaneSettings)
    """The lane's, as they held for this frame."""
    wish: Kind | None = None
    """Who would have seen it, had there been time; None where the wish was granted."""
    classes: tuple[str, ...] = PEOPLE
    """Names of what the pair sees."""
    late: bool = False
    """Whether these are the student's boxes, on a keyframe whose teacher answers later: edge.tracking.hindsight."""

    @property
    def class_names(self) -> list[str]:
        """N: each track's class."""
        if self.tracks.classes is None:
            return [self.classes[0]] * len(self.tracks)
        return [self.classes[place] for place in self.tracks.classes.tolist()]

    @property
    def origin(self) -> Kind:
        """Whose boxes these are; `kind` says who looks at the frame."""
        return "student" if self.late else self.kind

    def ended(self, ids: I64, epoch: int) -> Bool:
        """(N,) whether the people `ids`, known until now and of `epoch`, are gone; a new epoch ends everybody.

        It holds after lost frames, too, which nobody was told of: `Tracks.gone` names each one once.
        """
        if epoch != self.epoch or not len(ids):
            return np.ones(len(ids), np.bool_)
        return np.isin(ids, np.concatenate((self.tracks.ids, self.tracks.remembered)), invert=True)


@dataclass(frozen=True, slots=True)
class Ticket:
    """One lane's frame, and what was true of the lane when it was submitted: it may have changed when collected."""

    lane: Lane
    frame: Frame
    framing: Framing
    settings: LaneSettings
    since_teacher: int
    """Frames since the lane's keyframe: 0 on one, -1 where there was none."""
    wish: Kind | None
    """What was refused; None where the wish was granted."""
    late: bool
    """Whether the student answers first, on a keyframe."""

    @classmethod
    def of(cls, lane: Lane, frame: Frame, wish: Kind | None, late: bool) -> "Ticket":
        """The lane as it is now, after `Lane.begin`."""
        since = -1 if lane.frames_since_teacher is None else lane.frames_since_teacher
        return cls(lane, frame, lane.framing, lane.settings, since, wish, late)


class Found(Protocol):
    """Results of a network's batches on the host: `edge.pipeline.network.Network`."""

    def detections(self, turn: int, framings: Sequence[Framing], least_scores: Sequence[float]) -> list[Detections]: ...


@dataclass(slots=True)
class Share:
    """What one network got of a tick, or nobody."""

    network: NetworkName | None
    """None: nobody sees these frames."""
    results: Found | None
    """That network's: of a name there are several where lanes have students of their own."""
    tickets: Sequence[Ticket]
    """In the order of the batch."""
    turn: int
    """Which of the networks' result buffers this tick has."""
    found: Event | None
    """The results are on the host; None where nothing is computed."""
    slots: Mapping[str, int]
    """Lane -> where in its memory the heatmap was put aside; of keyframes whose heatmap is wanted."""
    heatmaps: Event | None
    """All of these copies are done; None where there are none."""
    began_s: float = 0.0
    """When its work was put on the device, on the host's clock."""
    tracked: Mapping[str, TrackedFrame] | None = None
    """Lane -> its result; None until the host's part was begun."""


@dataclass(frozen=True, slots=True)
class InFlight:
    """A submitted tick, to be collected once, in the order of submission."""

    order: tuple[str, ...]  # lane ids as they were submitted
    shares: Sequence[Share]
