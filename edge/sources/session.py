"""Connections to cameras, each made and decoded by a process of its own."""

import logging
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NoReturn, Protocol

from edge.ops.pixels import Pixels, coloured
from edge.sources.base import SourceError
from edge.sources.decoder.messages import NEEDS_PARSER, Exited, Job, Message, Note, Packet, Picture, Task, Waiting
from edge.sources.decoder.process import DecoderProcess, DecoderServer
from edge.sources.rtsp.camera_url import CameraUrl
from edge.sources.settings import SourceSettings

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DecodedPicture:
    """A decoded picture and what is known of it."""

    pixels: Pixels  # the reader's own
    picture: Picture


class Session(Protocol):
    """One connection. Belongs to one thread, which has to `close` it."""

    @property
    def decoder_pid(self) -> int:
        """Process id of the decoder."""
        ...

    def next(self, timeout_s: float) -> DecodedPicture | Waiting | None:
        """The next picture, a sign that packets flow, or None when neither came in time.

        Raises SourceError when the session is over, DecodingRefused when another kind of session would do better.
        """
        ...

    def close(self, patience_s: float = 0.0) -> None:
        """Hang up; a decoder that has not ended after `patience_s` is killed."""
        ...


class DecodingRefused(Exception):
    """This machine's GPU does not decode what this camera sends; the message says what that is."""


Connect = Callable[[CameraUrl, SourceSettings, DecoderServer], Session]
"""Opens a session; `settings.resolve` goes to another process. Raises SourceError decoder_crashed."""


class Link:
    """The decoder process of one camera, heard out as far as all sessions do."""

    def __init__(self, url: CameraUrl, settings: SourceSettings, decoders: DecoderServer, task: Task) -> None:
        self._url, self._job, self._decoders = url, Job(url, settings, task), decoders
        self._process = DecoderProcess(self._job, decoders)

    @property
    def pid(self) -> int:
        return self._process.pid

    def receive(self, timeout_s: float) -> Message | None:
        """What came, None when nothing came in time. Raises SourceError when the session is over."""
        message = self._process.receive(timeout_s)
        if isinstance(message, SourceError):
            raise message
        if isinstance(message, Exited) and message.code == NEEDS_PARSER and not self._job.parsed:
            self._process.close(0)
            self._job = replace(self._job, parsed=True)
            self._process = DecoderProcess(self._job, self._decoders)
            return None
        if isinstance(message, Exited):
            self.crashed(f"died ({_cause_of_death(message.code)})")
        if isinstance(message, Note):
            logger.warning("%s: %s", self._url, message.text)
            return None
        return message

    def pixels(self, picture: Picture) -> Pixels:
        """Take a picture out of its slot. Raises SourceError."""
        try:
            pixels = self._process.ring.read(picture.slot, picture.width, picture.height, picture.nv12 is not None)
        except ValueError:
            self.crashed("sends nonsense")
        self._process.give_back(picture.slot)
        return pixels if picture.nv12 is None else coloured(pixels, picture.nv12)

    def payload(self, packet: Packet) -> bytes:
        """Take a packet out of its slot. Raises SourceError."""
        try:
            payload = self._process.ring.read_bytes(packet.slot, packet.nbytes)
        except ValueError:
            self.crashed("sends nonsense")
        self._process.give_back(packet.slot)
        return payload

    def crashed(self, how: str) -> NoReturn:
        """Raise SourceError decoder_crashed."""
        raise SourceError("decoder_crashed", f"the decoder of {self._url} {how}; what the camera sends may be broken")

    def close(self, patience_s: float) -> None:
        self._process.close(patience_s)


class CameraSession:
    """A session whose decoder process hands out pictures."""

    def __init__(self, url: CameraUrl, settings: SourceSettings, decoders: DecoderServer, task: Task = "cpu") -> None:
        self._link = Link(url, settings, decoders, task)

    @property
    def decoder_pid(self) -> int:
        return self._link.pid

    def next(self, timeout_s: float) -> DecodedPicture | Waiting | None:
        message = self._link.receive(timeout_s)
        if message is None or isinstance(message, Waiting):
            return message
        if not isinstance(message, Picture):
            self._link.crashed("sends nonsense")
        return DecodedPicture(self._link.pixels(message), message)

    def close(self, patience_s: float = 0.0) -> None:
        self._link.close(patience_s)


def on_cpu(url: CameraUrl, settings: SourceSettings, decoders: DecoderServer) -> CameraSession:
    """A session that FFmpeg decodes by itself, whatever the codec: what every other one falls back to."""
    return CameraSession(url, settings, decoders)


def _cause_of_death(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
