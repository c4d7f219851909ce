"""Store: what outlives the process, in one SQLite file: streams with their credentials, zone counts, API keys.

The file is touched by one thread of its own, since any other may not wait for it: whoever else opens the file can hold
its lock, and a disk can be slow. What is asked every moment (counts, keys) is answered from memory.
"""

import fcntl
import json
import logging
import math
import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, Literal, TypeVar

log = logging.getLogger(__name__)
Result = TypeVar("Result")
Work = Callable[[sqlite3.Connection], Result]
Table = Literal["streams", "zone_counts", "api_keys"]

FILE_NAME = "atttrack.sqlite3"
ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
"""What streams, zones and keys may be called, see `service.ids`."""
BUSY_TIMEOUT_S = 10.0
"""How long a change waits for whoever holds the file's lock: a backup, a tool that looks into it."""
COUNTS_TIMEOUT_S = 0.25
"""The same for counts, which are tried again: changes shall not queue up behind them."""
PATIENCE_S = 0.02
"""How long counts hold up who counts, so that what is told of them is kept already."""
HASTY_S = 10.0
"""How long nobody is held up after that was in vain."""
WATCH_S = 0.25
"""How often the file is looked at for changes by others, and counts that could not be written are tried again."""
CLOSE_TIMEOUT_S = 5.0

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
    # 3: records that cannot be read, as SQL literals; and keys that end
    """
    CREATE TABLE damaged (
        source TEXT NOT NULL,
        record TEXT NOT NULL,
        found_at REAL NOT NULL
    );
    ALTER TABLE api_keys ADD COLUMN expires_at REAL;
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
    """One open file. All methods may be called on any thread.

    A change is a future: once it has its result, the change outlives the process and a power cut. It may be cancelled
    until it is being committed. Counts outlive the process alone. Futures and methods raise StoreError when SQLite
    fails. `read`, `streams` and `close` wait for the file: they are for starts, ends and commands.
    """

    def __init__(self, path: Path | None, *, exclusive: bool = True) -> None:
        """Open or create the file, mode 0600, and bring it up to date; None: in memory, nothing is kept.

        A service is the only service that has the file, so it opens it `exclusive`; a command may look in meanwhile.
        Raises StoreError when it cannot be read or written, is in use, is no database, or is newer than this program.
        """
        self.path = path
        self.failures = 0
        """Changes and counts that could not be written."""
        self.failing = False
        """Whether the last attempt failed."""
        self._tasks: SimpleQueue[Callable[[sqlite3.Connection], None] | None] = SimpleQueue()
        self._lock = Lock()  # of what stands below; never held while the file is touched
        self._counts: dict[str, dict[str, Any]] = {}
        self._unsaved: set[str] = set()
        self._saving: Future[None] | None = None
        self._hasty_until_s = 0.0
        self._closed = False
        self._watchers: list[Work[None]] = []
        self._seen: int | None = None
        self._claim = None if path is None else _prepare(path, exclusive)
        opened: Future[None] = Future()
        self._thread = Thread(target=self._run, args=(opened,), name="store", daemon=True)
        self._thread.start()
        opened.result()

    def close(self, timeout_s: float = CLOSE_TIMEOUT_S) -> None:
        """Write what waits and close the file; another service may open it. Safe to call twice.

        Who holds the file for longer than `timeout_s` is not waited for.
        """
        with self._lock:
            if not self._closed:
                self._closed = True
                self._tasks.put(None)
        self._thread.join(timeout_s)

    def submit(self, work: Work[Result], *, after: Work[None] | None = None) -> Future[Result]:
        """Do `work` in a transaction of its own. What it raises, the future raises, and nothing is changed.

        `after`: done with what was committed, before the future is.
        """
        done: Future[Result] = Future()

        def act(connection: sqlite3.Connection) -> None:
            try:
                with self._explained():
                    result = _transacted(connection, work, done, durable=True, timeout_s=BUSY_TIMEOUT_S)
                    if after is not None:
                        after(connection)
            except _Cancelled:
                return
            except BaseException as error:
                if done.running() or done.set_running_or_notify_cancel():
                    done.set_exception(error)
            else:
                self._works()
                done.set_result(result)

        self._put(act, done)
        return done

    def read(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        done: Future[list[tuple[Any, ...]]] = Future()

        def act(connection: sqlite3.Connection) -> None:
            try:
                with self._explained():
                    done.set_result(connection.execute(sql, parameters).fetchall())
            except BaseException as error:
                done.set_exception(error)

        self._put(act, done)
        return done.result()

    def watch(self, look: Work[None]) -> None:
        """Have `look` called, on the store's thread, whenever another process has changed the file."""
        self._watchers.append(look)

    def streams(self) -> list[StoredStream]:
        """Return all streams that can be read, oldest first; the others are set aside."""
        found = []
        for row in self.read(f"{_SELECT_STREAMS} ORDER BY position"):
            try:
                found.append(_stream(row[:-1]))
            except ValueError as error:
                self.set_aside("streams", row[-1], str(error))
        self._read_counts({one.id for one in found})
        return found

    def add_stream(
        self, stream_id: str, document: dict[str, Any], created_at: float, from_settings: bool = False
    ) -> Future[StoredStream]:
        """Keep a new stream, without counts. StoreError for an id that exists."""
        text = json.dumps(document)

        def add(connection: sqlite3.Connection) -> StoredStream:
            connection.execute(
                "INSERT INTO streams (id, document, created_at, from_settings) VALUES (?, ?, ?, ?)",
                (stream_id, text, created_at, from_settings),
            )
            with self._lock:
                self._counts.pop(stream_id, None)
            return self._stream(connection, stream_id)

        return self.submit(add)

    def change_stream(self, stream_id: str, document: dict[str, Any]) -> Future[StoredStream]:
        """Keep another specification of a stream. StoreError for an id that is not there."""
        text = json.dumps(document)

        def change(connection: sqlite3.Connection) -> StoredStream:
            sql = "UPDATE streams SET document = ?, version = version + 1 WHERE id = ?"
            connection.execute(sql, (text, stream_id))
            return self._stream(connection, stream_id)

        return self.submit(change)

    def remove_stream(self, stream_id: str) -> Future[None]:
        """Forget a stream and its counts; unknown ids are ignored."""

        def remove(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM streams WHERE id = ?", (stream_id,))
            with self._lock:
                self._counts.pop(stream_id, None)

        return self.submit(remove)

    def counts(self, stream_id: str) -> dict[str, Any]:
        """Return the zone counts of a stream, from memory, once `streams` was called; empty where there are none."""
        with self._lock:
            return self._counts.get(stream_id, {})

    def put_counts(self, stream_id: str, counts: dict[str, Any], *, patient: bool = False) -> None:
        """Write the zone counts of a stream soon, if the stream (still) exists; the newest win.

        `patient`: return when they are written, after `PATIENCE_S` at most, and at once while the file is known not to
        take them. They are written as soon as it does.
        """
        with self._lock:
            self._counts[stream_id] = counts
            self._unsaved.add(stream_id)
            hasty = self._closed or time.monotonic() < self._hasty_until_s
            saving = self._saving
            if saving is None and not hasty:
                saving = self._saving = Future()
                self._tasks.put(self._save_counts)
        if saving is None or hasty or not patient:
            return  # the thread comes by every `WATCH_S`
        try:
            saving.result(PATIENCE_S)
        except (TimeoutError, StoreError):
            self._hasty_until_s = time.monotonic() + HASTY_S

    def keep_counts(self, stream_id: str, counts: dict[str, Any]) -> Future[None]:
        """Replace the zone counts of a stream for good. Who calls puts no others until the future is done."""
        text = json.dumps(counts)

        def keep(connection: sqlite3.Connection) -> None:
            connection.execute(_PUT_COUNTS, (text, stream_id))
            with self._lock:
                self._counts[stream_id] = counts
                self._unsaved.discard(stream_id)

        return self.submit(keep)

    def lose_counts(self, stream_id: str, reason: str) -> None:
        """Set aside counts that make no sense."""
        with self._lock:
            self._counts.pop(stream_id, None)
        self.set_aside("zone_counts", stream_id.encode().hex().upper(), reason)

    def set_aside(self, table: Table, key: str, reason: str) -> None:
        """Move a record that cannot be read, and what belongs to it, into the table `damaged`, and name it in the log.

        `key`: the hexadecimal bytes of its id. Where that fails, too, the record stays where it is.
        """
        name = bytes.fromhex(key).decode(errors="backslashreplace")
        message = "%s: record %r of %s cannot be read (%s); it is kept in the table `damaged`, all others are used"
        log.error(message, self.path or "memory", name, table, reason, extra={"event": "record_damaged"})

        def move(connection: sqlite3.Connection) -> None:
            for source in ("zone_counts", "streams") if table == "streams" else (table,):
                columns, id_column = _COLUMNS[source]
                literals = ", ".join(f"quote({column})" for column in columns)
                where = f"WHERE hex(CAST({id_column} AS BLOB)) = ?"
                connection.execute(
                    f"INSERT INTO damaged SELECT '{source}', json_array({literals}), ? FROM {source} {where}",  # noqa: S608
                    (time.time(), key),
                )
                connection.execute(f"DELETE FROM {source} {where}", (key,))  # noqa: S608

        with suppress(StoreError):
            self.submit(move).result()

    def _read_counts(self, stream_ids: set[str]) -> None:
        rows = self.read("SELECT stream_id, counts, hex(CAST(stream_id AS BLOB)) FROM zone_counts")
        for stream_id, text, key in rows:
            try:
                counts = json.loads(text)
                if not isinstance(counts, dict) or stream_id not in stream_ids:
                    raise ValueError("no counts of a stream")
            except (ValueError, TypeError, RecursionError) as error:
                self.set_aside("zone_counts", key, _reason(error))
            else:
                with self._lock:
                    self._counts.setdefault(stream_id, counts)

    def _put(self, act: Callable[[sqlite3.Connection], None], done: "Future[Any]") -> None:
        with self._lock:
            if self._closed:
                done.set_exception(StoreError(f"{self.path or 'the store in memory'} is closed"))
            else:
                self._tasks.put(act)

    def _run(self, opened: "Future[None]") -> None:
        try:
            connection = _connect(self.path)
        except BaseException as error:
            self._release()
            opened.set_exception(error)
            return
        opened.set_result(None)
        looked_s = time.monotonic()
        while True:
            with suppress(Empty):
                task = self._tasks.get(timeout=WATCH_S)
                if task is None:
                    break
                task(connection)
            if time.monotonic() - looked_s >= WATCH_S:
                self._look(connection)
                self._save_counts(connection)
                looked_s = time.monotonic()
        self._save_counts(connection)
        connection.close()
        self._release()

    def _save_counts(self, connection: sqlite3.Connection) -> None:
        """Write the counts that are not written yet, all at once."""
        with self._lock:
            saving, self._saving = self._saving, None
            pending = {one: self._counts[one] for one in self._unsaved if one in self._counts}
            self._unsaved.clear()

        def save(connection: sqlite3.Connection) -> None:
            for stream_id, counts in pending.items():
                if connection.execute(_PUT_COUNTS, (json.dumps(counts), stream_id)).rowcount == 0:
                    with self._lock:
                        self._counts.pop(stream_id, None)

        failure: StoreError | None = None
        if pending:
            try:
                with self._explained():
                    _transacted(connection, save, Future(), durable=False, timeout_s=COUNTS_TIMEOUT_S)
            except StoreError as error:
                failure = error
                with self._lock:
                    self._unsaved |= pending.keys()
            else:
                self._works()
        if saving is not None:
            saving.set_exception(failure) if failure else saving.set_result(None)

    def _look(self, connection: sqlite3.Connection) -> None:
        """Tell the watchers of changes by other processes; where that is not possible now, the next time."""
        try:
            connection.execute("PRAGMA busy_timeout = 0")
            (version,) = connection.execute("PRAGMA data_version").fetchone()
            if version != self._seen:
                for look in self._watchers:
                    look(connection)
            self._seen = version
        except (sqlite3.Error, StoreError):
            return

    def _works(self) -> None:
        if self.failing:
            log.info("%s can be written again", self.path, extra={"event": "store_works"})
        self.failing = False

    def _stream(self, connection: sqlite3.Connection, stream_id: str) -> StoredStream:
        row = connection.execute(f"{_SELECT_STREAMS} WHERE id = ?", (stream_id,)).fetchone()
        if row is None:
            raise StoreError(f"there is no stream {stream_id!r} in {self.path or 'memory'}")
        return _stream(row[:-1])

    def _release(self) -> None:
        if self._claim is not None:
            os.close(self._claim)
            self._claim = None

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """As below, and counted; said once until something works again."""
        try:
            with _explained(self.path):
                yield
        except StoreError as error:
            self.failures += 1
            if not self.failing:
                log.error("%s", error, extra={"event": "store_failed"})
            self.failing = True
            raise


class _Cancelled(Exception):
    """Nobody wants the change any more, and it was not made."""


_SELECT_STREAMS = (
    "SELECT id, document, created_at, position, version, from_settings, hex(CAST(id AS BLOB)) FROM streams"
)
_PUT_COUNTS = "INSERT OR REPLACE INTO zone_counts (counts, stream_id) SELECT ?, id FROM streams WHERE id = ?"
_COLUMNS: dict[str, tuple[tuple[str, ...], str]] = {
    "streams": (("id", "document", "created_at", "position", "version", "from_settings"), "id"),
    "zone_counts": (("stream_id", "counts"), "stream_id"),
    "api_keys": (("id", "name", "scope", "streams", "created_at", "expires_at", "hash"), "id"),
}


def _stream(row: tuple[Any, ...]) -> StoredStream:
    """Raises ValueError where the row is damaged, without its values."""
    stream_id, document, created_at, position, version, from_settings = row
    if not isinstance(stream_id, str) or not re.fullmatch(ID_PATTERN, stream_id):
        raise ValueError("its id is none")
    if not isinstance(created_at, float) or not math.isfinite(created_at):
        raise ValueError("its time of creation is none")
    if not isinstance(version, int) or from_settings not in (0, 1):
        raise ValueError("its version is none")
    try:
        parsed = json.loads(document)
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"its document is no JSON: {_reason(error)}") from None
    if not isinstance(parsed, dict):
        raise ValueError("its document is no JSON object")
    return StoredStream(stream_id, parsed, created_at, position, version, bool(from_settings))


def _reason(error: Exception) -> str:
    """What is wrong, without the values."""
    return error.msg if isinstance(error, json.JSONDecodeError) else "not what was written"


def _transacted(
    connection: sqlite3.Connection, work: Work[Result], done: "Future[Result]", durable: bool, timeout_s: float
) -> Result:
    """Do `work` and commit. Raises _Cancelled, having changed nothing, where nobody waits for `done` any more."""
    connection.execute(f"PRAGMA busy_timeout = {round(timeout_s * 1000)}")
    connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
    try:
        connection.execute("BEGIN IMMEDIATE")
        result = work(connection)
        if not done.set_running_or_notify_cancel():
            raise _Cancelled
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return result


def _prepare(path: Path, exclusive: bool) -> int | None:
    """Make the file, before SQLite would make it readable for all; return the lock that keeps other services off."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = _claim(path) if exclusive else None
        with suppress(FileExistsError):  # an existing one is not opened here: see `_claim`
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        path.chmod(0o600)
    except StoreError:
        raise
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
        connection = sqlite3.connect(path or ":memory:", timeout=BUSY_TIMEOUT_S, isolation_level=None)
        connection.text_factory = lambda text: text.decode(errors="surrogateescape")  # damage shows in its own record
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.executescript("BEGIN IMMEDIATE; ROLLBACK")  # raises where the file cannot be written
            _migrate(connection, path)
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if found != "ok":  # tables may look empty, that of the keys among them
                raise sqlite3.DatabaseError(f"it is damaged ({found})")
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
    except (sqlite3.DatabaseError, sqlite3.InterfaceError, UnicodeError) as error:
        where = path or "the store in memory"
        if isinstance(error, sqlite3.OperationalError):
            remedy = f"make room on the disk, end who holds the file, or {_REMEDY}"
        else:
            remedy = f"restore a backup, or {_REMEDY}"
        what = "text that is none" if isinstance(error, UnicodeError) else str(error).partition("\n")[0]
        raise StoreError(f"{where} cannot be used: {what}; {remedy}") from None
