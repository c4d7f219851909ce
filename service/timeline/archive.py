"""Archive: the SQLite file of counts, events and stills. It may be lost: the service goes on without what was in it."""

import logging
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass
from itertools import count
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

log = logging.getLogger(__name__)

FILE_NAME = "timeline.sqlite3"
BUSY_TIMEOUT_S = 5.0
STEP_S = 10
"""Counts are kept per so many seconds."""
SCHEMA = 1
_TABLES = """
CREATE TABLE counts (
    stream_id TEXT NOT NULL,
    at INTEGER NOT NULL,
    frames INTEGER NOT NULL,
    people INTEGER NOT NULL,
    most INTEGER NOT NULL,
    teacher INTEGER NOT NULL,
    student INTEGER NOT NULL,
    predicted INTEGER NOT NULL,
    PRIMARY KEY (stream_id, at)
) WITHOUT ROWID;
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    stream_id TEXT NOT NULL,
    at REAL NOT NULL,
    type TEXT NOT NULL,
    zone TEXT,
    zone_name TEXT,
    person INTEGER,
    direction TEXT,
    dwell REAL,
    still INTEGER
);
CREATE INDEX events_by_stream ON events (stream_id, at);
CREATE TABLE stills (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    stream_id TEXT NOT NULL,
    until REAL NOT NULL,
    jpeg BLOB NOT NULL
);
CREATE INDEX stills_by_stream ON stills (stream_id);
"""
_numbers = count(1)

EventType = Literal["enter", "leave", "cross", "discontinuity"]


@dataclass(frozen=True, slots=True)
class PeopleCounts:
    """What was seen from `at` on, for `STEP_S` seconds or a multiple of it."""

    at: int
    """Unix time."""
    frames: int
    people: int
    """Sum over the frames."""
    most: int
    """In one frame."""
    teacher: int
    """Frames by who looked, like the next two."""
    student: int
    predicted: int


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """Something that happened in a zone, or to the stream."""

    at: float
    """Unix time."""
    type: EventType
    zone: str | None = None
    zone_name: str | None = None
    """As it was called at that time."""
    person: int | None = None
    direction: str | None = None
    dwell: float | None = None
    still: int | None = None
    """Number of its still, while that is kept."""
    class_name: str | None = None
    """The person's class; None where the pair sees people alone."""


class Archive:
    """One open file, or memory. `add`, `forget` and `keep_limits` are for one thread, reading is for any.

    All methods raise sqlite3.Error or OSError where the file cannot be used.
    """

    def __init__(self, path: Path | None) -> None:
        """Open or create the file, mode 0600; one that cannot be read is set aside. None: memory."""
        self._address = f"file:timeline-{os.getpid()}-{next(_numbers)}?mode=memory&cache=shared"
        if path is not None:
            self._address = f"file:{quote(str(path.resolve()))}"
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        try:
            self._writer = self._open()
        except sqlite3.DatabaseError as error:
            if path is None or isinstance(error, sqlite3.OperationalError):  # no room or no right; not a damaged file
                raise
            aside = path.with_name(f"{path.name}.unreadable-{time.time_ns()}")
            path.rename(aside)
            log.error("%s cannot be read (%s); it is kept as %s, and a new one begins", path, error, aside.name)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._writer = self._open()

    def close(self) -> None:
        """Close the file."""
        self._writer.close()

    def add(self, stream_id: str, counts: Iterable[PeopleCounts], events: Iterable[StoredEvent]) -> None:
        """Keep counts and events; counts of the same time add up."""
        self._writer.executemany(
            f"INSERT INTO counts VALUES ({_marks(8)}) ON CONFLICT DO UPDATE SET frames = frames + excluded.frames, "  # noqa: S608
            "people = people + excluded.people, most = max(most, excluded.most), teacher = teacher + excluded.teacher, "
            "student = student + excluded.student, predicted = predicted + excluded.predicted",
            [(stream_id, *astuple(one)) for one in counts],
        )
        self._writer.executemany(
            f"INSERT INTO events (stream_id, {_EVENT}) VALUES ({_marks(10)})",  # noqa: S608
            [(stream_id, *astuple(one)) for one in events],
        )

    def add_still(self, stream_id: str, until: float, jpeg: bytes) -> int:
        """Keep a picture until a Unix time; returns its number."""
        sql = "INSERT INTO stills (stream_id, until, jpeg) VALUES (?, ?, ?)"
        number = self._writer.execute(sql, (stream_id, until, jpeg)).lastrowid
        assert number is not None  # noqa: S101  (of an INSERT)
        return number

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is written inside is kept, or nothing of it."""
        self._writer.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._writer.execute("ROLLBACK")
            raise
        self._writer.execute("COMMIT")

    def forget(self, stream_id: str) -> None:
        """Delete all of one stream; the bytes are overwritten."""
        for table in ("counts", "events", "stills"):
            self._writer.execute(f"DELETE FROM {table} WHERE stream_id = ?", (stream_id,))  # noqa: S608

    def forget_all_but(self, stream_ids: Iterable[str]) -> None:
        """Delete what is left of streams that are gone."""
        known = set(stream_ids)
        held = self._writer.execute("SELECT DISTINCT stream_id FROM counts UNION SELECT DISTINCT stream_id FROM events")
        for (stream_id,) in held.fetchall():
            if stream_id not in known:
                self.forget(stream_id)

    def keep_limits(self, now: float, days: float, stills_bytes: float) -> None:
        """Delete what is older than `days`, stills whose time is over, and the oldest ones beyond `stills_bytes`."""
        oldest = now - days * 86400
        self._writer.execute("DELETE FROM counts WHERE at < ?", (oldest,))
        self._writer.execute("DELETE FROM events WHERE at < ?", (oldest,))
        self._writer.execute("DELETE FROM stills WHERE until < ?", (now,))
        held = 0
        for number, size in self._writer.execute("SELECT id, length(jpeg) FROM stills ORDER BY id DESC").fetchall():
            held += size
            if held > stills_bytes:
                self._writer.execute("DELETE FROM stills WHERE id <= ?", (number,))
                break
        self._writer.execute("PRAGMA incremental_vacuum").fetchall()

    def counts(self, stream_id: str, from_s: float, to_s: float, step_s: int, most: int) -> list[PeopleCounts]:
        """Counts in [from_s, to_s), each over `step_s` seconds, the oldest `most`; none for a time without frames."""
        sql = (
            "SELECT at / :step * :step AS begin, sum(frames), sum(people), max(most), "
            "sum(teacher), sum(student), sum(predicted) FROM counts "
            "WHERE stream_id = :id AND at >= :from AND at < :to GROUP BY begin ORDER BY begin LIMIT :most"
        )
        span = {"from": from_s, "to": to_s, "step": step_s, "most": most}
        return [PeopleCounts(*row) for row in self._read(sql, {"id": stream_id, **span})]

    def events(self, stream_id: str, from_s: float, to_s: float, most: int, offset: int = 0) -> list[StoredEvent]:
        """The newest `most` events in [from_s, to_s) but for the first `offset`, newest first."""
        sql = (
            "SELECT at, type, zone, zone_name, person, direction, dwell, stills.id, class FROM events "
            "LEFT JOIN stills ON stills.id = still WHERE events.stream_id = ? AND at >= ? AND at < ? "
            "ORDER BY at DESC, events.id DESC LIMIT ? OFFSET ?"
        )
        return [StoredEvent(*row) for row in self._read(sql, (stream_id, from_s, to_s, most, offset))]

    def still(self, stream_id: str, number: int) -> bytes | None:
        """The JPEG of a still of this stream; None where there is none (any more)."""
        rows = self._read("SELECT jpeg FROM stills WHERE id = ? AND stream_id = ?", (number, stream_id))
        return bytes(rows[0][0]) if rows else None

    def _read(self, sql: str, parameters: tuple[object, ...] | dict[str, object]) -> list[tuple[Any, ...]]:
        """Read by a connection of its own, so that nobody waits for the writer."""
        with closing(self._connect()) as connection:
            connection.execute("PRAGMA read_uncommitted = ON")  # in memory, readers and writer share their pages
            return connection.execute(sql, parameters).fetchall()

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(
            self._address, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False, uri=True
        )

    def _open(self) -> sqlite3.Connection:
        connection = self._connect()
        try:
            (found,) = connection.execute("PRAGMA user_version").fetchone()
            if found not in (0, SCHEMA):
                raise sqlite3.DatabaseError(f"its schema is {found}, this program knows {SCHEMA}")
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA secure_delete = ON")  # what is deleted shall be gone
            if found == 0:
                connection.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {SCHEMA}; COMMIT;")
            connection.execute("SELECT 1 FROM counts, events, stills LIMIT 1").fetchall()
            if not any(column[1] == "class" for column in connection.execute("PRAGMA table_info(events)")):
                connection.execute("ALTER TABLE events ADD COLUMN class TEXT")  # programs without it do not mind
        except BaseException:
            connection.close()
            raise
        return connection


_EVENT = "at, type, zone, zone_name, person, direction, dwell, still, class"


def _marks(number: int) -> str:
    return ", ".join("?" * number)
