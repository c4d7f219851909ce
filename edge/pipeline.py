"""One tick's journey, from the newest frame of every lane to its tracks. READ THIS FIRST.

    pipeline = TrackingPipeline(open_backend(), PipelineSettings(k=6))
    pipeline.add_lane("door")
    for frame in source:
        for tracked in pipeline.collect(pipeline.submit({"door": frame})):
            print(tracked.kind, tracked.tracks.ids)

`submit` puts a tick's work on the device, `collect` waits for it and does the host's part. One stream is a batch of
one. On a CPU all device work has happened when `submit` returns.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from edge.backend import Backend
from edge.config import PipelineSettings, check_period
from edge.detections import Tracks
from edge.heatmap_memory import HeatmapMemory, Memory, NoMemory
from edge.lane import IdentityPolicy, Lane
from edge.letterbox import Letterbox
from edge.modes import MODES
from edge.network import Network
from edge.sources.base import Frame
from edge.timings import StageTimes
from edge.tracking.tracker import Tracker
from engines.device import Event
from engines.signature import Signature

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


@dataclass(frozen=True, slots=True)
class Share:
    """The lanes of a tick that go to one network, in the order of its batch."""

    kind: Literal["teacher", "student"]
    lanes: list[Lane]
    frames: list[Frame]


@dataclass(frozen=True, slots=True)
class InFlight:
    """A submitted tick. `collect` it before the next `submit`."""

    order: tuple[str, ...]  # lane ids as they were submitted
    shares: tuple[Share, ...]
    done: Event


class TrackingPipeline:
    """All lanes of one device. Belongs to one thread."""

    def __init__(self, backend: Backend, settings: PipelineSettings | None = None) -> None:
        """Allocate every buffer. Raises PipelineError where the backend was opened for another mode."""
        self.settings = settings or PipelineSettings()
        self.times = StageTimes()
        self.signature = _check_backend(backend, self.settings)
        self._backend = backend
        self._plan = MODES[self.settings.mode]
        self._policy = self._plan.policy()
        self._cuda_stream = backend.device.cuda_stream()
        self._networks = {
            engine.signature.role: Network(engine, backend.device, backend.ops, self.settings.max_lanes, self.times)
            for engine in (backend.teacher, backend.student)
            if engine is not None
        }
        self._lanes: dict[str, Lane] = {}
        self._in_flight: InFlight | None = None

    @property
    def lane_ids(self) -> tuple[str, ...]:
        """Lanes in the order in which they were added."""
        return tuple(self._lanes)

    def add_lane(self, lane_id: str, k: int | None = None, *, identity: IdentityPolicy = "keep") -> None:
        """Start a stream; `k` is its keyframe period, None for the settings'. Its first frame is a keyframe.

        `identity` says what becomes of identities when the source reconnects.

        Raises ValueError for a bad period, PipelineError for a lane that exists or one too many.
        """
        period = self.settings.k if k is None else k
        check_period(period)
        if lane_id in self._lanes:
            raise PipelineError(f"there is a lane {lane_id!r} already; remove it first")
        if len(self._lanes) == self.settings.max_lanes:
            raise PipelineError(f"all {self.settings.max_lanes} lanes are taken; raise max_lanes or remove one")
        self._lanes[lane_id] = Lane(
            lane_id=lane_id,
            k=period,
            tracker=Tracker(self.settings.tracker),
            memory=self._new_memory(),
            letterbox=Letterbox(1, 1, self.signature.width, self.signature.height),  # until the first frame
            identity=identity,
        )

    def remove_lane(self, lane_id: str) -> None:
        """Forget a stream and its identities. Raises PipelineError for an unknown one, or while a tick is in flight."""
        self._idle("remove a lane")
        self._lane(lane_id)
        del self._lanes[lane_id]
        self._policy.forget(lane_id)

    def set_period(self, lane_id: str, k: int) -> None:
        """Change a lane's keyframe period: a shorter one holds at once, a longer one from the next keyframe on."""
        check_period(k)
        self._lane(lane_id).k = k

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
        keyframes = self._policy.select([lane.state(frames[lane.lane_id]) for lane in lanes])
        shares = (Share("teacher", [], []), Share("student", [], []))
        for lane, frame in zip(lanes, frames.values(), strict=True):
            lane.begin(frame, lane.lane_id in keyframes)
            share = shares[0 if lane.lane_id in keyframes else 1]
            share.lanes.append(lane)
            share.frames.append(frame)
        for share in shares:
            if share.lanes:
                self._networks[share.kind].enqueue(share.lanes, share.frames, self._cuda_stream)
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
            lane.lane_id: self._track(share.kind, row, lane, frame)
            for share in in_flight.shares
            for row, (lane, frame) in enumerate(zip(share.lanes, share.frames, strict=True))
        }
        return [tracked[lane_id] for lane_id in in_flight.order]

    def _track(self, kind: Literal["teacher", "student"], row: int, lane: Lane, frame: Frame) -> TrackedFrame:
        """The host's part for one lane."""
        network = self._networks[kind]
        with self.times.association(1):
            detections = network.detections(row, lane.letterbox, self.settings.tracker.score_threshold)
            tracks = lane.associate(detections, frame)
        if kind == "teacher":
            with self.times.keep(1):
                heatmap = network.heatmap(row)
                lane.memory.keep(heatmap, detections, tracks, lane.letterbox, frame.time_s, self._cuda_stream)
        since = -1 if lane.frames_since_teacher is None else lane.frames_since_teacher
        return TrackedFrame(lane.lane_id, frame, tracks, kind, lane.k, since, lane.epoch, lane.discontinuity)

    def _new_memory(self) -> Memory:
        if self._plan.motion is None:
            return NoMemory()
        return HeatmapMemory(self._backend.device, self._backend.ops, self.signature.cells, self._plan.motion)

    def _lane(self, lane_id: str) -> Lane:
        if lane_id not in self._lanes:
            raise PipelineError(f"no lane {lane_id!r}; there are {list(self._lanes)}")
        return self._lanes[lane_id]

    def _idle(self, what: str) -> None:
        if self._in_flight is not None:
            raise PipelineError(f"cannot {what} while a tick is in flight; collect it first")


def _check_backend(backend: Backend, settings: PipelineSettings) -> Signature:
    """The input's signature; raises PipelineError unless the backend has just the networks that the mode runs."""
    plan = MODES[settings.mode]
    wanted = (plan.teacher, plan.student)
    student = "none" if backend.student is None else "prior" if backend.student.signature.prior else "plain"
    engine = backend.teacher or backend.student
    if engine is None or wanted != (backend.teacher is not None, student):
        raise PipelineError(
            f"mode {settings.mode!r} wants teacher: {plan.teacher}, student: {plan.student}; the backend has teacher: "
            f"{backend.teacher is not None}, student: {student}; open it with mode={settings.mode!r}"
        )
    return engine.signature
