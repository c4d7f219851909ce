"""Guard: from a request to its Caller, or to 401."""

import asyncio
import logging
import time
from typing import Protocol

from starlette.requests import HTTPConnection

from service.auth.caller import ANYBODY, Caller
from service.auth.keys import KeyRing
from service.auth.subscriptions import Subscriptions
from service.auth.throttle import FailureThrottle, RateLimit
from service.auth.tickets import Tickets
from service.errors import LimitReached, Unauthorized
from service.logs import fields
from service.settings import Settings

log = logging.getLogger(__name__)

TICKET_PARAMETER = "ticket"
WATCH_S = 0.25
"""How often connections that last are asked whether their key is still good."""
TOLD_EVERY_S = 600.0
"""How often the log tells that a key is used from an address."""
_MOST_TOLD = 1000
_HOW = "send 'Authorization: Bearer KEY'; an admin makes keys with: atttrack keys add NAME --scope read"


class SharedTickets(Protocol):
    """Tickets that are known to many processes."""

    async def issue(self, caller: Caller) -> str: ...
    async def redeem(self, ticket: str) -> Caller | None: ...


class Guard:
    """Knows keys and tickets. Without any key, a service on loopback is open to everybody on this machine."""

    def __init__(self, keys: KeyRing, settings: Settings, shared: SharedTickets | None = None) -> None:
        """`shared`: where tickets are that other processes may redeem, too."""
        self.keys = keys
        self._shared = shared
        self.tickets = Tickets()
        self.subscriptions = Subscriptions(settings.max_subscribers, settings.max_connections)
        self._open_without_keys = settings.bound_to_loopback
        self._failures = FailureThrottle()
        self._requests = RateLimit(settings.requests_per_s)
        self._told: dict[tuple[str, str], float] = {}

    @property
    def open(self) -> bool:
        """Whether nobody is asked for a key."""
        return self._open_without_keys and not self.keys

    async def issue(self, caller: Caller) -> str:
        """Return a ticket that lets its bearer read, once, what `caller` sees. Raises LimitReached."""
        return self.tickets.issue(caller) if self._shared is None else await self._shared.issue(caller)

    async def identify(self, connection: HTTPConnection) -> Caller:
        """Return who is asking. Raises Unauthorized, LimitReached."""
        caller = ANYBODY if self.open else await self._holder(connection)
        self._requests.take(caller.key_id)
        return caller

    def holds(self, caller: Caller) -> bool:
        """Whether what let `caller` in would do so now."""
        return self.open if caller.key_id == ANYBODY.key_id else self.keys.holds(caller)

    async def watch(self) -> None:
        """For ever: end the connections of keys that were revoked or have expired."""
        while True:
            await asyncio.sleep(WATCH_S)
            self.subscriptions.end_unless(self.holds)

    async def _holder(self, connection: HTTPConnection) -> Caller:
        address = connection.client.host if connection.client else ""
        ticket = connection.query_params.get(TICKET_PARAMETER)
        kind, _, key = connection.headers.get("authorization", "").partition(" ")
        if key and kind.lower() == "bearer":
            caller, code = self.keys.find(key.strip()), "key_refused"
        elif ticket:
            caller, code = await self._redeemed(ticket), "ticket_refused"
        else:
            raise Unauthorized("key_missing", f"this service asks for a key; {_HOW}")
        if caller is None or not self.holds(caller):
            raise self._refused(address, code)
        self._tell(caller.name, address)
        return caller

    async def _redeemed(self, ticket: str) -> Caller | None:
        return self.tickets.redeem(ticket) if self._shared is None else await self._shared.redeem(ticket)

    def _refused(self, address: str, code: str) -> Unauthorized | LimitReached:
        what = "key" if code == "key_refused" else "ticket"
        log.warning("%s from %s refused", what, address, extra=fields(code, address=address))
        try:
            self._failures.failed(address)
        except LimitReached as wait:
            return wait
        told = (
            "this key is not known, was revoked or has expired" if what == "key" else "this ticket was used or is old"
        )
        return Unauthorized(code, f"{told}; {_HOW}")

    def _tell(self, name: str, address: str) -> None:
        """Log that a key is used, once in a while."""
        now, what = time.monotonic(), (name, address)
        if now - self._told.get(what, -TOLD_EVERY_S) < TOLD_EVERY_S:
            return
        if len(self._told) >= _MOST_TOLD:
            self._told.clear()
        self._told[what] = now
        log.info("key %s is used from %s", name, address, extra=fields("key_used", key=name, address=address))
