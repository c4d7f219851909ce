"""Caller: who sent a request, and what they may do."""

from dataclasses import dataclass
from typing import Literal

Scope = Literal["read", "write", "admin"]
SCOPES: tuple[Scope, ...] = ("read", "write", "admin")
"""Each includes those before it."""


@dataclass(frozen=True, slots=True)
class Caller:
    """What one key, or one ticket, allows."""

    name: str
    scope: Scope
    streams: frozenset[str] | None = None
    """Ids that this caller may see; None: all."""

    def may(self, scope: Scope) -> bool:
        """Whether this caller's scope includes `scope`."""
        return SCOPES.index(self.scope) >= SCOPES.index(scope)

    def sees(self, stream_id: str) -> bool:
        """Whether this caller may know of a stream."""
        return self.streams is None or stream_id in self.streams


ANYBODY = Caller("anybody", "admin")
"""Whoever asks a service that has no key and listens on loopback alone."""
