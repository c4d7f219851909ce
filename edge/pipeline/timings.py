"""Where a pipeline's time goes: one stopwatch per stage, cheap enough to run always (about 1 us a measurement)."""

from time import perf_counter
from types import TracebackType


class Stopwatch:
    """Adds up the time spent inside its `with` block and the frames treated there."""

    __slots__ = ("_started_s", "frames", "seconds")

    def __init__(self) -> None:
        self.seconds = 0.0
        self.frames = 0
        self._started_s = 0.0

    @property
    def ms_per_frame(self) -> float:
        """Mean, 0 before the first frame."""
        return 1e3 * self.seconds / self.frames if self.frames else 0.0

    def __call__(self, frames: int) -> "Stopwatch":
        """Count `frames` for the block that follows: `with watch(frames):`."""
        self.frames += frames
        return self

    def __enter__(self) -> None:
        self._started_s = perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.seconds += perf_counter() - self._started_s


class StageTimes:
    """The stages of a tick in their order. On a GPU, those before `wait` measure the queueing, `wait` the rest."""

    def __init__(self) -> None:
        self.letterbox = Stopwatch()
        self.extrapolate = Stopwatch()
        self.teacher = Stopwatch()
        self.student = Stopwatch()
        self.wait = Stopwatch()
        self.association = Stopwatch()
        self.keep = Stopwatch()

    def stages(self) -> dict[str, Stopwatch]:
        """Name -> stopwatch, in the order of the tick."""
        return vars(self)
