"""Slow, idle and greedy clients: each is cut off in time, and whoever asks for the service's health is answered."""

import contextlib
import socket
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from service import connections
from service.connections import FEWEST, RESERVE
from tests.service.conftest import RunningService

HEAD = b"GET /streams HTTP/1.1\r\nHost: 127.0.0.1\r\n"
POST = b"POST /streams HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
UPGRADE = b"GET /tracks HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
Step = tuple[bytes, float]
"""What is sent, and how long after the one before, seconds."""


def trickled(data: bytes, every_s: float) -> list[Step]:
    return [(data[i : i + 1], every_s) for i in range(len(data))]


SLOW: dict[str, list[Step]] = {
    "says nothing": [],
    "says one letter": [(b"G", 0)],
    "stops in the method": [(b"GE", 0)],
    "stops in the path": [(b"GET /str", 0)],
    "stops behind the first line": [(b"GET / HTTP/1.1\r\n", 0)],
    "stops in a header": [(HEAD[:-4], 0)],
    "stops before the empty line": [(HEAD, 0)],
    "stops in the empty line": [(HEAD + b"\r", 0)],
    "sends a letter at a time": trickled(HEAD * 10, 0.05),
    "sends a header at a time": [(HEAD, 0)] + [(b"X-%d: 1\r\n" % i, 0.2) for i in range(50)],
    "sends empty lines first": trickled(b"\r\n" * 100, 0.05),
    "asks, and then sends half": [(HEAD + b"\r\n", 0), (HEAD, 0.3)],
    "asks thrice, and then a letter at a time": [(HEAD + b"\r\n", 0.1)] * 3 + trickled(HEAD * 10, 0.05),
    "promises a body": [(POST + b"Content-Length: 100\r\n\r\n", 0)],
    "sends half a body": [(POST + b"Content-Length: 100\r\n\r\n{", 0)],
    "sends a body a letter at a time": [(POST + b"Content-Length: 900\r\n\r\n", 0), *trickled(b" " * 300, 0.05)],
    "sends no chunk": [(POST + b"Transfer-Encoding: chunked\r\n\r\n", 0)],
    "sends half a chunk": [(POST + b"Transfer-Encoding: chunked\r\n\r\n40\r\nab", 0)],
    "sends chunks without end": [(POST + b"Transfer-Encoding: chunked\r\n\r\n", 0), *[(b"1\r\n \r\n", 0.1)] * 100],
    "sends half an upgrade": [(UPGRADE, 0)],
    "waits to be told to go on": [(POST + b"Content-Length: 9\r\nExpect: 100-continue\r\n\r\n", 0)],
    "promises a body to a path that takes none": [(HEAD + b"Content-Length: 100\r\n\r\n", 0)],
}


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_S", 1.0)
    monkeypatch.setattr(connections, "BODY_S", 1.5)


@pytest.mark.parametrize("kind", SLOW)
@pytest.mark.usefixtures("hasty")
def test_client_that_takes_for_ever_is_cut_off(service: RunningService, kind: str) -> None:
    with socket.create_connection(("127.0.0.1", service.port), 10) as client:
        began = time.monotonic()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for data, after_s in SLOW[kind]:
                time.sleep(after_s)
                client.sendall(data)
        with contextlib.suppress(ConnectionResetError):
            while client.recv(65536):
                pass
        assert time.monotonic() - began < 8.0, "with half a second for the busy machine, at each end"


@pytest.mark.usefixtures("hasty")
def test_client_in_no_hurry_but_in_time_is_served(service: RunningService) -> None:
    with socket.create_connection(("127.0.0.1", service.port), 10) as client:
        for _ in range(3):
            for part in (HEAD[:10], HEAD[10:], b"\r\n"):
                client.sendall(part)
                time.sleep(0.1)
            assert client.recv(65536).startswith(b"HTTP/1.1 200")


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("pieces", [1, 3])
def test_websocket_on_which_nobody_says_anything_is_kept(service: RunningService, pieces: int) -> None:
    head = UPGRADE + b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    with socket.create_connection(("127.0.0.1", service.port), 10) as client:
        for i in range(pieces):
            client.sendall(head[i * len(head) // pieces : (i + 1) * len(head) // pieces])
            time.sleep(0.05)
        assert client.recv(65536).startswith(b"HTTP/1.1 101")
        client.settimeout(3.0)
        with pytest.raises(TimeoutError):  # it is neither closed nor are there streams to tell of
            client.recv(65536)


def test_client_that_reads_nothing_is_cut_off(
    start_service: Callable[..., RunningService], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "UNREAD_S", 1.0)
    service = start_service()
    with service.http as http, socket.socket() as client:
        http.post("/streams", json={"id": "scene", "url": "synthetic://?people=1&width=1280&height=720&fps=25"})
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", service.port))
        client.sendall(b"GET /streams/scene/video HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        deadline = time.monotonic() + 30
        while len(service.server.server_state.connections) > 1 and time.monotonic() < deadline:
            time.sleep(0.2)
        assert len(service.server.server_state.connections) <= 1  # ours


@pytest.fixture
def full(
    start_service: Callable[..., RunningService], monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[RunningService, int]]:
    """A service that has room for the fewest connections."""
    monkeypatch.setattr(connections, "MOST", FEWEST)
    yield start_service(), FEWEST


def test_those_who_ask_nothing_make_room_for_those_who_do(full: tuple[RunningService, int]) -> None:
    service, most = full
    with contextlib.ExitStack() as held:
        idle = []
        for _ in range(10 * most):
            idle.append(held.enter_context(socket.create_connection(("127.0.0.1", service.port), 10)))
            idle[-1].sendall(HEAD)
        time.sleep(0.5)
        assert len(service.server.server_state.connections) <= most + RESERVE
        for path in ("/healthz", "/readyz", "/streams"):
            assert httpx.get(f"http://127.0.0.1:{service.port}{path}", timeout=10).status_code == 200
        idle[0].settimeout(5)
        with contextlib.suppress(ConnectionResetError):
            assert idle[0].recv(100) == b""


def test_health_is_answered_when_every_place_is_taken(full: tuple[RunningService, int]) -> None:
    service, most = full
    with service.http as http, contextlib.ExitStack() as held:
        http.post("/streams", json={"id": "scene", "url": "synthetic://?people=0&width=64&height=64&fps=1"})
        http.close()
        follow = b"GET /streams/scene/tracks HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n"
        for _ in range(most):
            one = held.enter_context(socket.create_connection(("127.0.0.1", service.port), 10))
            one.sendall(follow)
            assert one.recv(12) == b"HTTP/1.1 200"
        assert httpx.get(f"http://127.0.0.1:{service.port}/healthz", timeout=10).status_code == 200
        answer = httpx.get(f"http://127.0.0.1:{service.port}/streams", timeout=10)
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
