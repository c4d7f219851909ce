"""`Conversation`: RTSP between FFmpeg and a camera, as forgiving as it can be (RFC 2326, RFC 7826 for the names).

It sits on both ways, does no input or output of its own, and knows what either side is owed:

    FFmpeg's requests   get the camera's own name, a login when the camera asks for one, and numbers of their own
    the camera's replies    become what FFmpeg understands; those that end the session say why, in words for people
    interleaved frames      pass where they are whole packets of a channel that was set up; what is shorter than a
                            packet can be, and stray bytes between two of them, are left out
    the camera's requests   are answered here

Where bytes make no sense it hunts for the next that do: a frame that is followed by another one, or the begin of a
message. Nothing that a camera sends raises anything but SourceError, and that only before pictures flow.
"""

import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from edge.sources.base import SourceError
from edge.sources.rtsp.camera_url import CameraUrl
from edge.sources.rtsp.description import admitted
from edge.sources.rtsp.login import Login
from edge.sources.rtsp.rtp import RTP_HEAD, EndMarks, payload_types

LONGEST_HEAD = 1 << 14
LONGEST_BODY = 1 << 18
"""Bytes; session descriptions have a few hundred."""
MOST_EARLY = 1 << 22
"""Bytes of pictures that are kept until the camera has answered PLAY."""
MOST_STRAY = 1 << 12
"""Bytes before the first reply that are no RTSP, until it is clear that nobody here speaks it."""
_METHODS = (
    *(b"OPTIONS", b"GET_PARAMETER", b"SET_PARAMETER", b"ANNOUNCE", b"REDIRECT", b"TEARDOWN", b"PLAY", b"PLAY_NOTIFY"),
    *(b"PAUSE", b"DESCRIBE", b"SETUP", b"RECORD"),
)
_BEGINS = (b"RTSP/1.", b"RTSP/2.", *(method + b" " for method in _METHODS))
_LONGEST_BEGIN = max(map(len, _BEGINS))
_HEAD_END = re.compile(rb"\n\r*\n")
_STATUS = re.compile(rb"RTSP/\d\.\d\s+(\d{3})(?:\s|$)")
_INTERLEAVED = re.compile(rb"(?i)interleaved\s*=\s*(\d{1,3})(?:\s*-\s*(\d{1,3}))?")
_RTCP_HEAD = 8
_NO_TCP = (400, 406, 415, 461, 501, 551)
"""Answers to SETUP that mean: not by this transport."""
_BUSY = (453, 486, 503)
_NOT_THERE = (404, 410, 454)
_KEPT_MOST = 16
"""Requests whose replies are waited for."""


@dataclass(slots=True)
class _Request:
    """FFmpeg's, until the camera has answered it."""

    method: bytes
    uri: bytes
    headers: list[bytes]
    number: bytes
    """FFmpeg's own; the camera gets another one, since requests are repeated with a login."""

    def header(self, name: bytes) -> bytes:
        return _values(self.headers, name)[0] if _values(self.headers, name) else b""


class Conversation:
    """One session. `from_ffmpeg` and `from_camera` take what was received and say what to send, and to whom."""

    def __init__(self, url: CameraUrl, own: CameraUrl, mark: bytes | None = None) -> None:
        """`own`: the address under which FFmpeg sees the camera. `mark`: put in behind each picture, see `EndMarks`."""
        self._url, self._mark = url, mark
        self._names = f"rtsp://{own.host}:{own.port}".encode(), f"{url.scheme}://{url.host}:{url.port}".encode()
        self._login = Login(url.username, url.password)
        self._sent: OrderedDict[int, _Request] = OrderedDict()
        self._number = 0
        self._requests, self._held = b"", b""
        self._channels: set[int] = set()  # set up, of packets; reports come on the next one
        self._reports: set[int] = set()
        self._marks: EndMarks | None = None
        self._early: list[bytes] | None = []  # frames ahead of the reply to PLAY, which FFmpeg would throw away
        self._early_bytes = 0
        self._answered = self._playing = self._hunting = False
        self._stray = 0
        self.description = b""
        """What the camera says of its media (SDP); empty before it has."""

    def from_ffmpeg(self, received: bytes) -> bytes:
        """What the camera gets."""
        self._requests += received
        out = b""
        while self._requests:
            if self._requests.startswith(b"$"):
                end = 4 + int.from_bytes(self._requests[2:4], "big")
                if len(self._requests) < max(end, 4):
                    break
                out += self._requests[:end]
            elif (head := _HEAD_END.search(self._requests)) is None:
                break
            else:
                end = head.end()
                out += self._request(self._requests[: head.start()])
            self._requests = self._requests[end:]
        return out

    def from_camera(self, received: bytes) -> tuple[bytes, bytes]:
        """What FFmpeg gets, and what the camera gets back. Raises SourceError where the camera ends the session."""
        self._held += received
        for_ffmpeg, for_camera, start = [], [], 0
        while start < len(self._held):
            found = self._next(start)
            if found is None:
                break
            kind, end = found
            part = self._held[start:end]
            start = end
            if kind == "frame":
                for_ffmpeg.append(self._frame(part))
            elif kind == "message" and part.startswith(b"RTSP/"):
                to_ffmpeg, to_camera = self._reply(part)
                for_ffmpeg.append(to_ffmpeg)
                for_camera.append(to_camera)
            elif kind == "message":
                for_camera.append(_own_answer(part))
        self._held = self._held[start:]
        return b"".join(for_ffmpeg), b"".join(for_camera)

    def paused(self) -> bytes:
        """What FFmpeg gets when the camera has been silent for a moment."""
        return b"" if self._marks is None else self._marks.paused()

    @property
    def played(self) -> bool:
        """Whether the camera has answered PLAY."""
        return self._early is None

    # what FFmpeg asks

    def _request(self, head: bytes) -> bytes:
        first, *headers = head.replace(b"\r", b"").split(b"\n")
        method, _, rest = first.partition(b" ")
        uri = rest.rpartition(b" ")[0].replace(*self._names, 1)
        number = (_values(headers, b"cseq") or [b"0"])[0]
        kept = [line for line in headers if line and not _is(line, b"cseq") and not _is(line, b"authorization")]
        return self._send(_Request(method, uri, kept, number))

    def _send(self, request: _Request) -> bytes:
        self._number += 1
        self._sent[self._number] = request
        while len(self._sent) > _KEPT_MOST:
            self._sent.popitem(last=False)
        login = self._login.header(request.method.decode("latin-1"), request.uri.decode("latin-1"))
        if request.method == b"PLAY":
            self._playing = True
        lines = [
            request.method + b" " + request.uri + b" RTSP/1.0",
            b"CSeq: %d" % self._number,
            *request.headers,
            *([b"Authorization: " + login.encode()] if login else []),
        ]
        return b"\r\n".join(lines) + b"\r\n\r\n"

    # what the camera says

    def _reply(self, message: bytes) -> tuple[bytes, bytes]:
        head_end = _HEAD_END.search(message)
        assert head_end is not None  # noqa: S101  (it was found before)
        first, *headers = message[: head_end.start()].replace(b"\r", b"").replace(b"\0", b"").split(b"\n")
        body = message[head_end.end() :]
        match = _STATUS.match(first)
        status = int(match[1]) if match else 0
        request = self._asked(headers)
        if status == 100 or request is None:
            return b"", b""
        self._answered = True
        if status in (401, 407):
            asked = [value.decode("latin-1") for value in _values(headers, b"www-authenticate")]
            if self._login.challenged(asked):
                return b"", self._send(request)
            if self._early is None:  # pictures come all the same
                return b"", b""
            raise self._refused_login()
        if status >= 300 or status < 200:
            return self._refused(request, status), b""
        self._login.let_in()
        return self._passed(request, headers, body), b""

    def _asked(self, headers: Sequence[bytes]) -> _Request | None:
        """The request that a reply belongs to: by its number, else the one that waits longest."""
        numbers = [value for value in _values(headers, b"cseq") if value.isdigit()]
        if numbers and int(numbers[0]) in self._sent:
            return self._sent.pop(int(numbers[0]))
        return self._sent.popitem(last=False)[1] if self._sent else None

    def _passed(self, request: _Request, headers: list[bytes], body: bytes) -> bytes:
        """A good reply as FFmpeg is to see it. Raises SourceError."""
        if request.method == b"DESCRIBE":
            body = self.description = admitted(_plain(body), str(self._url))
        if request.method == b"SETUP":
            headers = self._set_up(request, headers)
        kept = [line for line in headers if line and not any(_is(line, name) for name in (b"cseq", b"content-length"))]
        own, name = self._names
        kept = [_plain(line).replace(name, own) if _is(line, b"content-base") else _plain(line) for line in kept]
        kept = [b"CSeq: " + request.number, *kept, *([b"Content-Length: %d" % len(body)] if body else [])]
        reply = b"\r\n".join([b"RTSP/1.0 200 OK", *kept]) + b"\r\n\r\n" + body
        if request.method == b"PLAY" and self._early is not None:
            if self._mark is not None:
                self._marks = EndMarks(payload_types(self.description), self._mark)
                reply += self._marks.first(min(self._channels, default=0))
            early, self._early = self._early, None
            reply += b"".join(map(self._frame, early))
        return reply

    def _set_up(self, request: _Request, headers: list[bytes]) -> list[bytes]:
        """Note the channels of a medium; returns the headers with them. Raises SourceError."""
        agreed = b";".join(_values(headers, b"transport"))
        if b"tcp" not in agreed.lower() and (b"client_port" in agreed or b"multicast" in agreed):
            raise self._no_tcp("answers with another way than it was asked for")
        if _INTERLEAVED.search(agreed) is None:  # as it was asked for, then
            agreed = request.header(b"transport")
            headers = [*(line for line in headers if not _is(line, b"transport")), b"Transport: " + agreed]
        if (found := _INTERLEAVED.search(agreed)) is None:
            raise self._no_tcp("answers with another way than it was asked for")
        self._channels.add(int(found[1]))
        self._reports.add(int(found[2] or int(found[1]) + 1))
        return headers

    def _refused(self, request: _Request, status: int) -> bytes:
        """What FFmpeg gets of a reply that says no. Raises SourceError where nothing can come of it."""
        if 300 <= status < 400:
            if self._early is None:
                return b""
            where = "sends its viewers to another address; add the stream under that one"
            raise SourceError("connection_failed", f"{self._url} {where}")
        if request.method == b"OPTIONS" and self._early is not None:  # not every camera knows it; what follows tells
            methods = b"Public: DESCRIBE, SETUP, PLAY, TEARDOWN"
            return b"\r\n".join([b"RTSP/1.0 200 OK", b"CSeq: " + request.number, methods, b"", b""])
        if request.method in (b"DESCRIBE", b"SETUP", b"PLAY"):
            raise self._refusal(request, status)
        return b"RTSP/1.0 %d No\r\nCSeq: %s\r\n\r\n" % (status if 400 <= status < 600 else 500, request.number)

    def _refusal(self, request: _Request, status: int) -> SourceError:
        if status == 403:
            return SourceError("auth_failed", f"{self._url} does not let this user see it (403)")
        if status in _BUSY:
            what = f"is busy ({status}): it serves as many viewers as it can; close one, or raise its limit"
            return SourceError("connection_failed", f"{self._url} {what}")
        if request.method == b"SETUP" and status in _NO_TCP:
            return self._no_tcp(f"answers {status}")
        if status in _NOT_THERE:
            return SourceError("not_found", f"{self._url}: the camera has no such stream; check the path")
        method = request.method.decode("latin-1")
        if not status:
            return SourceError("connection_failed", f"{self._url}: the camera answered {method} with no status")
        return SourceError("connection_failed", f"{self._url}: the camera answered {method} with an error ({status})")

    def _no_tcp(self, how: str) -> SourceError:
        return SourceError(
            "transport_refused",
            f"{self._url} does not send its video over TCP ({how}), which is what is asked of it; switch RTP over TCP "
            "(interleaved) on in the camera, or put a restreamer between that takes UDP",
        )

    def _refused_login(self) -> SourceError:
        if not self._login:
            return SourceError("auth_failed", f"{self._url} asks for a user name and a password, and was given none")
        return SourceError("auth_failed", f"{self._url} refused the credentials; check user name and password")

    # frames

    def _frame(self, frame: bytes) -> bytes:
        """An interleaved frame as FFmpeg gets it; empty where it gets none."""
        channel, packet = frame[1], frame[4:]
        if not self._playing or not packet or packet[0] >> 6 != 2:
            return b""  # without PLAY it is left over from a session before
        if self._early is not None:
            self._early_bytes += len(frame)
            if self._early_bytes <= MOST_EARLY:
                self._early.append(frame)
            return b""
        if channel in self._channels and len(packet) >= RTP_HEAD:
            return frame if self._marks is None else self._marks.marked(frame)
        return frame if channel in self._reports and len(packet) >= _RTCP_HEAD else b""

    def _next(self, start: int) -> tuple[Literal["frame", "message", "stray"], int] | None:
        """What begins at `start`, and where it ends; None: wait for more."""
        held, begins = self._held, self._held[start : start + _LONGEST_BEGIN]
        if begins.startswith(b"$"):
            end = self._end_of_frame(start)
            if end != start:
                return None if end is None else ("frame", end)
        elif any(begins.startswith(begin) or begin.startswith(begins) for begin in _BEGINS):
            end = self._end_of_message(start)
            if end != start:
                return None if end is None else ("message", end)
        elif held[start : start + 1] in (b"\r", b"\n"):
            return "stray", start + 1
        return "stray", self._end_of_stray(start)

    def _end_of_frame(self, start: int) -> int | None:
        """The end of the frame at `start`; `start` itself where there is none."""
        held = self._held
        if len(held) - start < 4 + self._hunting:
            return None
        end = start + 4 + int.from_bytes(held[start + 2 : start + 4], "big")
        if self._playing and held[start + 1] not in self._channels | self._reports:
            return start
        if self._hunting and (end == start + 4 or held[start + 4] >> 6 != 2):
            return start
        if len(held) < end:
            return None
        if self._hunting and len(held) > end and held[end : end + 1] not in b"$R\r\n":
            return start
        self._hunting = False
        return end

    def _end_of_message(self, start: int) -> int | None:
        """The end of the message at `start`; `start` itself where there is none. Raises SourceError."""
        head_end = _HEAD_END.search(self._held, start)
        head = self._held[start : head_end.start() if head_end else start + LONGEST_HEAD + 1]
        if len(head) > LONGEST_HEAD or b"\n$" in head:
            return self._no_message(start)
        if head_end is None:
            return None
        given = _values(head.split(b"\n"), b"content-length")
        lengths = {int(one) if one.isdigit() and len(one) < 10 else -1 for one in given}
        if len(lengths) > 1 or not 0 <= max(lengths, default=0) <= LONGEST_BODY:
            return self._no_message(start)
        end = head_end.end() + max(lengths, default=0)
        if len(self._held) < end:
            return None
        self._hunting = False
        return end

    def _no_message(self, start: int) -> int:
        """What began like one makes no sense: `start`, to go on behind it. Raises SourceError before pictures flow."""
        if not self._playing:
            raise self.nonsense()
        return start

    def _end_of_stray(self, start: int) -> int:
        """Past bytes that make no sense. Raises SourceError where nothing else ever came."""
        self._hunting = True
        places = [self._held.find(begin, start + 1) for begin in (b"$", b"RTSP/1.")]
        end = min((place for place in places if place >= 0), default=len(self._held))
        self._stray += end - start
        if not self._answered and self._stray > MOST_STRAY:
            raise self.nonsense()
        return end

    def nonsense(self) -> SourceError:
        """Why a session is over that never was one."""
        return SourceError("connection_failed", f"{self._url}: what answered does not speak RTSP")

    @property
    def never_answered(self) -> bool:
        """Whether something came, but no reply in it."""
        return not self._answered and self._stray > 0


def _values(headers: Sequence[bytes], name: bytes) -> list[bytes]:
    """The values of a header, in whatever case its name is written."""
    return [line.partition(b":")[2].strip() for line in headers if _is(line, name)]


def _is(line: bytes, name: bytes) -> bool:
    return line.partition(b":")[0].strip().lower() == name


def _plain(text: bytes) -> bytes:
    """Text that every reader takes: what is neither UTF-8 nor fit to be printed becomes a question mark."""
    text = text.replace(b"\0", b"")
    try:
        text.decode()
    except UnicodeDecodeError:
        return bytes(one if one < 128 else 63 for one in text)
    return text


def _own_answer(message: bytes) -> bytes:
    """The answer to a camera's own request: it is heard, and nothing comes of it."""
    method = message.partition(b" ")[0]
    number = (_values(message.split(b"\n"), b"cseq") or [b"0"])[0]
    known = method in (b"OPTIONS", b"GET_PARAMETER", b"SET_PARAMETER", b"ANNOUNCE", b"PLAY_NOTIFY")
    status = b"200 OK" if known else b"501 Not Implemented"
    return b"RTSP/1.0 %s\r\nCSeq: %s\r\n\r\n" % (status, number if number.isdigit() else b"0")
