"""Too much of anything is refused before it costs anything."""

import socket
from collections.abc import Iterator

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from service.limits import BODY, HEADERS, URL, WS_MESSAGE
from tests.service.auth.keyed import code_of
from tests.service.conftest import RunningService
from tests.service.waiting import wait_until

JSON = {"Content-Type": "application/json"}
SCENE = "synthetic://?people=1&width=320&height=192&fps=5"


def pieces(size: int) -> Iterator[bytes]:
    """A body that does not tell its length."""
    for _ in range(size // 1024):
        yield b" " * 1024


def test_body_is_limited(service: RunningService) -> None:
    with service.http as http:
        assert code_of(http.post("/streams", content=b" " * BODY, headers=JSON)) == (422, "invalid_request")
        assert code_of(http.post("/streams", content=b" " * (BODY + 1), headers=JSON)) == (413, "body_too_large")


def test_body_in_pieces_is_limited(service: RunningService) -> None:
    with service.http as http:
        assert code_of(http.post("/streams", content=pieces(BODY), headers=JSON)) == (422, "invalid_request")
        assert code_of(http.post("/streams", content=pieces(BODY + 1024), headers=JSON)) == (413, "body_too_large")


@pytest.mark.parametrize("length", ["-1", "1e3", "99999999999999999999", "0x10"])
def test_length_that_is_no_number_is_refused(service: RunningService, length: str) -> None:
    head = f"POST /streams HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", service.port), 10) as plain:
        plain.sendall(head.encode())
        assert plain.recv(4096).split()[1] in (b"400", b"413")


def test_url_is_limited(service: RunningService) -> None:
    with service.http as http:
        assert http.get("/streams", params={"limit": "1", "x": "a" * (URL - 30)}).status_code == 200
        assert code_of(http.get("/streams", params={"x": "a" * URL})) == (414, "url_too_long")
        assert code_of(http.get("/" + "a" * URL)) == (414, "url_too_long")


def test_headers_are_limited(service: RunningService) -> None:
    with service.http as http:
        assert http.get("/streams", headers={"X-Much": "a" * (HEADERS - 1000)}).status_code == 200
        assert code_of(http.get("/streams", headers={"X-Much": "a" * HEADERS})) == (431, "headers_too_large")


def test_headers_without_end_are_cut_off(service: RunningService) -> None:
    with socket.create_connection(("127.0.0.1", service.port), 10) as plain:
        try:
            plain.sendall(b"GET /streams HTTP/1.1\r\nHost: 127.0.0.1\r\n")
            for _ in range(100):
                plain.sendall(b"X: " + b"a" * 10_000 + b"\r\n")
            assert plain.recv(100).split()[1] in (b"400", b"431")
        except ConnectionError:
            pass  # cut off while still talking


def test_client_that_talks_too_much_is_closed_with_1009(service: RunningService) -> None:
    with connect(f"ws://127.0.0.1:{service.port}/tracks") as client:
        client.send("a" * 1000)
        client.send("a" * (WS_MESSAGE + 1))
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(10)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


def test_socket_with_too_long_an_address_is_refused(service: RunningService) -> None:
    with pytest.raises(InvalidStatus) as refused, connect(f"ws://127.0.0.1:{service.port}/tracks?x={'a' * URL}"):
        pass
    assert refused.value.response.status_code == 414


def test_one_subscriber_too_many_is_refused_and_a_free_place_is_taken(start_service) -> None:
    service = start_service(max_subscribers=2)
    with service.http as http:
        http.post("/streams", json={"url": SCENE, "id": "scene"})
        with connect(service.ws_url("scene")):
            with connect(f"ws://127.0.0.1:{service.port}/tracks?streams=scene"):
                with pytest.raises(InvalidStatus) as refused, connect(service.ws_url("scene")):
                    pass
                assert refused.value.response.status_code == 429
                answer = http.get("/streams/scene/video")
                assert code_of(answer) == (429, "too_many_subscribers")
            guard = service.server.config.app.state.guard
            wait_until(lambda: len(guard.subscriptions) == 1, 10, "the subscriber to be gone")
            with connect(service.ws_url("scene")) as again:
                assert again.recv(20)


def test_one_connection_too_many_of_a_key_is_refused(start_service) -> None:
    service = start_service(max_connections=1)
    address = f"ws://127.0.0.1:{service.port}/tracks"
    with connect(address):
        with pytest.raises(InvalidStatus) as refused, connect(address):
            pass
    assert refused.value.response.status_code == 429
