"""`ReplyGate`: an RTSP camera's replies, one by one, without those that would send FFmpeg elsewhere."""

import re

from edge.sources.base import SourceError
from edge.sources.rtsp.camera_url import CameraUrl
from edge.sources.rtsp.description import admitted

LONGEST_HEAD = 1 << 14
LONGEST_BODY = 1 << 18
"""Bytes; session descriptions have a few hundred."""
HEAD_END = re.compile(rb"\n\r*\n")
_STATUS = re.compile(rb"RTSP/\d\.\d (\d{3})(?: |$)")
LENGTH = re.compile(rb"(?i)content-length\s*:\s*(\d{1,9})\s*$")


class ReplyGate:
    """Holds replies back until they are whole, and writes them anew, so that FFmpeg reads what was checked.

    Only while FFmpeg sets a session up does it follow redirects; with its PLAY request the gate opens for good.
    """

    def __init__(self, url: CameraUrl) -> None:
        self._url = url
        self._held = b""
        self._open = False
        self.description = b""
        """What FFmpeg is told of the camera's media (SDP); empty before it is."""

    def open(self) -> bytes:
        """Let everything pass from now on; returns what was held back."""
        self._open = True
        held, self._held = self._held, b""
        return held

    def passes(self, received: bytes) -> bytes:
        """The bytes that FFmpeg may have by now.

        Raises SourceError for a redirect, for what is no RTSP, and for codecs that are not decoded here.
        """
        if self._open:
            return received
        self._held += received
        out = b""
        while (reply := self._next()) is not None:
            out += reply
        return out

    def _next(self) -> bytes | None:
        """The next whole reply, taken from what is held; empty for one that FFmpeg needs not see; None: wait."""
        self._held = self._held.lstrip(b"\r\n")
        if self._held.startswith(b"$"):  # media, left over from a session before
            return self._take_media()
        end = HEAD_END.search(self._held)
        if end is None:
            if len(self._held) > LONGEST_HEAD or not b"RTSP/".startswith(self._held[:5]):
                raise self._nonsense()
            return None
        lines = self._held[: end.start()].replace(b"\r", b"").split(b"\n")
        status = _STATUS.match(lines[0])
        if status is None or end.start() > LONGEST_HEAD or b"\0" in self._held[: end.start()]:
            raise self._nonsense()
        if status[1].startswith(b"3"):
            raise SourceError(
                "connection_failed", f"{self._url} sends its viewers to another address; add the stream under that one"
            )
        stop = end.end() + self._body_length(lines[1:])
        if len(self._held) < stop:
            return None
        body, self._held = self._held[end.end() : stop], self._held[stop:]
        if body:
            body = self.description = admitted(body, str(self._url))
            lines = [line for line in lines if not LENGTH.match(line)] + [b"Content-Length: %d" % len(body)]
        return b"\r\n".join(lines) + b"\r\n\r\n" + body

    def _take_media(self) -> bytes | None:
        stop = 4 + int.from_bytes(self._held[2:4], "big")
        if len(self._held) < max(stop, 4):
            return None
        self._held = self._held[stop:]
        return b""

    def _body_length(self, headers: list[bytes]) -> int:
        given = [line for line in headers if line.lower().startswith(b"content-length")]
        lengths = [int(match[1]) for line in given if (match := LENGTH.match(line))]
        if len(lengths) != len(given) or len(set(lengths)) > 1 or max(lengths, default=0) > LONGEST_BODY:
            raise self._nonsense()
        return lengths[0] if lengths else 0

    def _nonsense(self) -> SourceError:
        return SourceError("connection_failed", f"{self._url}: what answered does not speak RTSP")
