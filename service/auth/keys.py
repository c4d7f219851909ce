"""API keys: 256 random bits each, shown once, kept as a hash."""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

from service.auth.caller import Caller, Scope
from service.errors import Conflict, NotFound

PREFIX = "atk"
"""Keys look like atk_<id>_<secret>, so that scanners for leaked secrets can know them."""
BOOTSTRAP = "bootstrap"
"""Name of the key that the environment or a file gives; not stored, not listed."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as the store has it. The secret itself is nowhere."""

    id: str
    name: str
    scope: Scope
    streams: frozenset[str] | None
    """Ids of the streams that it may see; None: all."""
    created_at: float
    """Unix time."""
    expires_at: float | None
    """Unix time from which on it is worthless; None: never."""
    hash: bytes = field(repr=False)

    @property
    def caller(self) -> Caller:
        """Whoever sends this key."""
        return Caller(self.name, self.scope, self.streams, self.id)


class KeyShelf(Protocol):
    """Where keys outlive the process."""

    def watch(self, take: Callable[[list[ApiKey], bool], None]) -> None:
        """Hand over all keys that can be read, and whether there is any at all: now, and after each change."""
        ...

    def insert(self, secret: str, key: ApiKey) -> Future[tuple[str, ApiKey]]:
        """Keep a key and return both. The future may have Conflict, where the name is taken."""
        ...

    def delete(self, name: str, allow: Callable[[list[ApiKey]], None]) -> Future[None]:
        """Forget a key, unless `allow`, which is called with all keys, raises."""
        ...


class KeyRing:
    """All keys of a service, in memory. What another process changes on the shelf is known a moment later.

    Changes are futures: a key that was revoked is dead, and one that was made works, once they are done.
    """

    def __init__(self, shelf: KeyShelf, bootstrap: str | None = None, clock: Callable[[], float] = time.time) -> None:
        """`bootstrap` is a key with scope admin that is not on the shelf. Raises StoreError."""
        self._shelf = shelf
        self._bootstrap = hashed(bootstrap) if bootstrap else None
        self._clock = clock
        self._keys: dict[str, ApiKey] = {}
        self._any = False
        shelf.watch(self._take)

    def __bool__(self) -> bool:
        """Whether a key is asked for: there is one, expired or not, or one that could not be read."""
        return self._bootstrap is not None or self._any

    def find(self, secret: str) -> Caller | None:
        """Return who holds this key, or None for one that is not known or has expired."""
        given = hashed(secret)
        if self._bootstrap is not None and hmac.compare_digest(given, self._bootstrap):
            return Caller(BOOTSTRAP, "admin", key_id=BOOTSTRAP)
        key = self._keys.get(secret.split("_")[1]) if secret.startswith(f"{PREFIX}_") else None
        if key is None or not hmac.compare_digest(given, key.hash) or self._expired(key):
            return None
        return key.caller

    def holds(self, caller: Caller) -> bool:
        """Whether the key that `caller` came with is still good."""
        if caller.key_id == BOOTSTRAP:
            return self._bootstrap is not None
        key = self._keys.get(caller.key_id)
        return key is not None and not self._expired(key)

    def all(self) -> list[ApiKey]:
        """Return the stored keys, oldest first."""
        return sorted(self._keys.values(), key=lambda key: (key.created_at, key.name))

    def add(
        self, name: str, scope: Scope, streams: frozenset[str] | None = None, expires_at: float | None = None
    ) -> Future[tuple[str, ApiKey]]:
        """Make a key: its secret, which nobody can ever read again, and its record. The future may have Conflict."""
        key_id = secrets.token_hex(4)
        secret = f"{PREFIX}_{key_id}_{secrets.token_urlsafe(32)}"
        key = ApiKey(key_id, name, scope, streams, self._clock(), expires_at, hashed(secret))
        if name == BOOTSTRAP:
            taken: Future[tuple[str, ApiKey]] = Future()
            taken.set_exception(name_taken(name))
            return taken
        return self._shelf.insert(secret, key)

    def revoke(self, name: str, *, keep_an_admin: bool = False) -> Future[None]:
        """Forget a key. The future may have NotFound, or Conflict for the last one with scope admin that matters."""

        def allow(keys: list[ApiKey]) -> None:
            if all(one.name != name for one in keys):
                raise NotFound("key_not_found", f"there is no key {name!r}")
            others = [one for one in keys if one.scope == "admin" and one.name != name and one.expires_at is None]
            if keep_an_admin and not others and self._bootstrap is None:
                detail = "this is the last key with scope admin that does not expire; add another one first"
                raise Conflict("last_admin_key", detail)

        return self._shelf.delete(name, allow)

    def _take(self, keys: list[ApiKey], any_at_all: bool) -> None:
        self._keys, self._any = {key.id: key for key in keys}, any_at_all

    def _expired(self, key: ApiKey) -> bool:
        return key.expires_at is not None and key.expires_at <= self._clock()


def name_taken(name: str) -> Conflict:
    """The answer to a second key of the same name."""
    return Conflict("key_exists", f"there is a key {name!r}; revoke it first, or choose another name")


def hashed(secret: str) -> bytes:
    """Return SHA-256 of a key.

    A slow hash protects passwords, which people choose and machines guess. Nobody guesses 256 random bits however fast
    the hash is, so a fast one is right, and costs no request a tenth of a second.
    """
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()
