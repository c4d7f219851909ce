"""API keys: 256 random bits each, shown once, kept as a hash."""

import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

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
    hash: bytes = field(repr=False)

    @property
    def caller(self) -> Caller:
        """Whoever sends this key."""
        return Caller(self.name, self.scope, self.streams)


class KeyRing:
    """All keys of a service. Read from the store at each request, so that a revoked key is dead at once."""

    def __init__(self, store: Store, bootstrap: str | None = None) -> None:
        """`bootstrap` is a key with scope admin that is not in the store."""
        self._store = store
        self._bootstrap = hashed(bootstrap) if bootstrap else None
        self._changing = Lock()

    def __bool__(self) -> bool:
        """Whether there is any key."""
        return self._bootstrap is not None or bool(self._store.read("SELECT 1 FROM api_keys LIMIT 1"))

    def find(self, secret: str) -> Caller | None:
        """Return who holds this key, or None for one that is not known."""
        given = hashed(secret)
        if self._bootstrap is not None and hmac.compare_digest(given, self._bootstrap):
            return Caller(BOOTSTRAP, "admin")
        key_id = secret.split("_")[1] if secret.startswith(f"{PREFIX}_") else ""
        for key in self._keys("WHERE id = ?", key_id):
            if hmac.compare_digest(given, key.hash):
                return key.caller
        return None

    def all(self) -> list[ApiKey]:
        """Return the stored keys, oldest first."""
        return self._keys("ORDER BY created_at, name")

    def add(self, name: str, scope: Scope, streams: frozenset[str] | None = None) -> tuple[str, ApiKey]:
        """Make a key; returns its secret, which nobody can ever read again, and its record. Raises Conflict."""
        key_id = secrets.token_hex(4)
        secret = f"{PREFIX}_{key_id}_{secrets.token_urlsafe(32)}"
        key = ApiKey(key_id, name, scope, streams, time.time(), hashed(secret))
        listed = None if streams is None else json.dumps(sorted(streams))
        with self._changing:
            if name == BOOTSTRAP or self._keys("WHERE name = ?", name):
                raise Conflict("key_exists", f"there is a key {name!r}; revoke it first, or choose another name")
            self._store.write(
                "INSERT INTO api_keys (id, name, scope, streams, created_at, hash) VALUES (?, ?, ?, ?, ?, ?)",
                (key.id, name, scope, listed, key.created_at, key.hash),
            )
        return secret, key

    def revoke(self, name: str, *, keep_an_admin: bool = False) -> None:
        """Forget a key. Raises NotFound, or Conflict where it is the last one with scope admin and that matters."""
        with self._changing:
            if not self._keys("WHERE name = ?", name):
                raise NotFound("key_not_found", f"there is no key {name!r}")
            others = [one for one in self.all() if one.scope == "admin" and one.name != name]
            if keep_an_admin and not others and self._bootstrap is None:
                detail = "this is the last key with scope admin; add another one first"
                raise Conflict("last_admin_key", detail)
            self._store.write("DELETE FROM api_keys WHERE name = ?", (name,))

    def _keys(self, condition: str, *parameters: object) -> list[ApiKey]:
        sql = f"SELECT id, name, scope, streams, created_at, hash FROM api_keys {condition}"  # noqa: S608 - ours alone
        return [_key(*row) for row in self._store.read(sql, parameters)]


def hashed(secret: str) -> bytes:
    """Return SHA-256 of a key.

    A slow hash protects passwords, which people choose and machines guess. Nobody guesses 256 random bits however fast
    the hash is, so a fast one is right, and costs no request a tenth of a second.
    """
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()


def _key(key_id: str, name: str, scope: Scope, streams: str | None, created_at: float, digest: Any) -> ApiKey:
    listed = None if streams is None else frozenset(json.loads(streams))
    return ApiKey(key_id, name, scope, listed, created_at, bytes(digest))
