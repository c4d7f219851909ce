"""One tick's journey, from the newest frame of every lane to its tracks. READ THIS FIRST.

    pipeline = TrackingPipeline(open_backend(), PipelineSettings(k=6))
    pipeline.add_lane("door")
    for frame in source:
        for tracked in pipeline.collect(pipeline.submit({"door": frame})):
            print(tracked.kind, tracked.tracks.ids)

`submit` puts a tick's work on the device, `collect` waits for it and does the host's part. One stream is a batch of
one. On a CPU all device work has happened when `submit` returns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from edge.backend import Backend
from edge.config import PipelineSettings, check_mode, check_period, check_threshold
from edge.detections import Tracks
from edge.heatmap_memory import HeatmapMemory
from edge.lane import IdentityPolicy, Lane
from edge.letterbox import Letterbox
from edge.modes import MODES, Mode, NetworkName
from edge.network import Network
from edge.schedule import KeyframePolicy, LaneState
from edge.sources.base import Frame
from edge.tick import InFlight, Ticket
from edge.timings import StageTimes
from edge.tracking.tracker import Tracker

Kind = Literal["teacher", "student", "predicted"]
"""Who saw a frame; `predicted`: nobody, its tracks are the motion model's."""


class PipelineError(Exception):
    """A pipeline built from parts that do not fit, or used out of order."""


@dataclass(frozen=True, slots=True)
class TrackedFrame:
    """A frame and who is in it."""

    lane_id: str
    frame: Frame
    tracks: Tracks
    kind: Kind
    k: int
    """The lane's keyframe period at this frame."""
    since_teacher: int
    """Frames since the lane's keyframe: 0 on one, -1 where there was none (mode `student`)."""
    epoch: int = 1
    """Grows when the lane's identities start anew, which a reconnect does where the lane's policy is `reset`."""
    discontinuity: bool = False
    """Whether this is the first frame after a reconnect."""
    mode: Mode = "atttrack"
    """The lane's mode at this frame."""
    threshold: float = 0.4
    """Detections with a lower score were ignored in this frame."""


class TrackingPipeline:
    """All lanes of one device. Belongs to one thread."""

    def __init__(self, backend: Backend, settings: PipelineSettings | None = None) -> None:
        """Allocate every buffer. Raises PipelineError where the backend cannot run the settings' mode."""
        self.settings = settings or PipelineSettings()
        self.times = StageTimes()
        self._backend = backend
        self._check_mode(self.settings.mode)
        self._cuda_stream = backend.device.cuda_stream()
        self._networks: dict[NetworkName, Network] = {
            name: Network(engine, backend.device, backend.ops, self.settings.max_lanes, self.times)
            for name, engine in backend.engines.items()
        }
        self.signature = next(iter(backend.engines.values())).signature
        self._policies: dict[type[KeyframePolicy], KeyframePolicy] = {
            plan.policy: plan.policy() for plan in MODES.values()
        }
        self._lanes: dict[str, Lane] = {}
        self._in_flight: InFlight | None = None

    @property
    def modes(self) -> tuple[Mode, ...]:
        """What a lane may run."""
        return self._backend.modes

    @property
    def lane_ids(self) -> tuple[str, ...]:
        """Lanes in the order in which they were added."""
        return tuple(self._lanes)

    def add_lane(
        self,
        lane_id: str,
        k: int | None = None,
        mode: Mode | None = None,
        threshold: float | None = None,
        *,
        identity: IdentityPolicy = "keep",
    ) -> None:
        """Start a stream; None for what the settings say. Its first frame is a keyframe.

        k: keyframe period. threshold: the score that a detection must exceed. identity: what becomes of identities when
        the source reconnects.

        Raises ValueError for a bad value, PipelineError for a mode that cannot run here, a lane that exists or one too
        many.
        """
        tracker = self.settings.tracker
        period = self.settings.k if k is None else k
        chosen = self.settings.mode if mode is None else mode
        least = tracker.score_threshold if threshold is None else threshold
        check_period(period)
        check_threshold(least)
        self._check_mode(chosen)
        if lane_id in self._lanes:
            raise PipelineError(f"there is a lane {lane_id!r} already; remove it first")
        if len(self._lanes) == self.settings.max_lanes:
            raise PipelineError(f"all {self.settings.max_lanes} lanes are taken; raise max_lanes or remove one")
        self._lanes[lane_id] = Lane(
            lane_id=lane_id,
            k=period,
            mode=chosen,
            threshold=least,
            tracker=Tracker(replace(tracker, score_threshold=0.0)),  # the lane's own threshold comes before it
            memory=HeatmapMemory(self._backend.device, self._backend.ops, self.signature.cells),
            letterbox=Letterbox(1, 1, self.signature.width, self.signature.height),  # until the first frame
            identity=identity,
        )

    def remove_lane(self, lane_id: str) -> None:
        """Forget a stream and its identities. Raises PipelineError for an unknown one, or while a tick is in flight."""
        self._idle("remove a lane")
        lane = self._lane(lane_id)
        del self._lanes[lane_id]
        self._policy(lane.mode).forget(lane_id)

    def set_period(self, lane_id: str, k: int) -> None:
        """Change a lane's keyframe period: a shorter one holds at once, a longer one from the next keyframe on."""
        check_period(k)
        self._lane(lane_id).k = k

    def set_mode(self, lane_id: str, mode: Mode) -> None:
        """Change a lane's mode from its next frame on, which is a keyframe where the mode has any. Identities stay.

        Raises ValueError for an unknown mode, PipelineError for one that cannot run here.
        """
        self._check_mode(mode)
        lane = self._lane(lane_id)
        if mode != lane.mode:
            self._policy(lane.mode).forget(lane_id)
            lane.mode, lane.frames_since_teacher = mode, None

    def set_threshold(self, lane_id: str, threshold: float) -> None:
        """Change the score that a lane's detections must exceed, from its next frame on."""
        check_threshold(threshold)
        self._lane(lane_id).threshold = threshold

    def set_identity(self, lane_id: str, identity: IdentityPolicy) -> None:
        """Change what becomes of a lane's identities at its source's next reconnect."""
        self._lane(lane_id).identity = identity

    def submit(self, frames: Mapping[str, Frame]) -> InFlight:
        """Put one tick on the device: at most one frame per lane, for any of the lanes.

        Raises PipelineError for an unknown lane or while another tick is in flight.
        """
        self._idle("submit")
        lanes = [self._lane(lane_id) for lane_id in frames]
        for lane, frame in zip(lanes, frames.values(), strict=True):
            lane.fit(frame)
        keyframes = self._choose_keyframes([(lane, lane.state(frames[lane.lane_id])) for lane in lanes])
        shares: dict[NetworkName, list[Ticket]] = {}
        for lane, frame in zip(lanes, frames.values(), strict=True):
            network = "teacher" if lane.lane_id in keyframes else MODES[lane.mode].student
            assert network is not None, "a policy without students chooses every frame"  # noqa: S101
            lane.begin(frame, network == "teacher")
            shares.setdefault(network, []).append(Ticket.of(lane, frame, network))
        for network, tickets in shares.items():
            self._networks[network].enqueue(tickets, self._cuda_stream)
        self._in_flight = InFlight(tuple(frames), shares, self._cuda_stream.record())
        return self._in_flight

    def collect(self, in_flight: InFlight) -> list[TrackedFrame]:
        """Wait for a tick, track, remember its keyframes; results in the order in which the frames were submitted."""
        if in_flight is not self._in_flight:
            raise PipelineError("this tick is not in flight: collect each one once, before the next submit")
        self._in_flight = None
        with self.times.wait(len(in_flight.order)):
            in_flight.done.synchronize()
        tracked = {
            ticket.lane.lane_id: self._track(row, ticket)
            for tickets in in_flight.shares.values()
            for row, ticket in enumerate(tickets)
        }
        return [tracked[lane_id] for lane_id in in_flight.order]

    def _choose_keyframes(self, lanes: Sequence[tuple[Lane, LaneState]]) -> frozenset[str]:
        """Each policy decides for the lanes whose modes have it."""
        chosen = [
            policy.select([state for lane, state in lanes if MODES[lane.mode].policy is kind])
            for kind, policy in self._policies.items()
        ]
        return frozenset[str]().union(*chosen)

    def _track(self, row: int, ticket: Ticket) -> TrackedFrame:
        """The host's part for one lane, whose frame was image `row` of its network's batch."""
        network, lane, frame = self._networks[ticket.network], ticket.lane, ticket.frame
        with self.times.association(1):
            detections = network.detections(row, ticket.letterbox, ticket.threshold)
            tracks = lane.associate(detections, frame)
        motion = MODES[ticket.mode].motion
        if ticket.network == "teacher" and motion is not None:
            with self.times.keep(1):
                objects = motion(detections, tracks, ticket.letterbox)
                lane.memory.keep(network.heatmap(row), objects, frame.time_s, self._cuda_stream)
        return TrackedFrame(
            lane_id=lane.lane_id,
            frame=frame,
            tracks=tracks,
            kind="teacher" if ticket.network == "teacher" else "student",
            k=ticket.k,
            since_teacher=ticket.since_teacher,
            epoch=lane.epoch,
            discontinuity=lane.discontinuity,
            mode=ticket.mode,
            threshold=ticket.threshold,
        )

    def _policy(self, mode: Mode) -> KeyframePolicy:
        return self._policies[MODES[mode].policy]

    def _check_mode(self, mode: Mode) -> None:
        """Raise ValueError or PipelineError unless lanes can run in `mode`."""
        check_mode(mode)
        if mode not in self._backend.modes:
            wanted, found = MODES[mode].networks, list(self._backend.engines)
            raise PipelineError(
                f"mode {mode!r} wants the networks {', '.join(wanted)}; this backend has {', '.join(found) or 'none'}, "
                f"which is enough for {', '.join(self._backend.modes) or 'no mode'}"
            )

    def _lane(self, lane_id: str) -> Lane:
        if lane_id not in self._lanes:
            raise PipelineError(f"no lane {lane_id!r}; there are {list(self._lanes)}")
        return self._lanes[lane_id]

    def _idle(self, what: str) -> None:
        if self._in_flight is not None:
            raise PipelineError(f"cannot {what} while a tick is in flight; collect it first")
