"""One tick's journey, from the newest frame of every lane to its tracks. READ THIS FIRST.

    pipeline = TrackingPipeline(open_backend())
    pipeline.add_lane("door", LaneSettings(k=6))
    for frame in source:
        for tracked in pipeline.collect(pipeline.submit({"door": frame})):
            print(tracked.kind, tracked.tracks.ids)

`submit` puts a tick's work on the device, `collect` waits for it and does the host's part: association, and what the
next priors need to know. One stream is a batch of one. On a CPU all device work has happened when `submit` returns.

On a device that works on its own, `depth` ticks may be in flight, so that it computes one while the host tracks the one
before:

    waiting.append(pipeline.submit(newer))
    if len(waiting) == pipeline.depth:
        use(pipeline.collect(waiting.popleft()))

Teacher and students have a cuda_stream each and run side by side. What a second tick in flight may use:

- A prior needs its lane's newest keyframe, and how the tracker sees it. Where that keyframe is still in flight,
  `submit` first does the host's part of its share, and waits for that teacher, but for no other work. Whoever leaves
  such lanes out of the tick never waits there.
- Every frame of a lane goes to its tracker in the order of submission: ticks are collected in order, and the shares of
  one tick have no lane in common. A frame that nobody sees is no work for the device; its share waits its turn.
- A keyframe's heatmap is put aside on the teacher's cuda_stream behind the results that go to the host; the students'
  cuda_stream waits for it before the first prior. It takes the slot of the keyframe before the last: by then all
  frames between those two have been collected.
- Results on the host have `depth` buffers. All else on the device follows from the order on its cuda_stream.

A LATE TEACHER. With a budget, which says that frames are live, a keyframe need not wait for its teacher: the student
answers at once, its prior being the old heatmap, and the teacher's answer mends tracks and memory when it is there.
`settle` takes in what is there; `submit` begins with it. How it is mended: edge.tracking.hindsight. On a device with
queues of its own every keyframe is late whose lane has a heatmap. On a CPU the teacher then runs in `settle`, after the
student's tracks were told; a keyframe is late where there is time for both looks, else the student would only delay
its teacher. A lane awaits one answer at a time: its next keyframe, and another size or session, wait for it.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import perf_counter

from edge.ops.framing import Framing
from edge.ops.letterbox import Letterbox
from edge.ops.pixels import Pixels
from edge.pipeline.adaptive import Adaptive
from edge.pipeline.backend import Backend
from edge.pipeline.budget import grant, left_ms
from edge.pipeline.config import LaneSettings, Mode, PipelineSettings
from edge.pipeline.heatmap_memory import HeatmapMemory
from edge.pipeline.lane import Lane
from edge.pipeline.look_costs import LookCosts, Looker
from edge.pipeline.modes import MODES, NetworkName
from edge.pipeline.network import Network
from edge.pipeline.schedule import KeyframeSchedule, Schedule, Wish
from edge.pipeline.schedule import Kind as Kind
from edge.pipeline.tick import InFlight, Share, Ticket
from edge.pipeline.tick import TrackedFrame as TrackedFrame  # what comes out, so at hand where it does
from edge.pipeline.timings import StageTimes
from edge.sources.base import Frame
from edge.tracking.detections import Detections, Tracks
from edge.tracking.tracker import Tracker, update_all
from engines.device import Event
from engines.engine import Engine
from engines.signature import check_pair, size_name

LATE = 2
"""Ticks with late teachers that may be on the device, each with result buffers of its own."""


class PipelineError(Exception):
    """A pipeline built from parts that do not fit, or used out of order."""


class TrackingPipeline:
    """All lanes of one device. Belongs to one thread."""

    def __init__(
        self, backend: Backend, settings: PipelineSettings | None = None, costs: LookCosts | None = None
    ) -> None:
        """Allocate every buffer. `costs`: what looks cost, where that is known and not to be measured.

        Raises PipelineError where the backend cannot run the settings' mode.
        """
        self.settings = settings or PipelineSettings()
        self.times = StageTimes()
        self._backend = backend
        self._check_mode(self.settings.lane.mode)
        self.depth = 2 if backend.device.asynchronous else 1
        """Ticks that may be in flight."""
        self.classes = backend.classes
        """Names of what is tracked; `Tracks.classes` has places in it."""
        self._tracker = replace(self.settings.tracker, classes=self.classes)
        device = backend.device
        self._teacher_stream, self._student_stream = device.cuda_stream(), device.cuda_stream()
        self._networks = {name: self._network(name, engine) for name, engine in backend.engines.items()}
        self._own_students: dict[str, Network] = {}  # lane -> the student that it has in place of the pair's
        self._teacher, self._student = backend.signatures
        self._schedules: dict[type[Schedule], Schedule] = {plan.schedule: plan.schedule() for plan in MODES.values()}
        self._costs = costs or LookCosts()
        self._ended_s: dict[Looker, float] = {}  # when a network's last share was there, on the host's clock
        self._adaptive = Adaptive(self._costs)
        self._lanes: dict[str, Lane] = {}
        self._in_flight: deque[InFlight] = deque()
        self._late: deque[Share] = deque()

    @property
    def modes(self) -> tuple[Mode, ...]:
        """What a lane may run."""
        return self._backend.modes

    @property
    def lane_ids(self) -> tuple[str, ...]:
        """Lanes in the order in which they were added."""
        return tuple(self._lanes)

    def upload(self, pixels: Pixels) -> Pixels:
        """See `Ops.upload`. May be called on any thread."""
        return self._backend.ops.upload(pixels)

    def add_lane(self, lane_id: str, settings: LaneSettings | None = None) -> None:
        """Start a stream; None for the pipeline's own settings of a lane. Its first frame is a keyframe.

        Raises PipelineError for a mode that cannot run here, a lane that exists or one too many.
        """
        settings = settings or self.settings.lane
        self._check_mode(settings.mode)
        if lane_id in self._lanes:
            raise PipelineError(f"there is a lane {lane_id!r} already; remove it first")
        if len(self._lanes) == self.settings.max_lanes:
            raise PipelineError(f"all {self.settings.max_lanes} lanes are taken; raise max_lanes or remove one")
        self._lanes[lane_id] = Lane(
            lane_id=lane_id,
            settings=settings,
            tracker=Tracker(self._tracker),
            memory=HeatmapMemory(self._backend.device, self._backend.ops, self._teacher.cells),
            framing=Framing(*(Letterbox(1, 1, one.width, one.height) for one in (self._teacher, self._student))),
        )

    def remove_lane(self, lane_id: str) -> None:
        """Forget a stream and its identities. Raises PipelineError for an unknown one, or while a tick is in flight."""
        if self._in_flight:
            raise PipelineError("cannot remove a lane while a tick is in flight; collect it first")
        lane = self._lane(lane_id)
        self._teacher_stream.synchronize()  # a heatmap may still be on its way into the lane's memory
        lane.begin_anew()
        del self._lanes[lane_id]
        self._own_students.pop(lane_id, None)
        self._schedule(lane).forget(lane_id)

    def change_lane(self, lane_id: str, settings: LaneSettings) -> None:
        """Hold to other settings from a lane's next frame on, which is a keyframe where the mode changes to one that
        has any; a longer keyframe period holds from the next keyframe on. Identities stay.

        Raises PipelineError for an unknown lane or a mode that cannot run here.
        """
        self._check_mode(settings.mode)
        lane = self._lane(lane_id)
        if (settings.mode, settings.schedule) != (lane.settings.mode, lane.settings.schedule):
            self._settle_now([lane])
            self._schedule(lane).forget(lane_id)
            lane.frames_since_teacher = None
        lane.settings = settings

    def open_student(self, path: Path) -> Engine:
        """A student to set for lanes. May be called on any thread. Raises EngineError for a file that does not fit."""
        return self._backend.open_student(path, self.settings.max_lanes)

    def set_student(self, lane_id: str, engine: Engine | None) -> None:
        """From a lane's next frame on, let `engine` see what the pair's student with a prior would; None: that one.

        Tracks, memory and identities stay. Lanes with the same engine are one batch. Raises PipelineError for an
        unknown lane, and where the pair's student has another size or there is none; SignatureError for an engine of
        another pair.
        """
        self._lane(lane_id)
        if engine is None:
            self._own_students.pop(lane_id, None)
            return
        replaced, ours = self._backend.student, engine.signature
        if replaced is None or not ours.prior:
            raise PipelineError("a lane's own student takes the place of one with a prior; one of the two has none")
        theirs = replaced.signature
        if (ours.width, ours.height) != (theirs.width, theirs.height):
            wanted, found = size_name((theirs.width, theirs.height)), size_name((ours.width, ours.height))
            raise PipelineError(f"a lane's own student needs the pair's size, {wanted}; it has {found}")
        check_pair(self._teacher, ours)
        shared = [network for network in self._own_students.values() if network.engine is engine]
        self._own_students[lane_id] = shared[0] if shared else self._network("student", engine)

    def submit(self, frames: Mapping[str, Frame], budget_ms: float | None = None) -> InFlight:
        """Put one tick on the device: at most one frame per lane, for any of the lanes.

        `budget_ms`: how long its looks may take, as far as lanes with an adaptive schedule can do with less; None for
        as long as they like, and no late teacher.

        Raises PipelineError for an unknown lane or while `depth` ticks are in flight. After any other error the tick is
        lost, and its lanes begin with keyframes again.
        """
        if len(self._in_flight) == self.depth:
            raise PipelineError("cannot submit while a tick is in flight; collect it first")
        lanes = [self._lane(lane_id) for lane_id in frames]
        self.settle()
        with self._restarting(lanes):
            batches, late = self._split(lanes, frames, budget_ms)
            turn = self._free_turn()
            # The teacher first: it works on while the host does what the students' priors need.
            if late:
                self._begin_late(late)
            shares = [self._enqueue(network, batches[network], turn) for network in sorted(batches, key=_after_teacher)]
        tick = InFlight(tuple(frames), shares)
        self._in_flight.append(tick)
        return tick

    def collect(self, in_flight: InFlight) -> list[TrackedFrame]:
        """Wait for the oldest tick, track, remember its keyframes; results in the order of the frames submitted.

        Raises PipelineError for any other tick. After any other error the tick is lost as in `submit`. A lane whose
        results were lost in a later tick's `submit` is left out.
        """
        if not self._in_flight or in_flight is not self._in_flight[0]:
            raise PipelineError("this tick is not in flight: collect each one once, oldest first")
        self._in_flight.popleft()
        tracked: dict[str, TrackedFrame] = {}
        with self._restarting([ticket.lane for share in in_flight.shares for ticket in share.tickets]):
            for share in reversed(in_flight.shares):  # the teacher last: it takes longest
                tracked |= self._finish(share)
        return [tracked[lane_id] for lane_id in in_flight.order if lane_id in tracked]

    def _split(
        self, lanes: Sequence[Lane], frames: Mapping[str, Frame], budget_ms: float | None
    ) -> tuple[dict[Network | None, list[Ticket]], list[Ticket]]:
        """Which lane's frame goes to which network, or to none, and for whom the teacher is late; counts the frames."""
        for lane in lanes:
            lane.fit(frames[lane.lane_id])
        self._settle_now([lane for lane in lanes if lane.frames_since_teacher is None])
        kinds, refused = self._choose(lanes, frames, budget_ms)
        self._settle_now([lane for lane in lanes if kinds[lane.lane_id] == "teacher"])
        late_ids = () if budget_ms is None else self._can_be_late(lanes, kinds, budget_ms)
        batches: dict[Network | None, list[Ticket]] = {}
        late: list[Ticket] = []
        for lane in lanes:
            frame, kind, is_late = frames[lane.lane_id], kinds[lane.lane_id], lane.lane_id in late_ids
            lane.begin(frame, kind)
            seen: dict[Kind, NetworkName | None] = {"teacher": "teacher", "student": MODES[lane.settings.mode].student}
            ticket = Ticket.of(lane, frame, refused.get(lane.lane_id), is_late)
            network = self._network_of(lane, seen.get("student" if is_late else kind))
            batches.setdefault(network, []).append(ticket)
            if is_late:
                late.append(ticket)
                lane.awaited_s = frame.time_s
        return batches, late

    def _can_be_late(self, lanes: Sequence[Lane], kinds: Mapping[str, Kind], budget_ms: float) -> list[str]:
        """Lanes whose keyframe the student may answer first; on a CPU only as many as there is time for."""
        if not self.settings.tracker.keyframes_decide:
            return []  # newcomers of the student's would have to be told from the teacher's
        able = [
            lane.lane_id
            for lane in lanes
            if kinds[lane.lane_id] == "teacher"
            and lane.frames_since_teacher  # not on the frame after a keyframe: the teacher sees every one, or nearly
            and MODES[lane.settings.mode].student is not None
        ]
        if self._backend.device.asynchronous:
            return able
        spare_ms, look_ms = left_ms(kinds.values(), self._costs, budget_ms), self._costs.ms("student", 1)
        return able[: sum(look_ms * (row + 1) <= spare_ms for row in range(len(able)))]

    def _begin_late(self, tickets: Sequence[Ticket]) -> None:
        """Put a late teacher's work on the device, which on a CPU has to wait for `settle`."""
        if len(self._late) == LATE:
            self._settle_share(self._late[0])
        turn = min({self.depth + late for late in range(LATE)} - {share.turn for share in self._late})
        if self._backend.device.asynchronous:
            self._late.append(self._enqueue(self._networks["teacher"], tickets, turn))
        else:
            self._late.append(Share("teacher", self._networks["teacher"], tickets, turn, None, {}, None))

    def settle(self) -> None:
        """Take in the late answers of teachers that are there. On a CPU, where nothing works by itself, they are asked
        now: to be called when the tracks are told, before there is time to spare.

        After an error the lanes concerned begin with keyframes again.
        """
        while self._late:
            share = self._late[0]
            told = all(ticket.lane.may_settle for ticket in _awaited(share))
            if not told or not (share.found is None or share.found.reached):
                return
            self._settle_share(share)

    def _settle_now(self, lanes: Sequence[Lane]) -> None:
        """Take in the late answers that these lanes await, and wait for them."""
        awaiting = {lane.lane_id for lane in lanes if lane.awaited_s is not None}
        for share in [one for one in self._late if awaiting & {ticket.lane.lane_id for ticket in _awaited(one)}]:
            self._settle_share(share)

    def _settle_share(self, share: Share) -> None:
        """Take in a late teacher's answers, behind the student's about these keyframes."""
        for before in [one for tick in self._in_flight for one in tick.shares]:
            untold = {ticket.lane.lane_id for ticket in _awaited(share) if not ticket.lane.may_settle}
            if untold & {ticket.lane.lane_id for ticket in before.tickets}:
                self._finish(before)
        self._late.remove(share)
        tickets = _awaited(share)
        if not tickets:
            return
        with self._restarting([ticket.lane for ticket in tickets]):
            if share.found is None:
                share = self._enqueue(self._networks["teacher"], tickets, share.turn)
            assert share.found is not None  # noqa: S101  (a network's share has results)
            waited = not share.found.reached
            with self.times.wait(len(tickets)):
                share.found.synchronize()
            if waited:  # else nobody knows for how long the answer has been there
                self._measure(share)
            if share.heatmaps is not None:
                self._student_stream.wait(share.heatmaps)
            for ticket in tickets:
                ticket.lane.memory.readers = self._students_of(ticket.lane)
            self._track(share)

    def _choose(
        self, lanes: Sequence[Lane], frames: Mapping[str, Frame], budget_ms: float | None
    ) -> tuple[dict[str, Kind], dict[str, Kind]]:
        """Each schedule wishes for its lanes, the budget grants: who sees which frame, and the wishes refused."""
        wishes: dict[str, Wish] = {}
        states = {lane.lane_id: lane.state(frames[lane.lane_id]) for lane in lanes}
        for schedule in dict.fromkeys(map(self._schedule, lanes)):
            wishes |= schedule.choose([states[lane.lane_id] for lane in lanes if self._schedule(lane) is schedule])
        kinds = grant(wishes, self._costs, budget_ms)
        for lane in lanes:
            if self._schedule(lane) is self._adaptive:
                self._adaptive.granted(states[lane.lane_id], kinds[lane.lane_id])
        return kinds, {one: wish.kind for one, wish in wishes.items() if wish.kind != kinds[one]}

    def _free_turn(self) -> int:
        """A result buffer that no tick in flight has."""
        taken = {share.turn for tick in self._in_flight for share in tick.shares}
        return next(turn for turn in range(self.depth) if turn not in taken)

    def _network(self, name: NetworkName, engine: Engine) -> Network:
        """Allocate the buffers of an engine."""
        is_teacher = name == "teacher"
        return Network(
            name,
            engine,
            self._backend.device,
            self._backend.ops,
            self._teacher_stream if is_teacher else self._student_stream,
            self.times,
            self.settings.max_lanes,
            self.depth + (LATE if is_teacher else 0),
            self.classes,
        )

    def _network_of(self, lane: Lane, name: NetworkName | None) -> Network | None:
        """Which one of that name sees this lane's frames."""
        if name is None:
            return None
        own = self._own_students.get(lane.lane_id) if name == "student" else None
        return own or self._networks[name]

    def _enqueue(self, network: Network | None, tickets: Sequence[Ticket], turn: int) -> Share:
        """One network's part of a tick, or that of nobody."""
        if network is None:
            return Share(None, None, tickets, turn, None, {}, None)
        name, slots, heatmaps = network.name, dict[str, int](), None
        if name == "student":
            self._finish_keyframes_of(tickets)
        began_s = perf_counter()
        network.enqueue(tickets, turn)
        found = network.cuda_stream.record()
        if not self._backend.device.asynchronous:
            self._costs.measure(_looker(name), len(tickets), perf_counter() - began_s)
        if name == "teacher":
            with self.times.keep(0):
                for row, ticket in enumerate(tickets):
                    if MODES[ticket.settings.mode].motion is not None:
                        memory = ticket.lane.memory
                        slots[ticket.lane.lane_id] = memory.put_aside(network.heatmap(row), network.cuda_stream)
                heatmaps = network.cuda_stream.record() if slots else None
        return Share(name, network, tickets, turn, found, slots, heatmaps, began_s)

    def _finish_keyframes_of(self, tickets: Sequence[Ticket]) -> None:
        """These lanes' priors need their keyframes: where one is in flight, do the host's part of its share now."""
        lanes = {ticket.lane.lane_id for ticket in tickets}
        for share in [share for tick in self._in_flight for share in tick.shares]:
            if share.network == "teacher" and lanes & share.slots.keys():
                self._finish(share)

    def _finish(self, share: Share) -> Mapping[str, TrackedFrame]:
        """The host's part of a share, done once."""
        if share.tracked is None:
            tracked = share.tracked = dict[str, TrackedFrame]()
            with self._restarting([ticket.lane for ticket in share.tickets]):
                if share.found is not None:
                    with self.times.wait(len(share.tickets)):
                        share.found.synchronize()
                    self._measure(share)
                if share.heatmaps is not None:
                    self._student_stream.wait(share.heatmaps)
                tracked |= {one.lane_id: one for one in self._track(share)}
        return share.tracked

    def _students_of(self, lane: Lane) -> list[Event]:
        """When the student has done with this lane's frames in flight."""
        shares = [share for tick in self._in_flight for share in tick.shares if share.network == "student"]
        return [
            share.found
            for share in shares
            if share.found is not None and any(ticket.lane is lane for ticket in share.tickets)
        ]

    def _measure(self, share: Share) -> None:
        """On a device that works on its own: from the end of that network's share before, or this one's begin."""
        if share.network is not None and self._backend.device.asynchronous:
            looker, now_s = _looker(share.network), perf_counter()
            took_s = now_s - max(share.began_s, self._ended_s.get(looker, 0.0))
            self._costs.measure(looker, len(share.tickets), took_s)
            self._ended_s[looker] = now_s

    @contextmanager
    def _restarting(self, lanes: Sequence[Lane]) -> Iterator[None]:
        """After an error nothing is known of these lanes' keyframes: let the device run empty, begin with new ones."""
        try:
            yield
        except BaseException:
            for lane in lanes:
                lane.begin_anew()
            self._teacher_stream.synchronize()
            self._student_stream.synchronize()
            raise

    def _track(self, share: Share) -> list[TrackedFrame]:
        """The host's part for the lanes of a share, at once; of a late teacher's, for those that still wait for it."""
        tickets, network, results = share.tickets, share.network, share.results
        if network is None or results is None:
            with self.times.association(len(tickets)):
                predicted = [ticket.lane.predict(ticket.frame) for ticket in tickets]
            return [
                self._tracked(ticket, tracks, "predicted") for ticket, tracks in zip(tickets, predicted, strict=True)
            ]
        with self.times.association(len(tickets)):
            least = [ticket.lane.least_score(ticket.settings, network) for ticket in tickets]
            framings = [ticket.framing for ticket in tickets]
            found = list(zip(tickets, results.detections(share.turn, framings, least), strict=True))
            settles = network == "teacher" and any(ticket.late for ticket in tickets)
            if settles:
                found = [(ticket, detections) for ticket, detections in found if _is_awaited(ticket)]
                tracks = [ticket.lane.settle(detections, ticket.settings) for ticket, detections in found]
            else:
                tracks = self._associate(found)
        with self.times.keep(0 if settles else len(share.slots)):
            for (ticket, detections), tracked in zip(found, tracks, strict=True):
                motion, slot = MODES[ticket.settings.mode].motion, share.slots.get(ticket.lane.lane_id)
                if motion is not None and slot is not None:
                    objects = motion(detections, tracked, ticket.framing.teacher)
                    ticket.lane.memory.keep(slot, objects, ticket.frame.time_s, self._student_stream)
        return [
            self._tracked(ticket, tracked, "teacher" if network == "teacher" or ticket.late else "student")
            for (ticket, _), tracked in zip(found, tracks, strict=True)
        ]

    @staticmethod
    def _associate(found: Sequence[tuple[Ticket, Detections]]) -> list[Tracks]:
        """Tracks of what was seen in these lanes' frames."""
        between = [ticket.since_teacher > 0 or ticket.late for ticket, _ in found]
        looks = [
            ticket.lane.look(detections, ticket.frame, ticket.settings, since, ticket.late)
            for (ticket, detections), since in zip(found, between, strict=True)
        ]
        tracks = update_all(looks)
        for (ticket, _), tracked, since in zip(found, tracks, between, strict=True):
            ticket.lane.learn(tracked, ticket.frame, ticket.settings, since)
        return tracks

    def _tracked(self, ticket: Ticket, tracks: Tracks, kind: Kind) -> TrackedFrame:
        lane = ticket.lane
        return TrackedFrame(
            lane_id=lane.lane_id,
            frame=ticket.frame,
            tracks=tracks,
            kind=kind,
            since_teacher=ticket.since_teacher,
            epoch=lane.epoch,
            discontinuity=lane.discontinuity,
            settings=ticket.settings,
            wish=ticket.wish,
            late=ticket.late,
            classes=self.classes,
        )

    def _schedule(self, lane: Lane) -> Schedule:
        """A mode of a single network has its own; the others have the one that the lane's settings name."""
        own = MODES[lane.settings.mode].schedule
        adaptive = own is KeyframeSchedule and lane.settings.schedule == "adaptive"
        return self._adaptive if adaptive else self._schedules[own]

    def _check_mode(self, mode: Mode) -> None:
        """Raise PipelineError unless lanes can run in `mode`."""
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


def _is_awaited(ticket: Ticket) -> bool:
    """Whether its lane still waits for a late answer: an error may have come between, or the lane's end."""
    return ticket.lane.awaited_s == ticket.frame.time_s


def _awaited(share: Share) -> list[Ticket]:
    return [ticket for ticket in share.tickets if _is_awaited(ticket)]


def _after_teacher(network: Network | None) -> bool:
    return network is None or network.name != "teacher"


def _looker(network: NetworkName) -> Looker:
    return "teacher" if network == "teacher" else "student"
