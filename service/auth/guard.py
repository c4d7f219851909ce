"""Guard: from a request to its Caller, or to 401."""

from starlette.requests import HTTPConnection

from service.auth.caller import ANYBODY, Caller
from service.auth.keys import KeyRing
from service.auth.subscriptions import Subscriptions
from service.auth.throttle import FailureThrottle, RateLimit
from service.auth.tickets import Tickets
from service.errors import Unauthorized
from service.settings import Settings

TICKET_PARAMETER = "ticket"
_HOW = "send 'Authorization: Bearer KEY'; an admin makes keys with: atttrack keys add NAME --scope read"


class Guard:
    """Knows keys and tickets. Without any key, a service on loopback is open to everybody on this machine."""

    def __init__(self, keys: KeyRing, settings: Settings) -> None:
        self.keys = keys
        self.tickets = Tickets()
        self.subscriptions = Subscriptions(settings.max_subscribers, settings.max_connections)
        self._open_without_keys = settings.bound_to_loopback
        self._failures = FailureThrottle()
        self._requests = RateLimit(settings.requests_per_s)

    @property
    def open(self) -> bool:
        """Whether nobody is asked for a key."""
        return self._open_without_keys and not self.keys

    def identify(self, connection: HTTPConnection) -> Caller:
        """Return who is asking. Raises Unauthorized, LimitReached."""
        caller = ANYBODY if self.open else self._holder(connection)
        self._requests.take(caller.name)
        return caller

    def _holder(self, connection: HTTPConnection) -> Caller:
        address = connection.client.host if connection.client else ""
        ticket = connection.query_params.get(TICKET_PARAMETER)
        kind, _, key = connection.headers.get("authorization", "").partition(" ")
        if key and kind.lower() == "bearer":
            self._failures.check(address)
            caller, code = self.keys.find(key.strip()), "key_refused"
        elif ticket:
            self._failures.check(address)
            caller, code = self.tickets.redeem(ticket), "ticket_refused"
        else:
            raise Unauthorized("key_missing", f"this service asks for a key; {_HOW}")
        if caller is None:
            self._failures.failed(address)
            told = (
                "this key is not known, or was revoked" if code == "key_refused" else "this ticket was used or is old"
            )
            raise Unauthorized(code, f"{told}; {_HOW}")
        self._failures.succeeded(address)
        return caller
