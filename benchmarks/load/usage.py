"""What a process uses of its machine, from Linux's /proc; and whether that grows."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SPARE = 1.05, 1
"""Files and threads of the last third may exceed those of the first by this factor, and this number more."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a process holds at one moment."""

    time_s: float
    rss_mb: float
    files: int
    threads: int

    @classmethod
    def of(cls, pid: int, begin_s: float) -> "Held":
        """Now; `begin_s` by `time.monotonic`."""
        counts = (len(os.listdir(f"/proc/{pid}/{what}")) for what in ("fd", "task"))
        return cls(round(time.monotonic() - begin_s, 1), round(rss_mb(pid), 2), *counts)


def more(samples: Sequence[Held]) -> list[str]:
    """Sentences on files and threads that became more."""
    third, sentences = len(samples) // 3, []
    for name in ("files", "threads"):
        begin, end = (np.mean([getattr(one, name) for one in part]) for part in (samples[:third], samples[-third:]))
        if end > begin * SPARE[0] + SPARE[1]:
            sentences.append(f"{name} grew from {begin:.1f} to {end:.1f}")
    return sentences


def rss_mb(pid: int) -> float:
    """Resident memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def cpu_s(pid: int) -> float:
    """CPU time."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")
