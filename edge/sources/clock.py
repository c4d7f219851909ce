"""`SourceClock`: when each picture was taken, by the source's own time stamps as far as they can be believed.

A source's stamps are even where arrival jitters, so motion is better measured by them; but they lie. They are asked
for three things, and what does not hold is done without:

    going on    a step fits what passed meanwhile, else it is left out, and stamps count from the next one on
    evenness    no network makes pictures come more evenly than they were taken: stamps less even than that are noise
    pace        over seconds they pass as time does, else they are stretched by what they are wrong

For a camera time passes as its pictures arrive. A file's pictures do not arrive: they are one usual step apart, and
stamps may pause for `PAUSE_S`, since a longer hole is nothing that anybody wants to wait for.
"""

from collections import deque
from collections.abc import Sequence
from itertools import combinations
from statistics import median

STEP_S = 1e-4
"""Smallest difference between two frames."""
TOLERANCE_S = 0.2
"""By how much a picture may come earlier or later than its stamp says, at a usual network's jitter."""
TOLERANCE_SHARE = 0.1
"""The same as a share of the time since the picture before, where that is more."""
STALL_S = 2.0
"""A picture that is one usual step behind the last one may be this late: the network held it back, not the camera."""
PAUSE_S = 10.0
"""Longest pause in a file's stamps that is taken for one, unless pictures are usually that far apart."""
FEW, MANY = 8, 32
"""Steps that are looked back on: at least, at most."""
REFUSED = 0.25
"""Share of the last steps that may not fit before stamps are done without."""
UNEVEN_S = 0.005
"""Time stamps are rounded: differences below this are none."""
PACE_EVERY_S, PACE_FROM_S, PACE_OVER_S = 1 / 16, 1.0, 10.0
"""The pace is measured on so many pictures a second at most, over so long at least and at most."""
PACE_WRONG_S = 0.25
"""What stamps have to gain or lose over that time to be called wrong."""


class SourceClock:
    """Seconds since the first frame, strictly increasing, out of stamps that start anywhere, jump, crawl or miss."""

    def __init__(self, step_s: float | None = None) -> None:
        """`step_s`: usual time between two pictures, where it is known beforehand, as a file's is."""
        self._time_s: float | None = None
        self._arrival_s: float | None = None
        self._usual_s = step_s
        self._anchor: tuple[float, float] | None = None  # stamp and time of the last frame that was placed by its stamp
        self._doubted: tuple[float, float] | None = None  # of the last frame, where that was placed without it
        self._stamp_s: float | None = None  # of the last frame that had one
        self._debt_s = 0.0  # time that passed and was not given to frames without stamps
        self._steps: deque[float] = deque(maxlen=MANY // 2)  # taken from stamps
        self._passed: deque[float] = deque(maxlen=MANY)
        self._stamped: deque[float] = deque(maxlen=MANY)  # steps of the stamps, right or wrong
        self._fitted: deque[bool] = deque(maxlen=MANY)
        self._lags: deque[float] = deque(maxlen=MANY // 2)  # arrival minus time
        self._uneven = False
        self._pace = Pace()

    def new_session(self) -> None:
        """The next stamps have nothing to do with the last ones; the camera is the same, and so is its pace."""
        self._anchor = self._doubted = self._stamp_s = None
        self._pace.forget()

    def place(self, stamp_s: float | None, arrival_s: float | None = None) -> float:
        """Time of the next frame. `stamp_s`: None where it has none; `arrival_s`: on a monotonic clock, None: a file.

        Raises nothing, whatever comes.
        """
        if self._time_s is None:
            self._time_s, self._arrival_s = 0.0, arrival_s
            self._doubt(stamp_s, 0.0)
            return 0.0
        passed_s = self._since(arrival_s)
        step_s = None if stamp_s is None else self._by_stamp(stamp_s, passed_s, arrival_s)
        if step_s is None:
            step_s = self._by_arrival(passed_s)
            self._doubt(stamp_s, self._time_s + step_s)
        self._time_s += max(step_s, STEP_S)
        if arrival_s is not None:
            self._arrival_s = arrival_s
            self._lags.append(arrival_s - self._time_s)
            self._pace.watch(arrival_s, step_s)
        return self._time_s

    def _since(self, arrival_s: float | None) -> float:
        """Seconds that passed since the frame before."""
        if arrival_s is None or self._arrival_s is None:
            return median(self._steps) if self._steps else self._usual_s or 0.0
        passed_s = max(0.0, arrival_s - self._arrival_s)
        self._passed.append(passed_s)
        return passed_s

    def _by_stamp(self, stamp_s: float, passed_s: float, arrival_s: float | None) -> float | None:
        """The step by the frame's stamp; None where that is not to be believed."""
        before_s, self._stamp_s = self._stamp_s, stamp_s
        if before_s is not None:
            self._stamped.append((stamp_s - before_s) * self._pace.factor)
        step_s = next(
            (
                step_s
                for anchor in (self._anchor, self._doubted)
                if anchor is not None
                and (step_s := self._step(anchor, stamp_s)) >= STEP_S
                and self._fits(step_s, passed_s, arrival_s)
            ),
            None,
        )
        if before_s is not None:
            self._fitted.append(step_s is not None)
        if step_s is None or self._noisy():
            return None
        assert self._time_s is not None  # noqa: S101
        self._anchor, self._doubted, self._debt_s = (stamp_s, self._time_s + step_s), None, 0.0
        self._steps.append(step_s)
        return step_s

    def _step(self, anchor: tuple[float, float], stamp_s: float) -> float:
        """From the last frame to this one, if stamps went on evenly since the anchor."""
        assert self._time_s is not None  # noqa: S101
        return anchor[1] + (stamp_s - anchor[0]) * self._pace.factor - self._time_s

    def _fits(self, step_s: float, passed_s: float, arrival_s: float | None) -> bool:
        """Whether a step agrees with what passed since the frame before, or evens out an arrival that was late."""
        usual_s = median(self._steps) if self._steps else self._usual_s or 0.5
        if arrival_s is None:
            return step_s <= max(PAUSE_S, 4 * usual_s)
        tolerance_s = max(TOLERANCE_S, TOLERANCE_SHARE * passed_s)
        ahead_s = step_s - passed_s
        if abs(ahead_s) <= tolerance_s or (step_s <= 2 * usual_s and -STALL_S <= ahead_s <= tolerance_s):
            return True
        assert self._time_s is not None  # noqa: S101
        return bool(self._lags) and abs(arrival_s - self._time_s - step_s - median(self._lags)) <= tolerance_s

    def _noisy(self) -> bool:
        """Whether the stamps of late are of no use, though this one fits."""
        if len(self._fitted) >= FEW and self._fitted.count(False) > REFUSED * len(self._fitted):
            return True
        if len(self._passed) >= MANY // 2 and len(self._stamped) >= MANY // 2:
            allowed = (1 if self._uneven else 2) * _spread(self._passed)  # once found out, it has to be good to return
            self._uneven = _spread(self._stamped) > allowed + UNEVEN_S
        return self._uneven

    def _by_arrival(self, passed_s: float) -> float:
        """The step without a stamp: what passed, with the network's jitter mostly evened out."""
        usual_s = median(self._passed) if self._passed else passed_s
        wanted_s = passed_s + self._debt_s
        late_s = wanted_s - usual_s
        step_s = usual_s + 0.1 * late_s if abs(late_s) <= TOLERANCE_S else wanted_s
        step_s = max(step_s, STEP_S)
        self._debt_s = wanted_s - step_s
        return step_s

    def _doubt(self, stamp_s: float | None, time_s: float) -> None:
        """The frame at `time_s` was placed without its stamp; should the next one go on from it, both were right."""
        if stamp_s is not None:
            self._stamp_s, self._doubted = stamp_s, (stamp_s, time_s)


class Pace:
    """By how much a camera's seconds are too short or too long, seen over a while; files have none.

    The answer is the median over pairs of pictures (Theil and Sen), which bursts and stalls do not bend. As long as the
    stamps may be right, they are.
    """

    def __init__(self) -> None:
        self.factor = 1.0
        """Seconds per second of the stamps."""
        self._stamped_s = 0.0
        self._seen: deque[tuple[float, float]] = deque()  # arrival and the stamps' own time
        self._measured_s = 0.0

    def forget(self) -> None:
        """The connection is a new one; the camera is not."""
        self._seen.clear()

    def watch(self, arrival_s: float, step_s: float) -> None:
        """A frame arrived, `step_s` after the one before."""
        self._stamped_s += step_s / self.factor
        if self._seen and arrival_s - self._seen[-1][0] < PACE_EVERY_S:
            return
        self._seen.append((arrival_s, self._stamped_s))
        while arrival_s - self._seen[0][0] > PACE_OVER_S and len(self._seen) > FEW:
            self._seen.popleft()
        if arrival_s - self._measured_s >= 4 * PACE_EVERY_S:
            self._measured_s = arrival_s
            self._measure()

    def _measure(self) -> None:
        span_s = self._seen[-1][0] - self._seen[0][0]
        if span_s < PACE_FROM_S or len(self._seen) < FEW:
            return
        every = -(-len(self._seen) // (3 * FEW))
        points = list(self._seen)[::every]
        slopes = [
            (b[0] - a[0]) / (b[1] - a[1])
            for (i, a), (j, b) in combinations(enumerate(points), 2)
            if j - i >= len(points) // 3 and b[1] > a[1]
        ]
        if not slopes:
            return
        factor = median(slopes)
        rests = [arrival_s - factor * stamped_s for arrival_s, stamped_s in points]
        gained_s = abs(span_s / factor - span_s) if factor > 0 else 0.0
        self.factor = factor if gained_s > max(PACE_WRONG_S, 4 * _spread(rests) / factor) else 1.0


def _spread(values: Sequence[float]) -> float:
    """Median distance from the median."""
    middle = median(values)
    return median(abs(value - middle) for value in values)
