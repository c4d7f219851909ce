"""What a look costs on this machine, measured while it runs."""

from typing import Literal

Looker = Literal["teacher", "student"]

USUAL_SHARE = 0.24
"""A student's look of a teacher's, believed until enough of both were measured."""
ENOUGH = 20
FADING = 0.95


class LookCosts:
    """Milliseconds per network and batch size: fading means over what was measured."""

    def __init__(self) -> None:
        self._ms: dict[tuple[Looker, int], float] = {}
        self._looks: dict[Looker, int] = {}
        self.student_share = USUAL_SHARE
        """Cost of a student's look as a share of a teacher's, 0 to 1; in steps, so that runs repeat themselves."""

    def measure(self, network: Looker, batch: int, seconds: float) -> None:
        """A batch took so long from its letterbox to its results."""
        ms, key = 1e3 * seconds, (network, batch)
        before = self._ms.get(key, ms)
        self._ms[key] = min(FADING * before + (1 - FADING) * ms, 2 * before)
        self._looks[network] = self._looks.get(network, 0) + batch
        if self._looks.get("teacher", 0) >= ENOUGH <= self._looks.get("student", 0):
            self.student_share = min(1.0, max(0.05, round(20 * self.ms("student", 1) / self.ms("teacher", 1)) / 20))

    def ms(self, network: Looker, batch: int) -> float:
        """Of one image in a batch of this size, going by the nearest size that was measured; 0 where none was."""
        sizes = [size for name, size in self._ms if name == network]
        if not sizes:
            return 0.0
        nearest = min(sizes, key=lambda size: abs(size - batch))
        return self._ms[network, nearest] / nearest


class StatedCosts(LookCosts):
    """Costs that are known beforehand; what happens says nothing. So the same film gets the same looks."""

    def __init__(self, teacher_ms: float = 1.0, student_ms: float = USUAL_SHARE) -> None:
        super().__init__()
        self._ms = {("teacher", 1): teacher_ms, ("student", 1): student_ms}
        self.student_share = student_ms / teacher_ms

    def measure(self, network: Looker, batch: int, seconds: float) -> None:
        """Nothing is measured."""
