"""Secrets go in by every door of the running program, and come out by none: not one emitted byte has them."""

import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from testbed.rtsp_server import RtspServer
from testbed.service_process import COMMAND, PROJECT, environment
from tests.service.auth.keyed import bearer, code_of
from tests.service.waiting import wait_until

PASSWORD = "c4n4ry/p@ss:w0rd"  # noqa: S105
SECRETS = {
    "password": PASSWORD,
    "bootstrap": "c4n4ry-b00tstrap-0123456789abcdefghij",
    "wrong key": "atk_00000000_c4n4ry-wr0ng-key-0123456789",
    "token in a URL": "c4n4ry-t0ken",
    "broker": "c4n4ry-br0ker",
}


class Collector:
    """Everything that came out, and what must not be in it."""

    def __init__(self) -> None:
        self.out: list[tuple[str, bytes]] = []
        self.secrets = dict(SECRETS)

    def keep(self, where: str, text: str | bytes) -> None:
        self.out.append((where, text.encode() if isinstance(text, str) else text))

    def answer(self, answer: httpx.Response) -> httpx.Response:
        self.keep(
            f"{answer.request.method} {answer.request.url.path}", repr(answer.headers.raw).encode() + answer.content
        )
        return answer

    def check(self) -> None:
        assert sum(len(text) for _, text in self.out) > 50_000
        for name, secret in self.secrets.items():
            forms = {secret, quote(secret), quote(secret, safe=""), json.dumps(secret)[1:-1]}
            for where, text in self.out:
                for form in forms:
                    assert form.encode() not in text, (name, where, text[:1500])


@pytest.fixture
def program(tmp_path: Path, models: Path) -> Iterator[tuple[str, Path]]:
    """The program as users start it, logging all that it can; its address and its output."""
    log = tmp_path / "log.txt"
    flags = ["--port", "0", "--models", str(models), "--pair", "tiny", "--size", "320x192", "--log-level", "debug"]
    variables = environment() | {
        "ATTTRACK_API_KEY": SECRETS["bootstrap"],
        "ATTTRACK_STATE_DIR": str(tmp_path / "state"),
        "ATTTRACK_ALLOW_LOOPBACK": "1",
        "ATTTRACK_SINKS": f"redis://user:{SECRETS['broker']}@127.0.0.1:1",
    }
    with log.open("w") as out:
        process = subprocess.Popen([*COMMAND, *flags], stdout=out, stderr=out, cwd=PROJECT, env=variables)

    def address() -> str:
        found = re.search(r"running on http://([^\s\"]+)", log.read_text())
        return found[1] if found else ""

    try:
        wait_until(lambda: address() or process.poll() is not None, 60, "the service to listen")
        with httpx.Client(base_url=f"http://{address()}") as http:
            wait_until(lambda: http.get("/readyz").status_code == 200, 60, "the networks to load")
        yield address(), log
    finally:
        process.terminate()
        process.wait(30)


def bodies(place: str) -> list[dict[str, Any]]:
    """Streams with a secret in every place where somebody has put one."""
    credentials = {"username": "viewer", "password": PASSWORD}
    in_url = f"viewer:{quote(PASSWORD, safe='')}@"
    token = SECRETS["token in a URL"]
    return [
        {"id": "given", "url": f"rtsp://{place}", "credentials": credentials},
        {"id": "in-url", "url": f"rtsp://{in_url}{place}"},
        {"id": "in-query", "url": f"rtsp://{place}?token={token}&channel=1"},
        {"id": "dead", "url": f"rtsp://{in_url}127.0.0.1:1/live?pwd={token}"},
        {"id": "tls", "url": f"rtsps://{in_url}{place}"},
        {"id": "named", "url": f"rtsp://{in_url}no-such-host.invalid/live"},
        {"url": f"rtsp://{in_url}{place}", "credentials": credentials},
        {"url": f"rtsp://{in_url}{place} "},
        {"url": f"rtsp://{in_url}[::/live"},
        {"url": f"http://{in_url}{place}"},
        {"url": f"rtsp://{in_url}host:99999999/"},
        {"url": f"rtsp://{in_url}169.254.169.254/"},
        {"url": f"synthetic://?seed=1&password={token}"},
        {"url": f"rtsp://{place}", "credentials": {"username": "", "password": PASSWORD}},
        {"url": f"rtsp://{place}", "credentials": {"username": "viewer", "password": [PASSWORD]}},
        {"url": f"rtsp://{place}", "credentials": PASSWORD},
        {"url": f"rtsp://{place}", "k": PASSWORD, "name": [PASSWORD]},
        {"url": [f"rtsp://{in_url}{place}"]},
    ]


def test_no_emitted_byte_has_a_secret(program: tuple[str, Path], locked_camera: RtspServer, tmp_path: Path) -> None:
    address, log = program
    seen = Collector()
    place = locked_camera.url().removeprefix("rtsp://")
    with httpx.Client(base_url=f"http://{address}", timeout=30, headers=bearer(SECRETS["bootstrap"])) as http:
        made = http.post("/keys", json={"name": "screen", "scope": "write"}).json()
        ticket = http.post("/tickets").json()["ticket"]
        seen.secrets |= {"made key": made["key"], "ticket": ticket}
        for body in bodies(place):
            seen.answer(http.post("/streams", json=body))
            seen.answer(
                http.post("/streams", content=json.dumps(body)[:-2], headers={"Content-Type": "application/json"})
            )
        seen.answer(http.patch("/streams/dead", json={"credentials": {"username": "viewer", "password": PASSWORD}}))
        moved = http.patch("/streams/given", json={"url": "rtsp://192.0.2.1/elsewhere"})
        assert code_of(seen.answer(moved)) == (422, "credentials_needed")
        for name in ("given", "dead", "named"):
            state = lambda: http.get(f"/streams/{name}").json()["state"]["phase"]  # noqa: B023, E731
            wait_until(lambda: state() in ("reconnecting", "failed"), 30, f"{name} to fail")  # noqa: B023
        for header in (bearer(SECRETS["wrong key"]), {"Authorization": f"Basic {SECRETS['token in a URL']}"}):
            seen.answer(http.get("/streams", headers=header))
        for query in ("ticket", "key", "api_key", "access_token", "password"):
            seen.answer(httpx.get(f"http://{address}/streams", params={query: SECRETS["token in a URL"]}))
        seen.answer(httpx.get(f"http://{address}/streams", params={"ticket": ticket}))
        _sockets(address, seen, ticket)
        for path in _all_gets(http):
            seen.answer(http.get(path))
        _garbage(address)
    _command_line(seen, tmp_path)
    time.sleep(0.2)  # the last line of the log
    seen.keep("log", log.read_bytes())
    assert b"GET /streams" in log.read_bytes(), "the access log has to be on for this"
    seen.check()


def _sockets(address: str, seen: Collector, ticket: str) -> None:
    for query in (
        f"ticket={ticket}",
        f"ticket={SECRETS['token in a URL']}",
    ):
        try:
            with connect(f"ws://{address}/tracks?{query}", additional_headers=bearer(SECRETS["bootstrap"])) as socket_:
                socket_.send(PASSWORD)
        except InvalidStatus as refused:
            seen.keep("socket", refused.response.body or b"")
    with connect(f"ws://{address}/streams/given/tracks", additional_headers=bearer(SECRETS["bootstrap"])) as socket_:
        socket_.send(json.dumps({"key": SECRETS["bootstrap"]}))


def _all_gets(http: httpx.Client) -> list[str]:
    paths: list[str] = []
    for path, operations in http.get("/openapi.json").json()["paths"].items():
        if "get" in operations and not path.endswith("/video"):
            query = "?format=mot" if path.endswith("/export") else ""
            paths += [
                path.replace("{stream_id}", one) + query
                for one in ("given", "in-url", "in-query", "dead", "tls", "named")
            ]
    return sorted({*paths, "/", "/docs", "/openapi.json"})


def _garbage(address: str) -> None:
    """What is no HTTP at all goes to the log at most."""
    host, port = address.rsplit(":", 1)
    for text in (
        f"{PASSWORD}\r\n\r\n",
        f"GET /{SECRETS['bootstrap']} HTTP/9\r\n\r\n",
        f"GET / HTTP/1.1\r\n{PASSWORD}\r\n\r\n",
    ):
        with socket.create_connection((host, int(port)), 5) as plain:
            plain.sendall(text.encode())
            plain.recv(4096)


def _command_line(seen: Collector, tmp_path: Path) -> None:
    """The program's other commands, with secrets in their environment."""
    variables = {
        **os.environ,
        "ATTTRACK_API_KEY": SECRETS["bootstrap"],
        "ATTTRACK_STATE_DIR": str(tmp_path / "state"),
        "ATTTRACK_SINKS": f"mqtt://user:{SECRETS['token in a URL']}@127.0.0.1/x",
        "ATTTRACK_CAMERAS": f"rtsp://viewer:{quote(PASSWORD, safe='')}@192.168.1.20/live",
    }
    for arguments in (["config", "show"], ["config", "check"], ["keys", "list"], ["--k", "0"]):
        done = subprocess.run(
            [*COMMAND, *arguments], capture_output=True, check=False, cwd=PROJECT, env=variables, timeout=60
        )
        seen.keep(" ".join(arguments), done.stdout + done.stderr)
