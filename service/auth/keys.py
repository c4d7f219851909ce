"""API keys: 256 random bits each, shown once, kept as a hash."""

import hashlib
import hmac
import json
import math
import secrets
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, get_args

from service.auth.caller import Caller, Scope
from service.errors import Conflict, NotFound
from service.store import Store

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


class KeyRing:
    """All keys of a service, in memory. What another process changes in the file is known a moment later.

    Changes are futures: a key that was revoked is dead, and one that was made works, once they are done.
    """

    def __init__(self, store: Store, bootstrap: str | None = None, clock: Callable[[], float] = time.time) -> None:
        """`bootstrap` is a key with scope admin that is not in the store. Raises StoreError."""
        self._store = store
        self._bootstrap = hashed(bootstrap) if bootstrap else None
        self._clock = clock
        self._keys: dict[str, ApiKey] = {}
        self._any = False
        for row in store.read(_SELECT):
            try:
                _key(row)
            except ValueError as error:
                store.set_aside("api_keys", row[-1], str(error))
        self._take(store.read(_SELECT), store.read(_SELECT_DAMAGED))
        store.watch(self._load)

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
        listed = None if streams is None else json.dumps(sorted(streams))

        def insert(connection: sqlite3.Connection) -> tuple[str, ApiKey]:
            known = connection.execute("SELECT 1 FROM api_keys WHERE name = ?", (name,)).fetchone()
            if name == BOOTSTRAP or known:
                raise Conflict("key_exists", f"there is a key {name!r}; revoke it first, or choose another name")
            connection.execute(
                "INSERT INTO api_keys (id, name, scope, streams, created_at, expires_at, hash) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (key.id, name, scope, listed, key.created_at, expires_at, key.hash),
            )
            return secret, key

        return self._store.submit(insert, after=self._load)

    def revoke(self, name: str, *, keep_an_admin: bool = False) -> Future[None]:
        """Forget a key. The future may have NotFound, or Conflict for the last one with scope admin that matters."""

        def delete(connection: sqlite3.Connection) -> None:
            keys = [_key(row) for row in connection.execute(_SELECT)]
            if all(one.name != name for one in keys):
                raise NotFound("key_not_found", f"there is no key {name!r}")
            others = [one for one in keys if one.scope == "admin" and one.name != name and one.expires_at is None]
            if keep_an_admin and not others and self._bootstrap is None:
                detail = "this is the last key with scope admin that does not expire; add another one first"
                raise Conflict("last_admin_key", detail)
            connection.execute("DELETE FROM api_keys WHERE name = ?", (name,))

        return self._store.submit(delete, after=self._load)

    def _load(self, connection: sqlite3.Connection) -> None:
        self._take(connection.execute(_SELECT).fetchall(), connection.execute(_SELECT_DAMAGED).fetchall())

    def _take(self, rows: list[tuple[Any, ...]], damaged: list[tuple[Any, ...]]) -> None:
        keys = {}
        for row in rows:
            try:
                key = _key(row)
            except ValueError:  # said at the start, and no key for anybody
                continue
            keys[key.id] = key
        self._keys, self._any = keys, bool(rows or damaged)

    def _expired(self, key: ApiKey) -> bool:
        return key.expires_at is not None and key.expires_at <= self._clock()


_SELECT = (
    "SELECT id, name, scope, streams, created_at, expires_at, hash, hex(CAST(id AS BLOB)) FROM api_keys "
    "ORDER BY created_at, name"
)
_SELECT_DAMAGED = "SELECT 1 FROM damaged WHERE source = 'api_keys' LIMIT 1"
_HASH_BYTES = hashlib.sha256().digest_size


def hashed(secret: str) -> bytes:
    """Return SHA-256 of a key.

    A slow hash protects passwords, which people choose and machines guess. Nobody guesses 256 random bits however fast
    the hash is, so a fast one is right, and costs no request a tenth of a second.
    """
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()


def _key(row: tuple[Any, ...]) -> ApiKey:
    """Raises ValueError where the row is damaged, without its values."""
    key_id, name, scope, streams, created_at, expires_at, digest, _ = row
    if not (isinstance(key_id, str) and isinstance(name, str) and key_id.isascii() and name.isascii()):
        raise ValueError("its name is none")
    if scope not in get_args(Scope):
        raise ValueError("its scope is none")
    times = (created_at, 0.0 if expires_at is None else expires_at)
    if not all(isinstance(one, float) and math.isfinite(one) for one in times):
        raise ValueError("its times are none")
    if not isinstance(digest, bytes) or len(digest) != _HASH_BYTES:
        raise ValueError("its hash is none")
    try:
        listed = None if streams is None else json.loads(streams)
    except (ValueError, TypeError, RecursionError):
        raise ValueError("its streams are no JSON") from None
    if listed is not None and not (isinstance(listed, list) and all(isinstance(one, str) for one in listed)):
        raise ValueError("its streams are no list")
    return ApiKey(key_id, name, scope, None if listed is None else frozenset(listed), created_at, expires_at, digest)
