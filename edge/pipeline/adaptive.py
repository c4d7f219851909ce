"""The adaptive schedule: each frame gets the look that is worth its price, from what the tracker knows.

What is at stake, in people whose box is missing or wrong (see `Attention`, which measures all of it while it runs):

    d(t)  boxes predicted for t seconds since the last look that have drifted off:  sum over people 1 - exp(-h_i t^2)
    u(t)  what only a teacher mends, t seconds after the last one:                  u' t, and m where a student looked
    m     people whom a student's look misses
    n     newcomers of the last keyframe, who have no box until they are seen again

A look puts an end to what is at stake until it has grown again, so it is due when waiting one more frame costs more
than looks at the present rate do (the renewal theorem; for a harm that grows evenly it means sqrt(2 price / growth)
between looks). With t since the last look of anybody, T since the teacher's, and sums over the frames since:

    D = d(t) t - sum d dt + n w / 2      w: the usual time between looks
    U = u(T) T - sum u dt
    S = D - m t                          (- m t only where nobody but the teacher looked since the keyframe)

    the student is due   where  S P >= price c
    the teacher is due   where  U P >= price (1 - c), if the student is due as well, else (U + D) P >= price

c is what a student's look costs, of a teacher's, measured (`LookCosts`). P = people^-0.3: a crowd counts for more than
one person, but not for as much more as it has people. The price follows from `quality` q in 0..1,

    price = 0.12 ((1 - q) / q)^2         person-seconds: 0 at q = 1, all bounds at q = 0

and is scaled by nothing else: a quicker machine looks as often and is idle for longer. How much of the wish a busy one
grants is the business of edge.pipeline.budget, for which a wish names its worth.

Bounds, in seconds of the frames' own time: never longer than `longest_s` without a teacher, never sooner than
`shortest_s` after one. Where nobody is, a teacher looks as soon as the picture stirs, but at most every
`EMPTY_AGAIN_S`, and at `longest_s`; whoever is seen there once gets the next frame's look. So somebody who enters an
empty scene has a box after EMPTY_AGAIN_S and two frames (0.19 s at 30 frames/s); among others a newcomer waits for the
next keyframe, `longest_s` at worst, and one more look.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge.pipeline.look_costs import LookCosts
from edge.pipeline.schedule import Kind, LaneState, Wish

EMPTY_AGAIN_S = 0.12
"""Between teachers in an empty scene that stirs."""
CROWD = -0.3
PRICE = 0.12
OVERDUE = 10.0
"""Worth, of its price, of a look that a bound asks for."""
ON_TIME_S = 1e-3
"""Time stamps are rounded."""


def price(quality: float) -> float:
    """Of a teacher's look, person-seconds; infinite at quality 0."""
    return PRICE * ((1 - quality) / quality) ** 2 if quality > 0 else float("inf")


@dataclass(slots=True)
class _Since:
    """Sums over the frames of one lane."""

    look_s: float
    teacher_s: float
    frame_s: float
    drifted: float = 0.0  # sum d dt since the last look
    unnoticed: float = 0.0  # sum u dt since the teacher's last
    student: bool = False  # whether one looked since


class Adaptive:
    """Decides for each lane by itself; see the module."""

    def __init__(self, costs: LookCosts) -> None:
        self._costs = costs
        self._since: dict[str, _Since] = {}

    def choose(self, lanes: Sequence[LaneState]) -> Mapping[str, Wish]:
        """See `Schedule.choose`."""
        return {lane.lane_id: self._wish(lane) for lane in lanes}

    def granted(self, lane: LaneState, kind: Kind) -> None:
        """What became of a wish: sums go on, or begin anew."""
        since = self._since.get(lane.lane_id)
        if kind == "teacher" or since is None:
            now = lane.time_s
            self._since[lane.lane_id] = _Since(now, now, now)
            return
        dt_s = max(0.0, lane.time_s - since.frame_s)
        attention, since.frame_s = lane.attention, lane.time_s
        since.unnoticed += self._unnoticed(lane, since) * dt_s
        if kind == "student":
            since.look_s, since.drifted, since.student = lane.time_s, 0.0, True
        else:
            since.drifted += attention.drift(lane.time_s - since.look_s) * dt_s

    def forget(self, lane_id: str) -> None:
        """See `Schedule.forget`."""
        self._since.pop(lane_id, None)

    def _unnoticed(self, lane: LaneState, since: _Since) -> float:
        growing = lane.attention.unnoticed_per_s * (lane.time_s - since.teacher_s)
        return growing + (lane.attention.missed_by_student if since.student else 0.0)

    def _wish(self, lane: LaneState) -> Wish:
        since = self._since.get(lane.lane_id)
        if lane.frames_since_teacher is None or since is None:
            return Wish("teacher", OVERDUE)
        attention = lane.attention
        look_s, teacher_s = lane.time_s - since.look_s, lane.time_s - since.teacher_s
        may_teach = teacher_s >= lane.settings.shortest_s - ON_TIME_S
        if teacher_s >= lane.settings.longest_s - ON_TIME_S:
            return Wish("teacher", OVERDUE * teacher_s / lane.settings.longest_s, or_student=bool(attention.people))
        if not attention.people:
            return self._watch(lane, teacher_s, may_teach)
        drift = attention.drift(look_s) * look_s - since.drifted + 0.5 * attention.promise * attention.usual_wait_s
        only_teacher = self._unnoticed(lane, since) * teacher_s - since.unnoticed
        by_student = drift - (0.0 if since.student else attention.missed_by_student * look_s)
        asked, share = max(price(lane.settings.quality), 1e-9) / attention.people**CROWD, self._costs.student_share
        if by_student >= asked * share:
            if may_teach and only_teacher >= asked * (1 - share):
                return Wish("teacher", (only_teacher + drift) / asked, or_student=True)
            return Wish("student", by_student / asked / share)
        if may_teach and only_teacher + drift >= asked:
            return Wish("teacher", (only_teacher + drift) / asked, or_student=by_student > 0)
        return Wish("predicted", 0.0)

    def _watch(self, lane: LaneState, teacher_s: float, may_teach: bool) -> Wish:
        """Where nobody is."""
        if lane.attention.newcomers:
            return Wish("student", OVERDUE)
        again = may_teach and teacher_s >= EMPTY_AGAIN_S - ON_TIME_S
        if again and (lane.pixels is None or lane.attention.stirs(lane.pixels)):
            return Wish("teacher", OVERDUE)
        return Wish("predicted", 0.0)
