"""`CameraSession`: one connection to a camera, made and decoded by a process of its own."""

import signal
from dataclasses import dataclass
from typing import NoReturn

from edge.arrays import U8
from edge.sources.base import SourceError
from edge.sources.camera_url import CameraUrl
from edge.sources.decoder.messages import Exited, Job, Picture
from edge.sources.decoder.process import DecoderProcess, DecoderServer
from edge.sources.settings import SourceSettings


@dataclass(frozen=True, slots=True)
class Arrival:
    """A decoded picture and what is known of it."""

    image: U8  # (H, W, 3) BGR, the reader's own copy
    picture: Picture


class CameraSession:
    """Connects on construction; `next()` hands out what came. Belongs to one thread, which has to `close` it."""

    def __init__(self, url: CameraUrl, settings: SourceSettings, decoders: DecoderServer) -> None:
        """`settings.resolve` goes to another process. Raises SourceError decoder_crashed."""
        self._url = url
        self._process = DecoderProcess(Job(url, settings), decoders)

    @property
    def decoder_pid(self) -> int:
        """Process id of the decoder."""
        return self._process.pid

    def next(self, timeout_s: float) -> Arrival | None:
        """The next picture, or None when none came in time. Raises SourceError when the session is over."""
        message = self._process.hear(timeout_s)
        if message is None:
            return None
        if isinstance(message, SourceError):
            raise message
        if isinstance(message, Exited):
            self._crashed(f"died ({_cause_of_death(message.code)})")
        if not isinstance(message, Picture):
            self._crashed("sends nonsense")
        try:
            image = self._process.ring.read(message.slot, message.width, message.height)
        except ValueError:
            self._crashed("sends nonsense")
        self._process.give_back(message.slot)
        return Arrival(image, message)

    def close(self, patience_s: float = 0.0) -> None:
        """Hang up; a decoder that has not ended after `patience_s` is killed."""
        self._process.close(patience_s)

    def _crashed(self, how: str) -> NoReturn:
        raise SourceError("decoder_crashed", f"the decoder of {self._url} {how}; what the camera sends may be broken")


def _cause_of_death(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
