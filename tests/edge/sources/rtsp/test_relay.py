"""FFmpeg and a camera that would lead it astray: real sockets, real FFmpeg."""

import re
import socket
import threading
from collections.abc import Iterator

import pytest

from edge.sources import open_source
from edge.sources.base import SourceError
from edge.sources.settings import SourceSettings
from testbed.clips import read_number
from testbed.rtsp_server import RtspServer

QUICK = SourceSettings(connect_timeout_s=3.0, stall_timeout_s=1.0)


class Listener:
    """A port that nobody should ever come to; keeps what came."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.came = threading.Event()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        try:
            visitor, _ = self.socket.accept()
        except OSError:
            return
        self.came.set()
        visitor.close()

    def close(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self._thread.join()


class TreacherousCamera:
    """Answers every request up to `method` well, and that one with a redirect."""

    def __init__(self, method: str, location: str) -> None:
        self.method, self.location = method, location
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"rtsp://viewer:s3cret@127.0.0.1:{self.socket.getsockname()[1]}/live"
        self.seen: list[str] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        visitor, _ = self.socket.accept()
        self.socket.close()
        with visitor:
            while request := visitor.recv(4096):
                method = request.split(b" ")[0].decode()
                self.seen.append(method)
                number = re.search(rb"CSeq: (\d+)", request)[1]  # type: ignore[index]
                if method == self.method:
                    head = f"302 Found\r\nLocation: {self.location}"
                else:
                    head = "200 OK\r\nPublic: OPTIONS, DESCRIBE, SETUP, PLAY"
                visitor.sendall(f"RTSP/1.0 {head}\r\nCSeq: {number.decode()}\r\n\r\n".encode())


@pytest.fixture
def elsewhere() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()


@pytest.mark.parametrize("method", ["OPTIONS", "DESCRIBE"])
def test_redirect_is_not_followed(method: str, elsewhere: Listener) -> None:
    camera = TreacherousCamera(method, f"rtsp://127.0.0.1:{elsewhere.port}/inside")
    with pytest.raises(SourceError, match="another address") as refused:
        next(iter(open_source(camera.url, settings=QUICK)))
    assert refused.value.code == "connection_failed"
    assert camera.seen[-1] == method
    assert not elsewhere.came.wait(0.2)


def test_name_is_resolved_by_the_given_function_at_every_connection(camera: RtspServer) -> None:
    asked: list[tuple[str, int]] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return ["127.0.0.1"]

    settings = SourceSettings(resolve=resolve, backoff_min_s=0.05, backoff_max_s=0.05)
    frames = iter(open_source(f"rtsp://door.invalid:{camera.port}/camera", settings=settings))
    assert read_number(next(frames).image) == 0
    camera.stop()
    camera.start()
    while camera.connections < 2:
        next(frames)
    frames.close()
    assert asked[0] == ("door.invalid", camera.port)
    assert len(asked) >= 2


def test_address_that_the_policy_refuses_is_never_connected_to(camera: RtspServer) -> None:
    def refuse(host: str, port: int) -> list[str]:
        raise SourceError("address_not_allowed", "not there")

    with pytest.raises(SourceError) as refused:
        next(iter(open_source(camera.url(), settings=SourceSettings(resolve=refuse))))
    assert refused.value.code == "address_not_allowed"
    assert camera.connections == 0


def test_next_address_is_tried_when_the_first_does_not_answer(camera: RtspServer) -> None:
    settings = SourceSettings(resolve=lambda host, port: ["127.0.0.9", "127.0.0.1"])
    frames = iter(open_source(f"rtsp://door.invalid:{camera.port}/camera", settings=settings))
    assert next(frames).index == 0
    frames.close()
