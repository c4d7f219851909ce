"""Store: what outlives the process, in one SQLite file: streams with their credentials, zone counts, API keys."""

import fcntl
import json
import logging
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock
from typing import Any

log = logging.getLogger(__name__)

FILE_NAME = "atttrack.sqlite3"
BUSY_TIMEOUT_S = 5.0
"""For tools that look into the file while the service runs; a second service is refused at once."""

MIGRATIONS: tuple[str, ...] = (
    # 1: streams and the counts of their zones
    """
    CREATE TABLE streams (
        position INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        document TEXT NOT NULL,
        created_at REAL NOT NULL,
        version INTEGER NOT NULL DEFAULT 1,
        from_settings INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE zone_counts (
        stream_id TEXT PRIMARY KEY REFERENCES streams (id) ON DELETE CASCADE,
        counts TEXT NOT NULL
    ) WITHOUT ROWID;
    """,
    # 2: API keys, hashed
    """
    CREATE TABLE api_keys (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        scope TEXT NOT NULL,
        streams TEXT,
        created_at REAL NOT NULL,
        hash BLOB NOT NULL
    ) WITHOUT ROWID;
    """,
)
"""Number n, counted from 1, leads from schema n - 1 to schema n. Append; never change one that was released."""


class StoreError(OSError):
    """The file cannot be used; the message says which one and what to do, and has no secret in it."""


@dataclass(frozen=True, slots=True)
class StoredStream:
    """A stream as the file has it."""

    id: str
    document: dict[str, Any] = field(repr=False)
    """The specification as JSON, with the credentials in it; `service.streams.spec` reads and writes it."""
    created_at: float
    """Unix time."""
    position: int
    """Order of creation; never used again for another stream."""
    version: int
    """Grows from 1 with every change."""
    from_settings: bool
    """Named by the command line or the environment rather than posted."""


class Store:
    """One open file. All methods may be called on any thread; each write is committed when it returns.

    Writes survive the death of the process. `durable` ones also survive a power cut, for the price of waiting for the
    disk. Every method raises StoreError when SQLite fails.
    """

    def __init__(self, path: Path | None, *, exclusive: bool = True) -> None:
        """Open or create the file, mode 0600, and bring it up to date; None: in memory, nothing is kept.

        A service is the only service that has the file, so it opens it `exclusive`; a command may look in meanwhile.
        Raises StoreError when it cannot be read or written, is in use, is no database, or is newer than this program.
        """
        self.path = path
        self._lock = RLock()
        self._claim: int | None = None
        if path is not None:
            self._claim = _prepare(path, exclusive)
        try:
            self._connection = _connect(path)
        except StoreError:
            self._release()
            raise

    def close(self) -> None:
        """Close the file; another service may open it. Safe to call twice."""
        with self._lock:
            self._connection.close()
            self._release()

    def read(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        with self._lock, _explained(self.path), closing(self._connection.execute(sql, parameters)) as rows:
            return rows.fetchall()

    def write(self, sql: str, parameters: Sequence[object] = (), *, durable: bool = True) -> int:
        """Execute and commit one statement; returns the number of rows changed."""
        with self._lock, _explained(self.path):
            self._connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            with closing(self._connection.execute(sql, parameters)) as cursor:
                return cursor.rowcount

    def streams(self) -> list[StoredStream]:
        """Return all streams, oldest first."""
        return [_stream(row) for row in self.read(f"{_SELECT_STREAMS} ORDER BY position")]

    def add_stream(
        self, stream_id: str, document: dict[str, Any], created_at: float, from_settings: bool = False
    ) -> StoredStream:
        """Keep a new stream. Raises StoreError for an id that exists."""
        self.write(
            "INSERT INTO streams (id, document, created_at, from_settings) VALUES (?, ?, ?, ?)",
            (stream_id, json.dumps(document), created_at, from_settings),
        )
        return self._stream(stream_id)

    def change_stream(self, stream_id: str, document: dict[str, Any]) -> StoredStream:
        """Keep another specification of a stream. Raises StoreError for an id that is not there."""
        self.write(
            "UPDATE streams SET document = ?, version = version + 1 WHERE id = ?", (json.dumps(document), stream_id)
        )
        return self._stream(stream_id)

    def remove_stream(self, stream_id: str) -> None:
        """Forget a stream and its counts; unknown ids are ignored."""
        self.write("DELETE FROM streams WHERE id = ?", (stream_id,))

    def counts(self, stream_id: str) -> dict[str, Any]:
        """Return the zone counts of a stream; empty where there are none."""
        rows = self.read("SELECT counts FROM zone_counts WHERE stream_id = ?", (stream_id,))
        return dict(json.loads(rows[0][0])) if rows else {}

    def put_counts(self, stream_id: str, counts: dict[str, Any]) -> None:
        """Replace the zone counts of a stream, if the stream (still) exists."""
        self.write(
            "INSERT OR REPLACE INTO zone_counts SELECT id, ? FROM streams WHERE id = ?",
            (json.dumps(counts), stream_id),
            durable=False,
        )

    def _stream(self, stream_id: str) -> StoredStream:
        rows = self.read(f"{_SELECT_STREAMS} WHERE id = ?", (stream_id,))
        if not rows:
            raise StoreError(f"there is no stream {stream_id!r} in {self.path or 'memory'}")
        return _stream(rows[0])

    def _release(self) -> None:
        if self._claim is not None:
            os.close(self._claim)
            self._claim = None


_SELECT_STREAMS = "SELECT id, document, created_at, position, version, from_settings FROM streams"


def _stream(row: tuple[Any, ...]) -> StoredStream:
    stream_id, document, created_at, position, version, from_settings = row
    return StoredStream(stream_id, json.loads(document), created_at, position, version, bool(from_settings))


def _prepare(path: Path, exclusive: bool) -> int | None:
    """Make the file, before SQLite would make it readable for all; return the lock that keeps other services off."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = _claim(path) if exclusive else None
        with suppress(FileExistsError):  # an existing one is not opened here: see `_claim`
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        path.chmod(0o600)
    except OSError as error:
        raise StoreError(f"cannot use {path} ({error.strerror}); {_REMEDY}") from None
    return lock


def _claim(path: Path) -> int:
    """Lock the file for this process and return what holds the lock; the kernel frees it whatever ends the process.

    The lock lies beside the database: closing any handle of the database itself would drop SQLite's own locks.
    """
    lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise StoreError(f"{path} is in use by another running service; stop that one, or {_REMEDY}") from None
    return lock


_REMEDY = "give another folder with --state-dir"


def _connect(path: Path | None) -> sqlite3.Connection:
    with _explained(path):
        connection = sqlite3.connect(
            path or ":memory:", timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.executescript("BEGIN IMMEDIATE; ROLLBACK")  # raises where the file cannot be written
            _migrate(connection, path)
        except BaseException:
            connection.close()
            raise
        return connection


def _migrate(connection: sqlite3.Connection, path: Path | None) -> None:
    """Run the migrations that the file has not seen, each as one transaction."""
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found > len(MIGRATIONS):
        raise StoreError(
            f"{path} was written by a newer version (its schema is {found}, this program knows {len(MIGRATIONS)}); "
            f"upgrade, or {_REMEDY}"
        )
    for number, script in enumerate(MIGRATIONS[found:], start=found + 1):
        try:
            connection.executescript(f"BEGIN IMMEDIATE; {script}; PRAGMA user_version = {number}; COMMIT;")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        if path is not None:
            log.info("%s is at schema %d", path, number)


@contextmanager
def _explained(path: Path | None) -> Iterator[None]:
    """SQLite's errors as StoreError. Their texts name tables and columns, never values."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        where = path or "the store in memory"
        raise StoreError(f"{where} cannot be used: {error}; make room on the disk, or {_REMEDY}") from None
