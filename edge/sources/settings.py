"""How sources behave: time-outs, backoff, threads. One frozen place, checked on construction."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """Times in seconds. Raises ValueError naming the field that is out of range."""

    connect_timeout_s: float = 5.0
    """For connecting, and again for learning what the stream holds."""
    stall_timeout_s: float = 3.0
    """A live source without a picture for this long is reconnected."""
    backoff_min_s: float = 0.5
    """Shortest wait before a new attempt."""
    backoff_max_s: float = 30.0
    """Longest wait before a new attempt."""
    max_attempts: int | None = None
    """Failed connections in a row after which a live source gives up; None: never."""
    first_must_connect: bool = True
    """Whether the very first failure of a live source is raised (a person waits) or retried (a service waits)."""
    decoder_threads: int = 2
    """Per source; more only help files and pictures cut into slices."""
    tls_verify: bool = True
    """Whether an rtsps:// camera must show a certificate that this host trusts."""
    ca_file: Path | None = None
    """Certificates to trust for rtsps://; None: the system's."""

    def __post_init__(self) -> None:
        for name in ("connect_timeout_s", "stall_timeout_s", "backoff_min_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0 s, got {getattr(self, name)}")
        if self.backoff_max_s < self.backoff_min_s:
            raise ValueError(f"backoff_max_s {self.backoff_max_s} is below backoff_min_s {self.backoff_min_s}")
        if self.max_attempts is not None and self.max_attempts < 1:
            raise ValueError(f"max_attempts must be at least 1 or None, got {self.max_attempts}")
        if not 1 <= self.decoder_threads <= 16:
            raise ValueError(f"decoder_threads must be 1 to 16, got {self.decoder_threads}")

    def backoff_s(self, attempts: int, chance: float) -> float:
        """Wait after `attempts` failures: full jitter, `chance` in [0, 1) of the exponentially growing span."""
        span = min(self.backoff_max_s, self.backoff_min_s * 2.0 ** min(attempts, 32))
        return self.backoff_min_s + chance * (span - self.backoff_min_s)
