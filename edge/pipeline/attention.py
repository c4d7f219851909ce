"""What a lane's looks have taught: what is at stake in a frame that nobody sees. `adaptive` decides on it."""

import numpy as np

from edge.arrays import F64, I64, U8
from edge.ops.pixels import Pixels, Surface, on_host
from edge.tracking.tracker import Tracker

FADING = 0.9
"""Share of what keyframes taught that is left after one more."""
GRID = 96
"""Samples along a picture's longer side by which a still picture is told from one in which something happens."""
STIR_GREY, STIR_SAMPLES = 20, 3
"""So many samples must have changed by more than so many grey levels of 255."""


class Attention:
    """Of one lane. Numbers are of people: a harm of 1 is one person's box missing or wrong."""

    def __init__(self) -> None:
        self.people = 0
        self.newcomers = 0
        """Seen once by the teacher; whoever is seen again is somebody."""
        self.usual_wait_s = 0.2
        """Mean time between looks, lately."""
        self._hazards: F64 = np.zeros(0)
        self._ids: frozenset[int] = frozenset()  # of the last look
        self._largest_id = self._largest_at_keyframe = 0
        self._look_s: float | None = None
        self._keyframe_s: float | None = None
        self._student_looked = False
        self._births, self._births_s = 0.0, 0.0
        self._missed, self._known = 0.0, 0.0
        self._came, self._promised = 0.0, 0.0
        self._samples: U8 | None = None

    def learn(self, keyframe: bool, ids: I64, tracker: Tracker, time_s: float) -> None:
        """Take in a look: who is there now (N,), and what the tracker thinks of them."""
        now = frozenset(ids.tolist())
        if self._look_s is not None and time_s > self._look_s:  # not so where a teacher answers later than the student
            self.usual_wait_s += 0.3 * (max(0.0, time_s - self._look_s) - self.usual_wait_s)
        self._look_s = time_s if self._look_s is None else max(time_s, self._look_s)
        fresh = sum(one > self._largest_id for one in now)
        self._came = 0.95 * self._came + min(fresh, self.newcomers)
        self._promised = 0.95 * self._promised + self.newcomers
        if keyframe:
            self._learn_keyframe(now, time_s)
        else:
            self._student_looked = True
        self._ids, self._largest_id = now, max(self._largest_id, *now, 0)
        self._hazards, self.people, self.newcomers = tracker.hazards(), len(now), tracker.newcomers()

    def _learn_keyframe(self, now: frozenset[int], time_s: float) -> None:
        if self._keyframe_s is not None:
            self._births = FADING * self._births + sum(one > self._largest_at_keyframe for one in now)
            self._births_s = FADING * self._births_s + max(0.0, time_s - self._keyframe_s)
            if self._student_looked:
                again = sum(one <= self._largest_id for one in now - self._ids)
                self._missed = FADING * self._missed + again
                self._known = FADING * self._known + len(now)
        self._keyframe_s, self._student_looked = time_s, False
        self._largest_at_keyframe = max(self._largest_at_keyframe, *now, 0)

    def drift(self, after_s: float) -> float:
        """Harm of the boxes predicted `after_s` seconds after the last look."""
        return float(-np.expm1(-self._hazards * (after_s * after_s)).sum())

    @property
    def unnoticed_per_s(self) -> float:
        """Harm that only the teacher can mend, growing by this much each second: people who came, who left, whom the
        student no longer tells apart. A stream that was not watched yet has some."""
        return (0.8 * self._births + 0.04 * (1 + self.people)) / (self._births_s + 1)

    @property
    def missed_by_student(self) -> float:
        """Harm of a student's look: those among the people that the teacher found again after it, lately."""
        return 1.5 * self.people * (self._missed + 0.04) / (self._known + 2)

    @property
    def promise(self) -> float:
        """How many of the newcomers are somebody, going by those before them."""
        return self.newcomers * (self._came + 1) / (self._promised + 2)

    def remember(self, pixels: Pixels) -> None:
        """Keep a few samples of a picture in which nobody is, to tell later ones from it."""
        self._samples = _samples(pixels)

    def stirs(self, pixels: Pixels) -> bool:
        """Whether the picture differs from the one kept, or there is no telling (it is in a GPU's memory)."""
        samples, kept = _samples(pixels), self._samples
        if samples is None or kept is None or samples.shape != kept.shape:
            return True
        changed = np.maximum(samples, kept) - np.minimum(samples, kept) > STIR_GREY
        return int(np.count_nonzero(changed)) >= STIR_SAMPLES


def _samples(pixels: Pixels) -> U8 | None:
    """Brightness (or the green channel) at a grid of points, without a conversion; None where it lies on a GPU."""
    if isinstance(pixels, Surface):
        return None
    image, _ = on_host(pixels)
    brightness = image[:, :, 1] if image.ndim == 3 else image[: image.shape[0] * 2 // 3]
    step = max(1, max(brightness.shape) // GRID)
    return np.ascontiguousarray(brightness[step // 2 :: step, step // 2 :: step])
