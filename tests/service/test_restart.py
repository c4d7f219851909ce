"""What is left of a service after it ended, by any way: everything that it acknowledged."""

import os
import random
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Timer
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from service.settings import Settings
from testbed.rtsp_server import RtspServer
from testbed.service_process import COMMAND, PROJECT, ServiceProcess, environment
from tests.service.conftest import KEY, RunningService
from tests.service.waiting import wait_for_phase, wait_until

SCENE = "synthetic://?people=2&width=320&height=192&fps=10"
LINE = {"id": "door", "type": "line", "points": [[0.1, 0.5], [0.9, 0.5]]}
SPEC = ("id", "name", "url", "has_credentials", "k", "mode", "threshold", "zones", "identity", "created_at")


@pytest.fixture
def start(tmp_path: Path, models: Path) -> Iterator[Callable[..., ServiceProcess]]:
    """Start a process on the one state folder of this test."""
    running: list[ServiceProcess] = []
    flags = ("--models", str(models), "--pair", "tiny", "--size", "320x192")
    flags = (*flags, "--state-dir", str(tmp_path / "state"), "--allow-loopback")

    def start(*more: str) -> ServiceProcess:
        running.append(ServiceProcess(tmp_path / f"log-{len(running)}.txt", *flags, *more))
        return running[-1]

    yield start
    for service in running:
        service.kill()


def specs(http: httpx.Client) -> list[dict[str, Any]]:
    """Every stream without its state and numbers."""
    return [{name: stream[name] for name in SPEC} for stream in http.get("/streams").json()["streams"]]


def test_killed_service_resumes_every_stream(
    start: Callable[..., ServiceProcess], camera: RtspServer, locked_camera: RtspServer
) -> None:
    flags = ("--cameras", SCENE, "--max-streams", "8")
    service = start(*flags)
    bodies = [
        {"id": "gone", "url": SCENE},
        {"id": "open", "url": camera.url(), "zones": [LINE], "name": "Door"},
        {"id": "locked", "url": locked_camera.url(), "credentials": KEY, "identity": "reset"},
        {"id": "dead", "url": "rtsp://127.0.0.1:1025/live"},
    ]
    with service.http as http:
        for body in bodies:
            assert http.post("/streams", json=body).status_code == 201
        assert http.patch("/streams/camera-1", json={"name": "From the command line", "k": 2}).status_code == 200
        assert http.patch("/streams/open", json={"k": 3, "mode": "naive", "threshold": 0.5}).status_code == 200
        assert http.delete("/streams/gone").status_code == 204
        wait_for_phase(http, "locked", "running")
        before, etag = specs(http), http.get("/streams/open").headers["etag"]
    service.kill()
    clients = camera.connections
    with start(*flags).http as http:
        assert specs(http) == before
        assert [one["id"] for one in before] == ["camera-1", "open", "locked", "dead"]
        assert (before[0]["k"], before[1]["k"], before[1]["mode"]) == (2, 3, "naive")
        assert http.get("/streams/open").headers["etag"] == etag
        for stream_id in ("camera-1", "open", "locked"):
            wait_for_phase(http, stream_id, "running")
            wait_until(lambda i=stream_id: http.get(f"/streams/{i}").json()["stats"]["frames"], 20, "frames")
        assert wait_for_phase(http, "dead", "reconnecting")["cause"] == "connection_failed"
    assert camera.connections > clients


def test_service_killed_at_any_moment_has_all_that_it_acknowledged(start: Callable[..., ServiceProcess]) -> None:
    chance = random.Random(5)  # noqa: S311
    known: dict[str, int] = {}
    asked: dict[str, int] = {}
    for _ in range(3):
        service = start()
        with service.http as http:
            found = {one["id"]: one["k"] for one in specs(http)}
            assert found in (known, asked)  # the change that got no answer may have been made or not
            known, acknowledged = found, 0
            killer = Timer(chance.uniform(0.0, 0.6), service.kill)
            while True:
                asked, request = something_to_change(http, known, chance)
                try:
                    answer = http.send(request)
                except httpx.TransportError:
                    break
                assert answer.is_success, answer.text
                known, acknowledged = asked, acknowledged + 1
                if acknowledged == 1:  # however long a busy machine took for it
                    killer.start()
            assert acknowledged > 0, "the service died by itself"
            killer.join()
    with start().http as http:
        assert {one["id"]: one["k"] for one in specs(http)} in (known, asked)


def something_to_change(
    http: httpx.Client, known: dict[str, int], chance: random.Random
) -> tuple[dict[str, int], httpx.Request]:
    """A request that adds, changes or removes a stream, and all ids with their k after it."""
    stream_id, k = f"s{chance.randrange(8)}", chance.randint(1, 50)
    if stream_id not in known:
        body = {"id": stream_id, "k": k, "url": "rtsp://127.0.0.1:1025/dead"}
        return {**known, stream_id: k}, http.build_request("POST", "/streams", json=body)
    if chance.random() < 0.6:
        return {**known, stream_id: k}, http.build_request("PATCH", f"/streams/{stream_id}", json={"k": k})
    rest = {one: value for one, value in known.items() if one != stream_id}
    return rest, http.build_request("DELETE", f"/streams/{stream_id}")


def test_second_service_on_the_same_folder_is_refused(start: Callable[..., ServiceProcess], tmp_path: Path) -> None:
    start()
    command = [*COMMAND, "--state-dir", str(tmp_path / "state"), "--port", "0"]
    second = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=PROJECT, env=environment())
    assert second.returncode == 4
    assert "in use by another running service" in second.stderr
    assert len(second.stderr.strip().splitlines()) == 1


def test_second_signal_ends_the_service_at_once(start: Callable[..., ServiceProcess]) -> None:
    service = start("--cameras", SCENE, "--shutdown-grace-s", "60", "--subscriber-queue", "1000")
    with connect(f"ws://{service.address}/streams/camera-1/tracks", max_queue=1) as socket:
        socket.recv(20)  # and then no more: its queue would have to be waited for
        service.process.send_signal(signal.SIGTERM)
        wait_until(lambda: "draining" in service.log.read_text(), 20, "the drain")
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(20) == 128 + signal.SIGTERM
    assert "told to stop again" in service.log.read_text()


def test_stream_that_may_not_be_opened_any_more_fails_with_its_cause_and_stops_nobody(
    start_service: Callable[..., RunningService], camera: RtspServer, tmp_path: Path
) -> None:
    first = start_service(state_dir=tmp_path)
    with first.http as http:
        http.post("/streams", json={"id": "file", "url": "walk.mp4"})
        http.post("/streams", json={"id": "scene", "url": f"{SCENE}&seed=4"})
        http.post("/streams", json={"id": "open", "url": camera.url()})
    first.stop()
    second = start_service(state_dir=tmp_path, schemes=["rtsp"], media_dir=None, max_streams=2)
    with second.http as http:
        failed = wait_for_phase(http, "scene", "failed")
        assert failed["cause"] == "scheme_not_allowed"
        assert "synthetic://" in failed["message"]
        assert wait_for_phase(http, "file", "failed")["cause"] == "invalid_url"
        assert wait_for_phase(http, "open", "failed")["cause"] == "too_many_streams"
        assert http.get("/streams", params={"state": "failed"}).json()["streams"][1]["url"] == "synthetic://"
        http.delete("/streams/file")
        healed = http.patch("/streams/scene", json={"url": camera.url()})
        assert healed.status_code == 200
        wait_for_phase(http, "scene", "running")
        assert http.patch("/streams/open", json={"url": camera.url()}).status_code == 200  # the same one: try again
        wait_for_phase(http, "open", "running")
    second.stop()
    third = start_service(state_dir=tmp_path)
    with third.http as http:
        assert [one["id"] for one in http.get("/streams").json()["streams"]] == ["scene", "open"]
        wait_for_phase(http, "scene", "running")


def test_cameras_of_the_command_line_are_what_it_says_now(
    start_service: Callable[..., RunningService], tmp_path: Path
) -> None:
    def cameras(*urls: str) -> list[tuple[str, str]]:
        service = start_service(state_dir=tmp_path, cameras=list(urls))
        with service.http as http:
            wait_until(lambda: http.get("/readyz").is_success, 20, "readiness")
            streams = http.get("/streams").json()["streams"]
            if not urls:
                http.post("/streams", json={"id": "camera-2", "url": SCENE})
        service.stop()
        return [(one["id"], one["url"].rpartition("=")[2]) for one in streams]

    assert cameras(f"{SCENE}&seed=1", f"{SCENE}&seed=2") == [("camera-1", "1"), ("camera-2", "2")]
    assert cameras(f"{SCENE}&seed=1", f"{SCENE}&seed=3") == [("camera-1", "1"), ("camera-2", "3")]
    assert cameras(f"{SCENE}&seed=1") == [("camera-1", "1")]
    assert cameras() == []
    assert cameras(f"{SCENE}&seed=1", f"{SCENE}&seed=2") == [("camera-2", "10"), ("camera-1", "1")]  # posted: stays


def test_demo_keeps_nothing_unless_told_to(tmp_path: Path) -> None:
    assert Settings(demo=True).store_path is None
    assert Settings(demo=True, state_dir=tmp_path).store_path == tmp_path / "atttrack.sqlite3"
    assert str(Settings().store_path).startswith(os.environ["XDG_STATE_HOME"])
