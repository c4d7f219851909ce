"""Canary: a password goes in by every door and comes out by none."""

import json
import logging
from collections.abc import Callable
from urllib.parse import quote

import pytest
from websockets.sync.client import connect

from testbed.rtsp_server import RtspServer
from tests.service.conftest import KEY, RunningService
from tests.service.waiting import wait_for_phase

CANARY = "c4n4ry-p4ssw0rd"
GETS = ("/streams", "/streams/{id}", "/streams/{id}/frame.jpg", "/healthz", "/openapi.json", "/")


def test_password_appears_in_no_answer_no_message_and_no_log(
    start_service: Callable[..., RunningService],
    locked_camera: RtspServer,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    service = start_service(log_level="debug")
    place = locked_camera.url().removeprefix("rtsp://")
    key = {"username": "viewer", "password": CANARY}
    bodies = {
        "given": {"url": f"rtsp://{place}", "credentials": key},
        "in-url": {"url": f"rtsp://viewer:{CANARY}@{place}"},
        "in-query": {"url": f"rtsp://{place}?password={CANARY}"},
        "dead": {"url": f"rtsp://viewer:{CANARY}@127.0.0.1:9/live"},
        "right": {"url": f"rtsp://{place}", "credentials": KEY},
    }
    refused = [
        {"url": f"rtsp://viewer:{CANARY}@{place}", "credentials": key},
        {"url": f"rtsp://{place}", "credentials": {"username": "", "password": CANARY}},
        {"url": f"rtsp://{place}", "credentials": {"username": "viewer", "password": CANARY, "token": CANARY}},
        {"url": f"rtsp://{place}", "credentials": {"username": "viewer", "password": [CANARY]}},
        {"url": f"rtsp://viewer:{CANARY}@{place} "},
        {"url": f"rtsp://viewer:{CANARY}@[::/live"},
        {"url": f"http://viewer:{CANARY}@{place}"},
        {"url": f"rtsp://viewer:{CANARY}@host:99999999/"},
        {"url": f"file:///{CANARY}@x"},
    ]
    out: list[bytes] = []
    with service.http as http:
        for name, body in bodies.items():
            answer = http.post("/streams", json={"id": name, **body})
            assert answer.status_code == 201, answer.text
            out += [answer.content, repr(answer.headers).encode()]
        for body in refused:
            answer = http.post("/streams", json=body)
            assert answer.status_code == 422, answer.text
            if not body["url"].startswith("file"):  # a file's name is no secret
                out.append(answer.content)
        broken = json.dumps({"url": "rtsp://h", "credentials": key})[:-1].encode()
        out.append(http.post("/streams", content=broken, headers={"content-type": "application/json"}).content)
        out.append(http.post("/streams", json={"id": "given", **bodies["dead"]}).content)
        for name in ("given", "in-url", "in-query", "dead"):
            wait_for_phase(http, name, "reconnecting")
        wait_for_phase(http, "right", "running")
        with connect(service.ws_url("right")) as socket:
            out += [str(socket.recv(10)).encode() for _ in range(3)]
        for name in bodies:
            out += [http.get(path.format(id=name)).content for path in GETS]
            out.append(http.delete(f"/streams/{name}").content)
    service.stop()
    printed = capfd.readouterr()
    out += [printed.out.encode(), printed.err.encode(), caplog.text.encode()]
    for number, text in enumerate(out):
        for secret in (CANARY, KEY["password"], quote(KEY["password"])):
            assert secret.encode() not in text, (number, text[:2000])
    assert sum(map(len, out)) > 5000
