"""Guard: from a request to its Caller, or to 401."""

import hashlib
import hmac

from starlette.requests import HTTPConnection

from service.auth.caller import ANYBODY, Caller
from service.errors import Unauthorized
from service.settings import Settings

_HOW = "send 'Authorization: Bearer KEY'; an admin makes keys with: python -m service keys add NAME --scope read"


class Guard:
    """Knows the keys. Without any, a service on loopback is open to everybody on this machine."""

    def __init__(self, settings: Settings) -> None:
        self._bootstrap = settings.bootstrap_key
        self._open = settings.bound_to_loopback

    def identify(self, connection: HTTPConnection) -> Caller:
        """Return who is asking. Raises Unauthorized."""
        if self._bootstrap is None and self._open:
            return ANYBODY
        kind, _, key = connection.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not key:
            raise Unauthorized("key_missing", f"this service asks for a key; {_HOW}")
        if self._bootstrap is not None and hmac.compare_digest(_hash(key), _hash(self._bootstrap)):
            return Caller("bootstrap", "admin")
        raise Unauthorized("key_refused", f"this key is not known, or was revoked; {_HOW}")


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
