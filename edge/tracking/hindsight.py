"""A better answer that comes late, and what is made of it: the late teacher of a keyframe.

On such a keyframe the student's answer is told at once; the teacher's comes some frames later. Meanwhile there are two
trackers. The one of before the keyframe waits; its scout, a copy, goes ahead with what the student sees, and is the one
whose boxes are told. With the teacher's answer the waiting tracker

1. takes that answer in at the keyframe's own time, as if it had been there: people are associated where they were then,
   newcomers are born then, and the student's answer about the keyframe is forgotten;
2. carries it forward: it takes in what the student saw in the frames since, in their order and with their times;
3. is the lane's tracker from now on. The scout is forgotten.

So afterwards all boxes, motion and looks are exactly those of a teacher that was quick. Only ids remember the scout,
since people were told of them: whoever it confirmed keeps the id that it gave, an id that it gave in vain is gone now,
and none ever means somebody else. Who is gone is not told while the teacher's answer may still deny it.
"""

from collections.abc import Callable

from edge.tracking.detections import Detections, Tracks
from edge.tracking.tracker import Tracker


class Hindsight:
    """Waits for one answer. Begins just before the tracker takes in the student's answer about the keyframe."""

    def __init__(self, tracker: Tracker, dt_s: float) -> None:
        """`dt_s`: from the tracker's last update to the keyframe, seconds. `tracker` must not be used any more."""
        self.scout = tracker.scout()
        """To be updated and asked meanwhile; `remember` has to hear of each update after the keyframe's."""
        self._waiting = tracker
        self._dt_s = dt_s
        self._since: list[Callable[[], Tracks]] = []

    def remember(self, detections: Detections, dt_s: float, threshold: float) -> None:
        """The scout is updated with this, between keyframes."""
        self._since.append(lambda: self._waiting.take_in(detections, dt_s, threshold, True))

    def update(self, detections: Detections, dt_s: float, threshold: float) -> Tracks:
        """Update the scout, after the keyframe."""
        self.remember(detections, dt_s, threshold)
        return self.scout.update(detections, dt_s, threshold, True)

    def settle(self, detections: Detections, threshold: float) -> tuple[Tracks, Tracker]:
        """The better answer is there: the keyframe's tracks, and the tracker that goes on."""
        self._waiting.follow(self.scout)
        tracks = self._waiting.take_in(detections, self._dt_s, threshold, False)
        for look in self._since:
            look()
        self._waiting.overtake()
        return tracks, self._waiting

    def give_up(self) -> None:
        """The answer never comes; the scout goes on."""
        self.scout.stand_alone()
