"""Tickets: where no header can be sent (WebSockets, event streams and pictures of a browser), good for one request."""

import secrets
import time
from collections.abc import Callable

from service.auth.caller import Caller
from service.auth.keys import hashed
from service.errors import LimitReached

LIFETIME_S = 30.0
MOST = 10_000
"""Tickets that were issued and not used yet, of all callers together."""


class Tickets:
    """In memory; a restart voids them all. Event loop only."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._issued: dict[bytes, tuple[float, Caller]] = {}

    def issue(self, caller: Caller) -> str:
        """Return a ticket that lets its bearer read, once, what `caller` sees. Raises LimitReached."""
        self._forget_old()
        if len(self._issued) >= MOST:
            raise LimitReached("too_many_tickets", f"{MOST} tickets wait to be used; try again in {LIFETIME_S:.0f} s")
        ticket = secrets.token_urlsafe(32)
        reader = Caller(caller.name, "read", caller.streams)
        self._issued[hashed(ticket)] = (self._clock() + LIFETIME_S, reader)
        return ticket

    def redeem(self, ticket: str) -> Caller | None:
        """Return who may read by this ticket and void it; None for one that is unknown, used or too old."""
        self._forget_old()
        _, caller = self._issued.pop(hashed(ticket), (0.0, None))
        return caller

    def _forget_old(self) -> None:
        """The oldest come first."""
        now = self._clock()
        while self._issued and next(iter(self._issued.values()))[0] <= now:
            del self._issued[next(iter(self._issued))]
