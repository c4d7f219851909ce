"""Motion JPEG over HTTP, from a real server on this machine."""

import base64
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from typing import Any

import cv2
import numpy as np
import pytest

from edge.sources import SourceError, open_source
from edge.sources.base import Frame, Source
from edge.sources.settings import SourceSettings
from testbed.clips import numbered_image, read_number

QUICK = SourceSettings(connect_timeout_s=3.0, stall_timeout_s=1.0)


@dataclass
class HttpServer:
    """Sends numbered pictures, 25 a second, in the way that its fields say."""

    boundary: str = "frame"
    quoted: bool = False
    dashes_in_type: bool = False
    lengths: bool = True
    chunked: bool = False
    line: bytes = b"\r\n"
    between: bytes = b""
    password: str | None = None
    status: int = 200
    kind: str | None = None
    asked: list[str] = field(default_factory=list)
    """Authorization of each request."""

    def __enter__(self) -> "HttpServer":
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                outer.serve(self)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/video.cgi?resolution=VGA"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def serve(self, request: Any) -> None:
        given = request.headers.get("authorization", "")
        self.asked.append(given)
        if (
            self.password is not None
            and given != "Basic " + base64.b64encode(f"admin:{self.password}".encode()).decode()
        ):
            request.send_response(401)
            request.send_header("WWW-Authenticate", 'Basic realm="camera"')
            request.send_header("Content-Length", "0")
            request.send_header("Connection", "close")
            request.end_headers()
            return
        request.send_response(self.status)
        if self.status != 200:
            request.send_header("Location", "http://127.0.0.1:9/")
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        name = ("--" if self.dashes_in_type else "") + self.boundary
        kind = (
            self.kind or f"multipart/x-mixed-replace; boundary={f'{chr(34)}{name}{chr(34)}' if self.quoted else name}"
        )
        request.send_header("Content-Type", kind)
        request.send_header(
            "Transfer-Encoding" if self.chunked else "Connection", "chunked" if self.chunked else "close"
        )
        request.end_headers()
        try:
            for number in range(100):
                self._write(request, self._part(number))
                time.sleep(0.04)
        except OSError:
            pass

    def _part(self, number: int) -> bytes:
        jpeg = cv2.imencode(".jpg", numbered_image(number))[1].tobytes()
        lines = [b"--" + self.boundary.encode(), b"Content-Type: image/jpeg"]
        lines += [b"Content-Length: %d" % len(jpeg)] if self.lengths else []
        ahead = b"--" + self.boundary.encode() + self.line if False else b""
        return ahead + self.line.join([*lines, b"", b""]) + jpeg + self.line + self.between

    def _write(self, request: Any, data: bytes) -> None:
        for begin in range(0, len(data), 4000) if self.chunked else (0,):
            piece = data[begin : begin + 4000] if self.chunked else data
            request.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if self.chunked else piece)


def first(source: Source, count: int) -> list[Frame]:
    frames = iter(source)
    try:
        return list(islice(frames, count))
    finally:
        frames.close()  # type: ignore[attr-defined]


WAYS: dict[str, dict[str, Any]] = {
    "as it should be": {},
    "without lengths": {"lengths": False},
    "chunked": {"chunked": True},
    "with a quoted boundary": {"quoted": True},
    "with dashes in the type": {"dashes_in_type": True},
    "with bare line feeds": {"line": b"\n"},
    "with blank lines between": {"between": b"\r\n\r\n"},
    "with a password": {"password": "p@ss/w#rd"},
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_pictures_come_in_order_and_at_once(way: dict[str, Any]) -> None:
    with HttpServer(**way) as server:
        credentials = {"username": "admin", "password": way["password"]} if "password" in way else {}
        frames = first(open_source(server.url, settings=QUICK, **credentials), 20)
    assert [read_number(frame.image) for frame in frames] == list(range(20))
    assert np.median(np.diff([frame.time_s for frame in frames])) == pytest.approx(0.04, abs=0.02)


@pytest.mark.parametrize(
    ("way", "code"),
    [
        ({"status": 404}, "not_found"),
        ({"status": 302}, "connection_failed"),
        ({"status": 503}, "connection_failed"),
        ({"password": "other"}, "auth_failed"),
        ({"kind": "image/jpeg"}, "no_video"),
        ({"kind": "text/html"}, "no_video"),
    ],
)
def test_what_is_wrong_is_said(way: dict[str, Any], code: str) -> None:
    with HttpServer(**way) as server:
        with pytest.raises(SourceError) as caught:
            first(open_source(server.url, settings=QUICK, username="admin", password="s3cret"), 1)  # noqa: S106
        assert caught.value.code == code and "s3cret" not in str(caught.value)
        assert len(server.asked) <= 2


def test_a_camera_without_credentials_is_told_apart_from_one_with_wrong_ones() -> None:
    with HttpServer(password="secret") as server, pytest.raises(SourceError, match="was given none"):  # noqa: S106
        first(open_source(server.url, settings=QUICK), 1)
