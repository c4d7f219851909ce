"""ID retention of a whole sequence; what `service.tracks.id_retention` shows of the last minutes of a live stream."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from edge.pipeline.pipeline import TrackedFrame


@dataclass(frozen=True, slots=True)
class RetentionCounts:
    """Counts of one sequence; those of several add up."""

    ids: int
    """Ids at a keyframe that another one follows."""
    kept: int
    """Of these, present at that next keyframe."""

    @property
    def ratio(self) -> float | None:
        """In 0..1; None before two keyframes, the first of which had people."""
        return self.kept / self.ids if self.ids else None


def count_retention(tracked: Sequence[TrackedFrame]) -> RetentionCounts:
    """From keyframe to keyframe; with the teacher alone, whose every frame is one, from frame to frame."""
    keyframes = [frozenset(frame.tracks.ids.tolist()) for frame in tracked if frame.kind == "teacher"]
    pairs = list(pairwise(keyframes))
    return RetentionCounts(sum(len(now) for now, _ in pairs), sum(len(now & after) for now, after in pairs))


def sum_retention(counts: Iterable[RetentionCounts]) -> RetentionCounts:
    """All sequences together."""
    every = list(counts)
    return RetentionCounts(sum(one.ids for one in every), sum(one.kept for one in every))
