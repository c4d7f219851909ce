"""IdRetention: how well the students keep the identities that the teacher's keyframes showed."""

from collections import deque
from collections.abc import Collection

from edge.pipeline.pipeline import Kind

WINDOW = 32
"""Pairs of successive keyframes that the ratio is taken over."""


class IdRetention:
    """Share of the ids at one keyframe that are still there at the next, over the last `WINDOW` pairs of keyframes.

    |ids(n) and ids(n + 1)| / |ids(n)|, summed above and below over the pairs. People who walk out of the picture count
    as not retained, so a busy door has less than 1 with a perfect tracker: compare it over time, and between values of
    K on the same camera.

    Device thread only.
    """

    def __init__(self) -> None:
        self._ids: frozenset[int] = frozenset()
        self._pairs: deque[tuple[int, int]] = deque(maxlen=WINDOW)  # (ids at a keyframe, of these kept to the next)

    def observe(self, kind: Kind, ids: Collection[int]) -> None:
        """Take one tracked frame's ids."""
        if kind == "teacher":
            now = frozenset(ids)
            if self._ids:
                self._pairs.append((len(self._ids), len(self._ids & now)))
            self._ids = now

    def restart(self) -> None:
        """Identities begin anew; a camera that was away says nothing about K."""
        self._ids = frozenset()

    @property
    def ratio(self) -> float | None:
        """In 0..1; None before two keyframes, the first of which had people."""
        pairs = list(self._pairs)
        return sum(kept for _, kept in pairs) / sum(ids for ids, _ in pairs) if pairs else None
