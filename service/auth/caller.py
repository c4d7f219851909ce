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
    key_id: str = ""
    """Of the key that it came with; empty for nobody's."""
    by_ticket: bool = False
    """Whether that key made a ticket, and this is its bearer."""

    def may(self, scope: Scope) -> bool:
        """Whether this caller's scope includes `scope`."""
        return SCOPES.index(self.scope) >= SCOPES.index(scope)

    def sees(self, stream_id: str) -> bool:
        """Whether this caller may know of a stream."""
        return self.streams is None or stream_id in self.streams


ANYBODY = Caller("anybody", "admin", key_id="anybody")
"""Whoever asks a service that has no key and listens on loopback alone."""
