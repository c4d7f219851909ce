"""How sources behave: time-outs, backoff, threads. One frozen place, checked on construction."""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge.sources.base import SourceError

LARGEST_PICTURE = 16384 * 16384
"""Pixels; no codec at hand has larger ones."""

Resolve = Callable[[str, int], list[str]]
"""Host (IPv6 without brackets) and port to addresses, best first; at least one. Asked anew at every connection, and
nothing else is connected to. Raises SourceError: connection_failed, or what a policy says."""


def resolve_any(host: str, port: int) -> list[str]:
    """Every address that the system knows for `host`."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise SourceError("connection_failed", f"the name {host} has no address; check it, or the DNS server") from None
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """Times in seconds. Raises ValueError naming the field that is out of range."""

    connect_timeout_s: float = 5.0
    """For connecting, and again for learning what the stream holds."""
    stall_timeout_s: float = 3.0
    """A live source without a picture for this long is reconnected."""
    backoff_min_s: float = 0.5
    """Shortest wait before a new attempt, unless the host answers again before."""
    backoff_max_s: float = 30.0
    """Longest wait before a new attempt."""
    good_after_s: float = 10.0
    """A connection that held for this long was a good one: the waits start at the shortest again."""
    frozen_after_s: float = 10.0
    """A camera whose picture stays the same for this long is called frozen, see edge.sources.decoder.pictures."""
    max_pixels: int = 4096 * 2304
    """Largest picture that a camera may send: width times height."""
    decoder_memory_mb: int = 1024
    """Address space that a camera's decoder may add to what it starts with; 4096x2304 needs 300 MB."""
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
    resolve: Resolve = resolve_any
    """From a camera's name to the addresses that may be connected to."""

    def __post_init__(self) -> None:
        for name in ("connect_timeout_s", "stall_timeout_s", "backoff_min_s", "good_after_s", "frozen_after_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0 s, got {getattr(self, name)}")
        if self.backoff_max_s < self.backoff_min_s:
            raise ValueError(f"backoff_max_s {self.backoff_max_s} is below backoff_min_s {self.backoff_min_s}")
        if self.max_attempts is not None and self.max_attempts < 1:
            raise ValueError(f"max_attempts must be at least 1 or None, got {self.max_attempts}")
        if not 1 <= self.max_pixels <= LARGEST_PICTURE:
            raise ValueError(f"max_pixels must be 1 to {LARGEST_PICTURE}, got {self.max_pixels}")
        if not 64 <= self.decoder_memory_mb <= 65536:
            raise ValueError(f"decoder_memory_mb must be 64 to 65536, got {self.decoder_memory_mb}")
        if not 1 <= self.decoder_threads <= 16:
            raise ValueError(f"decoder_threads must be 1 to 16, got {self.decoder_threads}")

    def backoff_s(self, attempts: int, chance: float) -> float:
        """Wait after `attempts` failures: full jitter, `chance` in [0, 1) of the exponentially growing span."""
        span = min(self.backoff_max_s, self.backoff_min_s * 2.0 ** min(attempts, 32))
        return self.backoff_min_s + chance * (span - self.backoff_min_s)
