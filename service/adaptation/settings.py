"""What can be set about live adaptation, and whether this machine has what it takes."""

import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from service.errors import Refused

LEARNS_WITH = ("torch", "onnx", "onnxscript")
INSTALL = "pip install -e '.[cpu,export]'"
MEMORY = Path("/dev/shm")  # noqa: S108  # in memory, which is the point; folders in it are made private
"""Where a round has its pictures."""


@dataclass(frozen=True, slots=True)
class AdaptationSettings:
    """Of all streams that adapt."""

    share: float
    """Of this machine's processors, for learning."""
    every_s: float
    """From the end of a stream's round to its next."""
    round_minutes: float
    """How long a round may take."""
    sample_bytes: int
    """Most that is kept of a stream to learn from."""
    students: Path | None
    """Folder for students that learnt; None: they end with the service."""

    @property
    def processors(self) -> list[int]:
        """Those that a round may use: the last ones."""
        there = sorted(os.sched_getaffinity(0))
        return there[-max(1, int(self.share * len(there))) :]

    @property
    def duty(self) -> float:
        """Share of the time that it may use them."""
        return min(1.0, self.share * len(os.sched_getaffinity(0)) / len(self.processors))


def check_learning() -> None:
    """Raise Refused where a student cannot learn on this machine."""
    if missing := [name for name in LEARNS_WITH if find_spec(name) is None]:
        detail = f"`adapt` has a student learn, for which {', '.join(missing)} must be installed here: {INSTALL}"
        raise Refused("adapt_not_available", detail)
    if not os.access(MEMORY, os.W_OK):
        detail = f"`adapt` keeps pictures in memory alone, for which this machine must have {MEMORY}, open for writing"
        raise Refused("adapt_not_available", detail)
