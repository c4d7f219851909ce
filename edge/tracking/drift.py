"""How soon the motion model loses sight of people, learnt from the predictions that a look could judge.

A prediction that is off by |dx| of the box's widths and |dy| of its heights does a harm of

    min(1, (3 (|dx| + |dy|))^4)

which is 1 where it overlaps less than half (IoU) of what is there and next to 0 where it is as good as a network's.
Errors grow with the time t that was predicted, so the harm of person i is expected to be

    1 - exp(-hazard_i t^2)

with hazard_i = sum of harms / sum of t^2 over what was judged of this person, lately, and of the whole stream.
"""

import numpy as np

from edge.arrays import F64

USUAL_HAZARD = 2.0
"""Per square second, believed before anything is known. On eight cameras of 7 to 30 frames/s it was 1 to 4."""
BELIEF_S2 = 0.2
"""Square seconds of prediction for which that belief counts."""
FADING = 0.99
"""Share of the past that is left after one more judgement of anybody in the stream."""
OWN_FADING = 0.8
"""The same for what is known of one person."""
OWN_BELIEF_S2 = 0.1
"""Square seconds of prediction for which the stream's hazard counts in a person's own."""


def harm(errors: F64) -> F64:
    """Of predictions with these errors (sum of both axes, in box sides), 0 to 1; see above."""
    capped: F64 = np.minimum(1.0, np.square(np.square(3.0 * errors)))
    return capped


class Drift:
    """What is known of one stream."""

    def __init__(self) -> None:
        self._harm = USUAL_HAZARD * BELIEF_S2
        self._waits_s2 = BELIEF_S2

    @property
    def hazard(self) -> float:
        """Of a person of whom nothing is known, per square second."""
        return self._harm / self._waits_s2

    def learn(self, count: int, harm: float, waits_s2: float) -> None:
        """Take in what so many predictions did together, and the sum of the squared times that they reached ahead."""
        left = FADING**count
        self._harm = left * self._harm + (1 - left) * USUAL_HAZARD * BELIEF_S2 + harm
        self._waits_s2 = left * self._waits_s2 + (1 - left) * BELIEF_S2 + waits_s2

    def hazards(self, harms: F64, waits_s2: F64) -> F64:
        """(N,) per square second, of people with these own sums (N,)."""
        found: F64 = (harms + OWN_BELIEF_S2 * self.hazard) / (waits_s2 + OWN_BELIEF_S2)
        return found
