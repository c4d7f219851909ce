"""API keys: made once, kept hashed, revoked at once; by routes and by command."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from service.auth.command import main
from service.auth.keys import KeyRing, hashed
from service.auth.stored_keys import StoredKeys
from service.errors import Conflict, NotFound
from service.store import FILE_NAME, Store
from tests.service.auth.keyed import BOOTSTRAP_KEY, KeyedService, code_of
from tests.service.waiting import wait_until

PROJECT = Path(__file__).parents[3]


@pytest.fixture
def ring() -> KeyRing:
    return KeyRing(StoredKeys(Store(None)))


def test_empty_ring_knows_nobody(ring: KeyRing) -> None:
    assert not ring
    assert ring.all() == []
    for secret in ("", "atk_", "atk_x", "atk_00000000_" + "a" * 43, "\udc80", "' OR 1=1 --"):
        assert ring.find(secret) is None


def test_key_is_found_by_its_secret_alone(ring: KeyRing) -> None:
    secret, key = ring.add("screen", "read", frozenset({"lobby"})).result()
    ring.add("other", "admin").result()
    assert ring.find(secret) == key.caller
    assert (key.caller.name, key.caller.scope, key.caller.streams) == ("screen", "read", frozenset({"lobby"}))
    for wrong in (secret[:-1], secret + "x", secret.swapcase(), f"atk_{key.id}_{'a' * 43}", key.id, key.hash.hex()):
        assert ring.find(wrong) is None


def test_secrets_are_long_and_never_the_same(ring: KeyRing) -> None:
    secrets = {ring.add(f"key-{number}", "read").result()[0].rsplit("_", 1)[0] for number in range(20)}
    assert len(secrets) == 20
    assert len(ring.add("one-more", "read").result()[0].split("_", 2)[2]) == 43  # 256 bits in base64


def test_revoked_key_is_nobody(ring: KeyRing) -> None:
    secret, _ = ring.add("screen", "read").result()
    ring.revoke("screen").result()
    assert ring.find(secret) is None
    with pytest.raises(NotFound):
        ring.revoke("screen").result()


def test_names_are_unique(ring: KeyRing) -> None:
    ring.add("screen", "read").result()
    for name in ("screen", "bootstrap"):
        with pytest.raises(Conflict):
            ring.add(name, "admin").result()


def test_last_admin_stays_where_asked(ring: KeyRing) -> None:
    ring.add("boss", "admin").result()
    ring.add("screen", "read").result()
    with pytest.raises(Conflict) as refused:
        ring.revoke("boss", keep_an_admin=True).result()
    assert refused.value.code == "last_admin_key"
    ring.add("deputy", "admin").result()
    ring.revoke("boss", keep_an_admin=True).result()


def test_bootstrap_key_is_an_admin_and_is_not_listed() -> None:
    ring = KeyRing(StoredKeys(Store(None)), BOOTSTRAP_KEY)
    assert ring
    caller = ring.find(BOOTSTRAP_KEY)
    assert caller is not None
    assert caller.scope == "admin"
    assert ring.all() == []


def test_file_has_the_hash_and_not_the_key(tmp_path: Path) -> None:
    store = Store(tmp_path / "keys.sqlite3")
    secret, _ = KeyRing(StoredKeys(store)).add("screen", "read").result()
    store.close()
    content = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert hashed(secret) in content
    assert secret.split("_", 2)[2].encode() not in content


def test_admin_makes_lists_and_revokes_keys(keyed: KeyedService) -> None:
    with keyed.http() as admin:
        created = admin.post("/keys", json={"name": "lobby", "scope": "read", "streams": ["door"]})
        assert created.status_code == 201
        assert created.headers["cache-control"] == "no-store"
        secret = created.json()["key"]
        listed = admin.get("/keys")
        assert secret not in listed.text
        assert [(one["name"], one["scope"], one["streams"]) for one in listed.json()["keys"]] == [
            ("lobby", "read", ["door"])
        ]
        assert code_of(admin.post("/keys", json={"name": "lobby", "scope": "read"})) == (409, "key_exists")
        with keyed.http(secret) as lobby:
            assert lobby.get("/streams").status_code == 200
            assert code_of(lobby.get("/keys")) == (403, "scope_too_small")
            assert admin.delete("/keys/lobby").status_code == 204
            assert code_of(lobby.get("/streams")) == (401, "key_refused")
        assert code_of(admin.delete("/keys/lobby")) == (404, "key_not_found")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "a"},
        {"name": "a", "scope": "root"},
        {"name": "../x", "scope": "read"},
        {"name": "a", "scope": "read", "streams": []},
        {"name": "a", "scope": "read", "streams": ["../x"]},
        {"name": "a", "scope": "read", "key": "mine"},
    ],
)
def test_key_that_makes_no_sense_is_refused(keyed: KeyedService, body: dict[str, object]) -> None:
    with keyed.http() as admin:
        assert code_of(admin.post("/keys", json=body)) == (422, "invalid_request")


def test_first_key_closes_an_open_service_and_is_an_admins(start_service) -> None:
    service = start_service()
    with service.http as http:
        assert http.get("/streams").status_code == 200
        refused = http.post("/keys", json={"name": "screen", "scope": "read"})
        assert code_of(refused) == (409, "first_key_must_be_admin")
        secret = http.post("/keys", json={"name": "boss", "scope": "admin"}).json()["key"]
        assert code_of(http.get("/streams")) == (401, "key_missing")
        http.headers["Authorization"] = f"Bearer {secret}"
        assert code_of(http.delete("/keys/boss")) == (409, "last_admin_key")
        assert http.get("/streams").status_code == 200


def test_command_makes_keys_that_a_running_service_knows_within_a_second(start_service, tmp_path: Path, capsys) -> None:
    service = start_service(state_dir=tmp_path)
    here = ["--state-dir", str(tmp_path)]
    with service.http as http:
        assert http.get("/streams").status_code == 200
        assert main(["add", "boss", "--scope", "admin", *here]) == 0
        secret = capsys.readouterr().out.strip()
        wait_until(lambda: http.get("/streams").status_code == 401, 1, "the key to be known")
        assert http.get("/streams", headers={"Authorization": f"Bearer {secret}"}).status_code == 200
        assert main(["revoke", "boss", *here]) == 0
        assert http.get("/streams").status_code == 200  # on loopback and without a key it is open again


def test_command_lists_keys_without_their_secrets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here = ["--state-dir", str(tmp_path)]
    assert main(["list", *here]) == 0
    assert capsys.readouterr().out == ""
    assert main(["add", "screen", "--scope", "read", "--streams", "door,hall", *here]) == 0
    secret = capsys.readouterr().out.strip()
    assert main(["list", *here]) == 0
    listed = capsys.readouterr().out
    assert listed.split() == ["screen", "read", "door,", "hall"]
    assert secret not in listed
    assert main(["add", "screen", "--scope", "read", *here]) == 1
    assert main(["revoke", "nobody", *here]) == 1
    assert main(["add", "x", "--scope", "read", "--demo"]) == 1
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600
    sqlite3.connect(tmp_path / FILE_NAME).close()


@pytest.mark.parametrize(
    "arguments", [[], ["add"], ["add", "x"], ["add", "x", "--scope", "root"], ["add", "a b", "--scope", "read"]]
)
def test_command_that_is_misspelt_ends_with_two(arguments: list[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--state-dir", str(tmp_path)])
    assert ended.value.code == 2


def test_key_is_no_flag() -> None:
    command = [sys.executable, "-m", "service", "--api-key", BOOTSTRAP_KEY]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=PROJECT, timeout=60)
    assert done.returncode == 2
    assert "api-key-file" in done.stderr
    assert BOOTSTRAP_KEY not in done.stderr
