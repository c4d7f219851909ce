"""Who was seen in a film, from when to when, and where the tracker was not sure of them."""

from dataclasses import dataclass, field

from edge.tracking.detections import Tracks
from engines.signature import PEOPLE

UNSEEN_S = 0.25
"""A person out of sight for longer was lost and found again; shorter gaps are a keyframe's, or a passer-by's."""
WEAK_SHARE = 0.5
"""Whoever scored close to the threshold in more of the frames than this may not be a person at all."""
CLOSE = 1.15
"""A score below this many times the threshold is close to it."""
MOST_ROWS = 40
"""People whom the table shows; of a crowd those who were seen longest."""


@dataclass(slots=True)
class Person:
    """One identity's appearances. Times in seconds after the film's begin."""

    track_id: int
    name: str
    """Of the class."""
    first_s: float
    last_s: float
    last_frame: int
    frames: int = 0
    weak_frames: int = 0
    gaps: list[tuple[float, float]] = field(default_factory=list)
    """When nobody saw them: lost, found."""

    @property
    def seconds(self) -> float:
        """From first to last seen."""
        return self.last_s - self.first_s

    @property
    def doubts(self) -> str:
        """Why to look at this one again, for people; empty where there is no reason."""
        found = [f"unseen {clock(lost)} to {clock(again)}" for lost, again in self.gaps[:2]]
        found += [f"and {len(self.gaps) - 2} times more"] * (len(self.gaps) > 2)
        if self.frames and self.weak_frames / self.frames > WEAK_SHARE:
            found.append(f"weak in {self.weak_frames / self.frames:.0%} of its frames")
        return ", ".join(found)


class Summary:
    """Collects one source's tracks, frame by frame."""

    def __init__(self, threshold: float, classes: tuple[str, ...] = PEOPLE) -> None:
        """`threshold`: score that a detection has to exceed, 0 to 1; `classes`: the pair's."""
        self._classes = classes
        self._weak = threshold * CLOSE
        self._frame = 0
        self.people: dict[int, Person] = {}
        """By id."""

    def add(self, tracks: Tracks, now_s: float) -> None:
        """The tracks of the next frame, taken `now_s` after the film's begin."""
        self._frame += 1
        places = [0] * len(tracks) if tracks.classes is None else tracks.classes.tolist()
        for track_id, score, place in zip(tracks.ids.tolist(), tracks.scores.tolist(), places, strict=True):
            person = self.people.setdefault(track_id, Person(track_id, self._classes[place], now_s, now_s, self._frame))
            if now_s - person.last_s > UNSEEN_S and self._frame > person.last_frame + 1:
                person.gaps.append((person.last_s, now_s))
            person.last_s, person.last_frame = now_s, self._frame
            person.frames += 1
            person.weak_frames += score < self._weak

    def table(self) -> str:
        """People in the order in which they came, with times as minutes:seconds."""
        if not self.people:
            return "nobody was seen"
        longest = sorted(self.people.values(), key=lambda person: -person.seconds)[:MOST_ROWS]
        shown = sorted(longest, key=lambda person: person.track_id)
        doubtful = sum(bool(person.doubts) for person in self.people.values())
        who, wide = [f"{'person':>6}", *(f"{person.track_id:>6}" for person in shown)], max(map(len, self._classes))
        if self._classes != PEOPLE:
            who = [f"{'track':>6}  {'class':<{wide}}", *(f"{p.track_id:>6}  {p.name:<{wide}}" for p in shown)]
        lines = [f"{who[0]}  {'first seen':>10}  {'last seen':>9}  {'length':>8}  unsure"]
        lines += [
            f"{name}  {clock(person.first_s):>10}  {clock(person.last_s):>9}  {person.seconds:>6.1f} s  "
            f"{person.doubts or '-'}"
            for name, person in zip(who[1:], shown, strict=True)
        ]
        if hidden := len(self.people) - len(shown):
            lines.append(f"and {hidden} more, seen for {min(p.seconds for p in longest):.1f} s or less")
        names = [person.name for person in self.people.values()]
        found = ", ".join(f"{name}: {names.count(name)}" for name in self._classes if name in names)
        if self._classes == PEOPLE:
            found = f"people: {len(self.people)}"
        lines.append(f"{found}, of whom {doubtful} are worth a second look")
        return "\n".join(line.rstrip() for line in lines)


def clock(seconds: float) -> str:
    """75.3 -> '1:15.3'; from an hour on '1:01:15.3'."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}:{minutes:02}" if hours else f"{minutes}") + f":{rest // 10:02}.{rest % 10}"
