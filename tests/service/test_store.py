"""The store on a real SQLite file: what is kept, who may open it, and what is said when it cannot be used."""

import json
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from service import store as store_module
from service.store import FILE_NAME, Store, StoreError

DOCUMENT: dict[str, Any] = {"url": "rtsp://camera/live", "credentials": {"username": "viewer", "password": "geheim"}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / FILE_NAME


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    store = Store(path)
    yield store
    store.close()


def test_new_store_is_empty_and_for_its_owner_alone(store: Store, path: Path) -> None:
    assert store.streams() == []
    assert store.counts("door") == {}
    store.add_stream("door", DOCUMENT, 1.0).result()
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_store_in_memory_keeps_nothing() -> None:
    store = Store(None)
    store.add_stream("door", DOCUMENT, 1.0).result()
    assert [one.id for one in store.streams()] == ["door"]
    store.close()
    again = Store(None)
    assert again.streams() == []
    again.close()


def test_streams_come_back_in_the_order_of_their_creation(store: Store, path: Path) -> None:
    for number, stream_id in enumerate(("b", "a", "c")):
        store.add_stream(stream_id, {**DOCUMENT, "k": number}, float(number), from_settings=stream_id == "a").result()
    store.remove_stream("c").result()
    store.remove_stream("c").result()  # nobody there
    last = store.add_stream("d", {}, 9.0).result()
    store.close()
    again = Store(path)
    assert [(one.id, one.from_settings, one.created_at) for one in again.streams()] == [
        ("b", False, 0.0),
        ("a", True, 1.0),
        ("d", False, 9.0),
    ]
    assert again.streams()[0].document == {**DOCUMENT, "k": 0}
    assert again.streams()[-1] == last
    assert last.position == 4  # the position of a removed stream is never used again
    again.close()


def test_change_counts_versions(store: Store) -> None:
    assert store.add_stream("door", DOCUMENT, 1.0).result().version == 1
    changed = store.change_stream("door", {"url": "other"}).result()
    assert (changed.version, changed.document, changed.position) == (2, {"url": "other"}, 1)
    assert store.streams() == [changed]
    with pytest.raises(StoreError, match="nobody"):
        store.change_stream("nobody", {}).result()


def test_stream_that_exists_is_not_added_twice(store: Store) -> None:
    store.add_stream("door", DOCUMENT, 1.0).result()
    with pytest.raises(StoreError) as caught:
        store.add_stream("door", {}, 2.0).result()
    assert "geheim" not in str(caught.value)
    assert store.streams()[0].document == DOCUMENT


def test_counts_live_and_die_with_their_stream(store: Store) -> None:
    store.put_counts("door", {"in": 1}, patient=True)  # no such stream (any more)
    assert store.counts("door") == {}
    store.add_stream("door", DOCUMENT, 1.0).result()
    store.put_counts("door", {"in": 1}, patient=True)
    store.put_counts("door", {"in": 2, "out": [3]}, patient=True)
    assert store.counts("door") == {"in": 2, "out": [3]}
    store.change_stream("door", {}).result()
    assert store.counts("door") == {"in": 2, "out": [3]}
    store.remove_stream("door").result()
    store.add_stream("door", DOCUMENT, 2.0).result()
    assert store.counts("door") == {}


def test_secrets_are_not_in_repr(store: Store) -> None:
    assert "geheim" not in repr(store.add_stream("door", DOCUMENT, 1.0).result())


def test_many_threads_write_at_once(store: Store) -> None:
    store.add_stream("door", DOCUMENT, 1.0).result()

    def write(name: str) -> None:
        for number in range(50):
            store.add_stream(f"{name}-{number}", DOCUMENT, 1.0).result()
            store.put_counts("door", {name: number}, patient=True)

    threads = [Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.streams()) == 1 + 4 * 50


def test_second_service_is_refused_and_a_command_is_not(store: Store, path: Path) -> None:
    with pytest.raises(StoreError, match=r"in use by another running service.*--state-dir"):
        Store(path)
    command = Store(path, exclusive=False)
    command.add_stream("door", DOCUMENT, 1.0).result()
    command.close()
    assert [one.id for one in store.streams()] == ["door"]
    store.close()
    Store(path).close()


WRITER = """
import sys
from pathlib import Path
from service.store import Store

store = Store(Path(sys.argv[1]))
for number in range(100_000):
    store.add_stream(f"stream-{number}", {"k": number}, 1.0).result()
    print(number, flush=True)
"""


def test_what_was_acknowledged_survives_kill_9(path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) == 20:
                process.send_signal(signal.SIGKILL)
                break
        acknowledged = [20, *(int(line) for line in process.stdout if line.endswith("\n"))]
    store = Store(path)  # the lock died with the process
    kept = [one.document["k"] for one in store.streams()]
    assert kept[: acknowledged[-1] + 1] == list(range(acknowledged[-1] + 1))
    assert len(kept) <= acknowledged[-1] + 2  # at most the one whose answer did not come through
    store.close()


def test_file_of_a_newer_version_is_left_alone(path: Path) -> None:
    Store(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 1000")
    connection.close()
    with pytest.raises(StoreError, match="written by a newer version"):
        Store(path)


def test_file_of_an_older_version_is_brought_up_to_date(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = Store(path)
    before.add_stream("door", DOCUMENT, 1.0).result()
    before.close()
    migrations = (*store_module.MIGRATIONS, "ALTER TABLE streams ADD COLUMN colour TEXT DEFAULT 'red'")
    monkeypatch.setattr(store_module, "MIGRATIONS", migrations)
    after = Store(path)
    assert after.read("SELECT id, colour FROM streams") == [("door", "red")]
    after.close()
    broken = (*migrations, "CREATE TABLE half (x); ALTER TABLE nothing ADD COLUMN y")
    monkeypatch.setattr(store_module, "MIGRATIONS", broken)
    with pytest.raises(StoreError, match="nothing"):
        Store(path)
    monkeypatch.setattr(store_module, "MIGRATIONS", migrations)
    whole = Store(path)  # neither half of the migration that failed is there
    assert whole.read("SELECT name FROM sqlite_master WHERE name = 'half'") == []
    whole.close()


def test_file_that_is_no_database_is_refused(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"this is no database, but a file of somebody else" * 100)
    with pytest.raises(StoreError, match="not a database"):
        Store(path)
    assert path.read_bytes().startswith(b"this is")


def test_folder_that_cannot_be_written_is_refused() -> None:
    with pytest.raises(StoreError, match="--state-dir"):
        Store(Path("/proc/atttrack") / FILE_NAME)  # where not even root may make one


def test_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(StoreError, match="--state-dir"):
        Store(tmp_path / "state" / FILE_NAME)


def test_write_that_fails_changes_nothing_and_says_what_to_do(store: Store) -> None:
    store.add_stream("door", DOCUMENT, 1.0).result()
    pages = store.read("PRAGMA page_count")[0][0]
    store.read(f"PRAGMA max_page_count = {pages}")  # the disk is full from here on
    with pytest.raises(StoreError, match="full"):
        store.add_stream("big", {"name": "x" * 100_000}, 1.0).result()
    assert [one.id for one in store.streams()] == ["door"]
    assert json.dumps(store.streams()[0].document) == json.dumps(DOCUMENT)


def test_closed_store_says_so(store: Store) -> None:
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.streams()
