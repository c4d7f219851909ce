"""StoredKeys: API keys in the service's own file."""

import hashlib
import json
import math
import sqlite3
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, get_args

from service.auth.caller import Scope
from service.auth.keys import ApiKey, name_taken
from service.store import Store


class StoredKeys:
    """Implements `service.auth.keys.KeyShelf` over SQLite."""

    def __init__(self, store: Store) -> None:
        """Set keys aside that cannot be read. Raises StoreError."""
        self._store = store
        self._take: Callable[[list[ApiKey], bool], None]
        for row in store.read(_SELECT):
            try:
                _key(row)
            except ValueError as error:
                store.set_aside("api_keys", row[-1], str(error))

    def watch(self, take: Callable[[list[ApiKey], bool], None]) -> None:
        """Hand over the keys now and after each change, also by another process. Raises StoreError."""
        self._take = take
        self._hand_over(self._store.read(_SELECT), self._store.read(_SELECT_DAMAGED))
        self._store.watch(self._load)

    def insert(self, secret: str, key: ApiKey) -> Future[tuple[str, ApiKey]]:
        """Keep a key and return both. The future may have Conflict."""
        listed = None if key.streams is None else json.dumps(sorted(key.streams))

        def insert(connection: sqlite3.Connection) -> tuple[str, ApiKey]:
            if connection.execute("SELECT 1 FROM api_keys WHERE name = ?", (key.name,)).fetchone():
                raise name_taken(key.name)
            connection.execute(
                "INSERT INTO api_keys (id, name, scope, streams, created_at, expires_at, hash) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (key.id, key.name, key.scope, listed, key.created_at, key.expires_at, key.hash),
            )
            return secret, key

        return self._store.submit(insert, after=self._load)

    def delete(self, name: str, allow: Callable[[list[ApiKey]], None]) -> Future[None]:
        """Forget a key, unless `allow` raises."""

        def delete(connection: sqlite3.Connection) -> None:
            allow([_key(row) for row in connection.execute(_SELECT)])
            connection.execute("DELETE FROM api_keys WHERE name = ?", (name,))

        return self._store.submit(delete, after=self._load)

    def _load(self, connection: sqlite3.Connection) -> None:
        self._hand_over(connection.execute(_SELECT).fetchall(), connection.execute(_SELECT_DAMAGED).fetchall())

    def _hand_over(self, rows: list[tuple[Any, ...]], damaged: list[tuple[Any, ...]]) -> None:
        keys = []
        for row in rows:
            try:
                keys.append(_key(row))
            except ValueError:  # said at the start, and no key for anybody
                continue
        self._take(keys, bool(rows or damaged))


_SELECT = (
    "SELECT id, name, scope, streams, created_at, expires_at, hash, hex(CAST(id AS BLOB)) FROM api_keys "
    "ORDER BY created_at, name"
)
_SELECT_DAMAGED = "SELECT 1 FROM damaged WHERE source = 'api_keys' LIMIT 1"
_HASH_BYTES = hashlib.sha256().digest_size


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
