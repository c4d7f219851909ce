"""Tickets: where no header can be sent (WebSockets, event streams and pictures of a browser), good for one request."""

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

from service.auth.caller import Caller
from service.auth.keys import hashed
from service.errors import LimitReached

LIFETIME_S = 30.0
MOST_PER_KEY = 200
"""Tickets of one key that were issued and not used yet: one key leaves all others theirs."""


class Tickets:
    """In memory; a restart voids them all. Event loop only."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._issued: OrderedDict[bytes, tuple[float, Caller]] = OrderedDict()
        self._of_key: dict[str, int] = {}

    def issue(self, caller: Caller) -> str:
        """Return a ticket that lets its bearer read, once, what `caller` sees. Raises LimitReached."""
        self._forget_old()
        if self._of_key.get(caller.key_id, 0) >= MOST_PER_KEY:
            detail = f"{MOST_PER_KEY} tickets of this key wait to be used; use them, or wait"
            raise LimitReached("too_many_tickets", detail, retry_after_s=LIFETIME_S)
        ticket = secrets.token_urlsafe(32)
        self._issued[hashed(ticket)] = (self._clock() + LIFETIME_S, replace(caller, scope="read", by_ticket=True))
        self._of_key[caller.key_id] = self._of_key.get(caller.key_id, 0) + 1
        return ticket

    def redeem(self, ticket: str) -> Caller | None:
        """Return who may read by this ticket and void it; None for one that is unknown, used or too old."""
        self._forget_old()
        return self._take(hashed(ticket))

    def _forget_old(self) -> None:
        """The oldest come first."""
        now = self._clock()
        while self._issued and next(iter(self._issued.values()))[0] <= now:
            self._take(next(iter(self._issued)))

    def _take(self, digest: bytes) -> Caller | None:
        _, caller = self._issued.pop(digest, (0.0, None))
        if caller is not None:
            self._of_key[caller.key_id] -= 1
            if not self._of_key[caller.key_id]:
                del self._of_key[caller.key_id]
        return caller
