"""`HttpCamera`: Motion JPEG over HTTP, one picture a part (multipart/x-mixed-replace), as cheap cameras have it."""

import contextlib
import http.client
import re
from collections.abc import Callable
from socket import socket
from types import TracebackType
from typing import Self

from edge.sources.base import SourceError
from edge.sources.rtsp.camera_url import CameraUrl
from edge.sources.rtsp.login import Login

CHUNK = 1 << 16
LARGEST_PART = 1 << 24
"""Bytes of one picture and the lines ahead of it."""
_BOUNDARY = re.compile(r'(?i)boundary\s*=\s*(?:"([^"]+)"|([^;\s]+))')
_LENGTH = re.compile(rb"(?im)^content-length\s*:\s*(\d{1,9})\s*$")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_SPLIT = b"--picture"
Dial = Callable[[], socket]
"""Connects to the camera, at an address that was checked. Raises SourceError, OSError."""


class HttpCamera:
    """A file for FFmpeg's `mpjpeg`, in the one form that it takes without delay; a context manager."""

    def __init__(self, url: CameraUrl, dial: Dial) -> None:
        """Connect and log in. Raises SourceError, OSError."""
        self._url, self._dial = url, dial
        self._login = Login(url.username, url.password)
        self._held, self._out = b"", b""
        self._reply = self._ask()
        kind = self._reply.headers.get("content-type", "")
        boundary = _BOUNDARY.search(kind)
        if not kind.lower().startswith("multipart/") or boundary is None:
            self._connection.close()
            what = "a single picture" if kind.lower().startswith("image/") else "no video (multipart pictures)"
            raise SourceError("no_video", f"{url} sends {what}; give the address of its MJPEG stream, or use rtsp://")
        self._boundary = b"--" + (boundary[1] or boundary[2]).encode("latin-1").removeprefix(b"--")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._connection.close()

    def wait(self, seconds: float) -> None:
        """From now on, how long a camera may be silent before `read` gives up."""
        self._socket.settimeout(seconds)

    def read(self, size: int) -> bytes:
        """At most `size` bytes, as soon as there are some; none at the end. Raises OSError."""
        while not self._out:
            picture = self._next()
            if picture is None:
                return b""
            head = b"%s\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % (_SPLIT, len(picture))
            self._out = head + picture + b"\r\n"
        out, self._out = self._out[:size], self._out[size:]
        return out

    def _ask(self) -> http.client.HTTPResponse:
        """The answer to our request, once the camera lets us in. Raises SourceError, OSError."""
        while True:
            self._connection = http.client.HTTPConnection(self._url.host.strip("[]"), self._url.port)
            self._connection.sock = self._socket = self._dial()
            login = self._login.header("GET", self._url.target)
            headers = {"Accept": "*/*", "User-Agent": "AttTrack"} | ({"Authorization": login} if login else {})
            try:
                self._connection.request("GET", self._url.target, headers=headers)
                reply = self._connection.getresponse()
            except http.client.HTTPException:
                self._connection.close()
                raise SourceError("connection_failed", f"{self._url}: what answered does not speak HTTP") from None
            if reply.status == 200:
                return reply
            self._connection.close()
            if reply.status != 401 or not self._login.challenged(reply.headers.get_all("www-authenticate", [])):
                raise self._refusal(reply.status)

    def _refusal(self, status: int) -> SourceError:
        url = self._url
        if status == 401 and not self._login:
            return SourceError("auth_failed", f"{url} asks for a user name and a password, and was given none")
        if status in (401, 403):
            return SourceError("auth_failed", f"{url} refused the credentials; check user name and password")
        if status in (404, 410):
            return SourceError("not_found", f"{url}: the camera has no such stream; check the path")
        if 300 <= status < 400:
            where = "sends its viewers to another address; add the stream under that one"
            return SourceError("connection_failed", f"{url} {where}")
        return SourceError("connection_failed", f"{url}: the camera answered with an error ({status}); it may be busy")

    def _next(self) -> bytes | None:
        """The next picture; None at the end. Bytes that are no part of one are left out."""
        while True:
            begin = self._held.find(self._boundary)
            head_end = _HEAD_END.search(self._held, begin) if begin >= 0 else None
            if head_end is not None:
                length = _LENGTH.search(self._held, begin, head_end.end())
                end = head_end.end() + int(length[1]) if length else self._held.find(self._boundary, head_end.end())
                if head_end.end() <= end <= len(self._held):
                    part, self._held = self._held[head_end.end() : end], self._held[end:]
                    if part.startswith(b"\xff\xd8"):
                        return part
                    continue
            if len(self._held) > LARGEST_PART:
                self._held = b""
            more = b""
            with contextlib.suppress(http.client.HTTPException, ValueError):
                more = self._reply.read1(CHUNK)
            if not more:
                return None
            self._held += more
