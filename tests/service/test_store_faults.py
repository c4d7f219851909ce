"""The store under faults: a file that others hold, a disk that is full, records and files that are damaged."""

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median
from threading import Thread
from typing import Any

import pytest
from websockets.sync.client import connect

from service.auth.keys import KeyRing
from service.auth.stored_keys import StoredKeys
from service.store import FILE_NAME, PATIENCE_S, Store, StoreError
from testbed.service_process import PROJECT, environment
from tests.service.auth.keyed import BOOTSTRAP_KEY, bearer
from tests.service.conftest import RunningService
from tests.service.waiting import wait_until

DOCUMENT: dict[str, Any] = {
    "url": "synthetic://?people=1&width=320&height=192&fps=10", "name": "door", "k": 6, "mode": "atttrack",
    "threshold": 0.5, "credentials": None, "zones": [], "identity": "keep",
}  # fmt: skip
SCENE = DOCUMENT["url"]
HELD_S = 5.0
LOCKS = {
    "a transaction that writes": "db.execute('BEGIN IMMEDIATE')",
    "an exclusive transaction": "db.execute('BEGIN EXCLUSIVE')",
    "the reader's and the writer's locks": "import fcntl; f = open(path + '-shm', 'rb+'); "
    "fcntl.lockf(f, fcntl.LOCK_EX, 8, 120)",
}
HOLDER = """
import sqlite3, sys, time
path = sys.argv[1]
db = sqlite3.connect(path, isolation_level=None)
db.execute('SELECT * FROM streams').fetchall()
{lock}
print('held', flush=True)
time.sleep({seconds})
"""


@contextmanager
def held(path: Path, lock: str, seconds: float = HELD_S) -> Iterator[None]:
    """Another process holds a lock of the file."""
    command = [sys.executable, "-c", HOLDER.format(lock=lock, seconds=seconds), str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield
        process.kill()


@pytest.mark.parametrize("lock", LOCKS.values(), ids=LOCKS)
def test_who_counts_is_not_held_up_by_a_lock_and_nothing_is_lost(tmp_path: Path, lock: str) -> None:
    store = Store(tmp_path / FILE_NAME)
    store.add_stream("door", DOCUMENT, 1.0).result()
    with held(tmp_path / FILE_NAME, lock, 2):
        longest = 0.0
        for number in range(100):
            began = time.monotonic()
            store.put_counts("door", {"in": number}, patient=True)
            store.counts("door")
            longest = max(longest, time.monotonic() - began)
            time.sleep(0.01)
        assert longest < PATIENCE_S + 0.2, "one wait, and the scheduler's share"
    wait_until(lambda: not store.failing, 10, "the counts to be written")
    store.close()
    again = Store(tmp_path / FILE_NAME)
    again.streams()
    assert again.counts("door") == {"in": 99}
    again.close()


@pytest.mark.parametrize("lock", LOCKS.values(), ids=LOCKS)
def test_service_tracks_and_answers_while_another_program_holds_its_file(
    start_service: Callable[..., RunningService], tmp_path: Path, lock: str
) -> None:
    service = start_service(state_dir=tmp_path, api_key=BOOTSTRAP_KEY)
    zone = {"id": "all", "type": "polygon", "points": [[0.3, 0], [0.7, 0], [0.7, 1], [0.3, 1]]}
    with service.http as http:
        http.headers.update(bearer(BOOTSTRAP_KEY))
        http.post("/streams", json={"id": "scene", "url": SCENE, "zones": [zone]})
        wait_until(lambda: http.get("/streams/scene").json()["stats"]["frames"], 20, "frames")
        with held(tmp_path / FILE_NAME, lock):
            before, took, began = http.get("/streams/scene").json()["stats"]["frames"], [], time.monotonic()
            while time.monotonic() - began < HELD_S - 1.5:
                asked = time.monotonic()
                for path in ("/streams", "/streams/scene/counts", "/keys", "/healthz"):
                    assert http.get(path).status_code == 200
                took.append(time.monotonic() - asked)
                time.sleep(0.05)
            tracked = http.get("/streams/scene").json()["stats"]["frames"] - before
        assert tracked > 10 * (HELD_S - 1.5) / 2, "of ten frames a second, on a machine that may be busy"
        assert max(took) < HELD_S / 2, "nobody waits for the file"
        assert median(took) < 0.5
        assert http.patch("/streams/scene", json={"k": 3}).status_code == 200


def test_change_is_answered_when_it_is_kept_and_not_before(
    start_service: Callable[..., RunningService], tmp_path: Path
) -> None:
    service = start_service(state_dir=tmp_path)
    with service.http as http, service.http as other:
        http.post("/streams", json={"id": "scene", "url": SCENE})
        answers: list[Any] = []
        with held(tmp_path / FILE_NAME, LOCKS["a transaction that writes"], 2):
            patch = Thread(target=lambda: answers.append(http.patch("/streams/scene", json={"k": 9})))
            patch.start()
            time.sleep(1)
            assert answers == []
            assert other.get("/streams/scene").json()["k"] == 6
        patch.join(20)
        assert answers[0].status_code == 200
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as db:
        assert json.loads(db.execute("SELECT document FROM streams").fetchone()[0])["k"] == 9


@pytest.fixture(scope="session")
def small_disk() -> Iterator[Path]:
    """A file system of 2 MB."""
    folder = Path("/tmp") / f"small-disk-{os.getpid()}"  # noqa: S108
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], check=False)
    if mounted.returncode != 0:
        folder.rmdir()
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)
    folder.rmdir()


def test_full_disk_is_said_by_every_change_and_nothing_that_was_answered_is_lost(
    start_service: Callable[..., RunningService], small_disk: Path
) -> None:
    state = small_disk / "state"
    service = start_service(state_dir=state, max_streams=64)
    zone = {"id": "all", "type": "polygon", "points": [[0, 0], [1, 0], [1, 1], [0, 1]]}
    filler = small_disk / "filler"
    with service.http as http:
        assert http.post("/streams", json={"id": "s0", "url": SCENE, "zones": [zone]}).status_code == 201
        wait_until(lambda: http.get("/streams/s0/counts").json()["zones"][0]["enters"], 20, "somebody")
        with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="space"):
            while True:
                file.write(bytes(4096))
        known, refused = {"s0": 6}, set()
        requests = {
            "post": lambda i: http.post("/streams", json={"id": f"s{i}", "url": SCENE, "k": 7}),
            "patch": lambda i: http.patch("/streams/s0", json={"k": i % 50 + 1, "name": "x" * 99}),
            "reset": lambda _: http.post("/streams/s0/counts/reset"),
            "key": lambda i: http.post("/keys", json={"name": f"k{i}", "scope": "admin"}),
        }
        for i in range(1, 40):
            for what, ask in requests.items():
                answer = ask(i)
                if answer.is_success:
                    known |= {f"s{i}": 7} if what == "post" else {"s0": i % 50 + 1} if what == "patch" else {}
                    if what == "key":
                        http.headers["Authorization"] = f"Bearer {answer.json()['key']}"
                    continue
                assert (answer.status_code, answer.json()["code"]) == (503, "store_failed"), answer.text
                refused.add(what)
            if refused == set(requests):
                break
        assert refused == set(requests)
        assert "atttrack_store_failing 1.0" in http.get("/metrics").text
        assert {one["id"]: one["k"] for one in http.get("/streams").json()["streams"]} == known
        before = http.get("/streams/s0/counts").json()["zones"][0]
        filler.unlink()
        known["s0"] += 1  # what changes nothing is not written, and says nothing of the store
        assert http.patch("/streams/s0", json={"k": known["s0"]}).status_code == 200
        assert "atttrack_store_failing 0.0" in http.get("/metrics").text
    service.stop()
    again = start_service(state_dir=state, max_streams=64)
    assert {one.id: one.spec.lane.k for one in again.runtime.registry.all()} == known
    after = again.runtime.registry.get("s0").counter.counts().zones[0]
    assert after.since == before["since"]
    assert after.enters >= before["enters"]
    again.stop()
    shutil.rmtree(state)


BAD_VALUES: list[Any] = [
    None, 0, -1, 2**62, 1.5, "", "null", "[]", "{", '{"url": 7}', '{"a": ' * 2000, "x" * 1000, b"\xff\xfe", b"",
    "\udcff", "nan", float("inf"),
]  # fmt: skip
FIELDS = {
    "streams": ("id", "document", "created_at", "version", "from_settings"),
    "zone_counts": ("stream_id", "counts"),
    "api_keys": ("id", "name", "scope", "streams", "created_at", "expires_at", "hash"),
}


WHERE = {"streams": "position = 1", "zone_counts": "stream_id = 'a'", "api_keys": "name = 'screen'"}


def furnished(folder: Path) -> Path:
    """A state file with three streams, their counts and two keys."""
    store = Store(folder / FILE_NAME)
    for name in ("a", "b", "c"):
        store.add_stream(name, DOCUMENT, 1.0).result()
        counts = {"polygons": {"all": {"since": 1.0, "enters": 3, "leaves": 1}}, "lines": {}}
        store.keep_counts(name, counts).result()
    keys = KeyRing(StoredKeys(store))
    keys.add("boss", "admin").result()
    keys.add("screen", "read", frozenset({"a"})).result()
    store.close()
    return folder / FILE_NAME


@pytest.mark.parametrize("table", FIELDS)
def test_damaged_record_is_set_aside_named_and_kept_and_the_others_start(
    table: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = furnished(tmp_path)
    tried = 0
    for column in FIELDS[table]:
        for number, value in enumerate(BAD_VALUES):
            path = tmp_path / f"{column}-{number}" / FILE_NAME
            path.parent.mkdir()
            shutil.copy(whole, path)
            with closing(sqlite3.connect(path)) as db:
                where = WHERE[table]
                bound = value.encode(errors="surrogateescape") if isinstance(value, str) else value
                text = "CAST(? AS TEXT)" if isinstance(value, str) else "?"
                try:
                    db.execute("PRAGMA foreign_keys = OFF")
                    db.execute(f"UPDATE {table} SET {column} = {text} WHERE {where}", (bound,))  # noqa: S608
                    db.commit()
                except sqlite3.IntegrityError:
                    continue  # the file does not take it
            tried += 1
            caplog.clear()
            store = Store(path)
            assert {"b", "c"} <= {one.id for one in store.streams()}, (column, value)
            ring = KeyRing(StoredKeys(store))
            assert "boss" in {one.name for one in ring.all()}
            assert ring, "a key that cannot be read opens no service"
            damaged = store.read("SELECT source, record FROM damaged")
            assert len([one for one in caplog.records if "cannot be read" in one.message]) == len(damaged) or (
                len(damaged) == 2 and table == "streams"
            ), "each is named; counts go with their stream"
            if damaged and table == "streams":
                assert len(damaged) == 1 or {one for one, _ in damaged} == {"streams", "zone_counts"}
                store.add_stream("a", DOCUMENT, 2.0).result() if column != "id" else None
            store.close()
            again = Store(path)
            caplog.clear()
            again.streams(), KeyRing(StoredKeys(again))
            assert not [one for one in caplog.records if "cannot be read" in one.message], "said once"
            again.close()
    assert tried > 20


def test_service_starts_with_what_can_be_read(start_service: Callable[..., RunningService], tmp_path: Path) -> None:
    path = furnished(tmp_path)
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE streams SET document = json_set(document, '$.k', 'six') WHERE id = 'a'")
        db.execute('UPDATE zone_counts SET counts = \'{"polygons": {"all": {"enters": -1}}}\' WHERE stream_id = \'b\'')
        db.commit()
    service = start_service(state_dir=tmp_path, api_key=BOOTSTRAP_KEY)
    with service.http as http:
        http.headers.update(bearer(BOOTSTRAP_KEY))
        assert [one["id"] for one in http.get("/streams").json()["streams"]] == ["b", "c"]
        assert http.post("/streams", json={"id": "a", "url": SCENE}).status_code == 201
    kept = service.runtime.store.read("SELECT source, record FROM damaged ORDER BY source")
    assert [one for one, _ in kept] == ["streams", "zone_counts", "zone_counts"]
    assert "six" in kept[0][1]


def test_file_damaged_in_500_ways_starts_or_says_in_one_line_why_not_and_loses_nothing(tmp_path: Path) -> None:
    whole = furnished(tmp_path / "whole")
    holder = sqlite3.connect(whole)  # keeps the log of changes in place
    holder.execute("SELECT * FROM streams").fetchall()
    writer = Store(whole)
    writer.change_stream("b", {**DOCUMENT, "k": 9}).result()
    files = {one.name: one.read_bytes() for one in whole.parent.iterdir() if one.is_file()}
    assert set(files) == {FILE_NAME, f"{FILE_NAME}-wal", f"{FILE_NAME}-shm", f"{FILE_NAME}.lock"}
    writer.close()
    holder.close()
    chance = random.Random(17)  # noqa: S311
    started = refused = 0
    for number in range(500):
        folder = tmp_path / str(number)
        folder.mkdir()
        name = chance.choice([FILE_NAME, FILE_NAME, f"{FILE_NAME}-wal", f"{FILE_NAME}-wal", f"{FILE_NAME}-shm"])
        for one, content in files.items():
            (folder / one).write_bytes(hurt(content, chance) if one == name else content)
        hurt_file = (folder / FILE_NAME).read_bytes()
        try:
            store = Store(folder / FILE_NAME)
            try:
                store.streams(), KeyRing(StoredKeys(store))
            finally:
                store.close()
            started += 1
        except StoreError as error:
            assert "\n" not in str(error)
            refused += 1
            if name == FILE_NAME:
                assert len((folder / FILE_NAME).read_bytes()) >= min(len(hurt_file), 1) or not hurt_file
        shutil.rmtree(folder)
    assert started + refused == 500
    assert started > 100


def hurt(content: bytes, chance: random.Random) -> bytes:
    """Damage of one kind."""
    damaged = bytearray(content)
    kind = chance.randrange(6)
    if kind == 0:
        del damaged[chance.randrange(len(damaged) or 1) :]
    elif kind == 1:
        damaged += chance.randbytes(chance.randrange(1, 5000))
    elif kind == 2:
        begin = chance.randrange(max(1, len(damaged)))
        damaged[begin : begin + chance.randrange(1, 4096)] = bytes(chance.randrange(1, 4096))
    elif kind == 3:
        return b""
    else:
        for _ in range(chance.choice([1, 3, 50])):
            if damaged:
                damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def test_program_started_on_a_damaged_file_shows_no_traceback(tmp_path: Path) -> None:
    path = furnished(tmp_path)
    content = bytearray(path.read_bytes())
    content[100:4096] = bytes(3996)
    path.write_bytes(content)
    command = [sys.executable, "-m", "service", "--port", "0", "--state-dir", str(tmp_path)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=PROJECT, env=environment(), timeout=60
    )
    assert done.returncode == 4
    assert "Traceback" not in done.stderr
    assert path.read_bytes()[4096:] == bytes(content)[4096:]


def test_socket_gets_messages_while_the_file_is_held(
    start_service: Callable[..., RunningService], tmp_path: Path
) -> None:
    service = start_service(state_dir=tmp_path)
    with service.http as http:
        zone = {"id": "all", "type": "polygon", "points": [[0, 0], [1, 0], [1, 1], [0, 1]]}
        http.post("/streams", json={"id": "scene", "url": SCENE, "zones": [zone]})
        with (
            connect(service.ws_url("scene")) as socket,
            held(tmp_path / FILE_NAME, LOCKS["an exclusive transaction"], 3),
        ):
            for _ in range(15):
                socket.recv(1.5)
