"""`Relay`: the way between FFmpeg and a camera, so that FFmpeg itself never reaches into the network.

FFmpeg resolves names by itself, every time, and follows an RTSP redirect to any address that the camera names. So it
gets an address of this machine instead, behind which the relay connects to addresses that were checked, speaks TLS
under the camera's own name, and logs in; what passes is the matter of `edge.sources.rtsp.conversation`.
"""

import contextlib
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Self

from edge.sources.base import SourceError
from edge.sources.rtsp.camera_url import CameraUrl
from edge.sources.rtsp.conversation import Conversation
from edge.sources.settings import SourceSettings

SECURE = ("rtsps", "https")
CHUNK = 1 << 16
"""Bytes read at once."""
PAUSE_S = 0.2
"""A camera that is silent for so long behind a picture is done with it."""


class Relay:
    """One connection; a context manager. `url` is what FFmpeg opens; it has no credentials."""

    def __init__(
        self,
        url: CameraUrl,
        settings: SourceSettings,
        mark: bytes | None = None,
        on_connected: Callable[[], None] = lambda: None,
    ) -> None:
        """Connect to the camera. `mark`: put in behind each picture, see `EndMarks`. Raises SourceError, OSError.

        `on_connected`: called once FFmpeg is connected, too, and before a word of the camera is read.
        """
        self._on_connected = on_connected
        self._url, self._connect_timeout_s = url, settings.connect_timeout_s
        self._failure: SourceError | None = None
        self._camera = dial(url, settings)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1)
        self._listener.settimeout(settings.connect_timeout_s)
        port = self._listener.getsockname()[1]
        self.url = replace(url, scheme="rtsp", host="127.0.0.1", port=port, username=None, password=None)
        self._conversation = Conversation(url, self.url, mark)
        self._thread = threading.Thread(target=self._run, name=f"relay {url.host}:{url.port}", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    @property
    def failure(self) -> SourceError | None:
        """Why the camera was cut off, if so, or why nothing can have come of it."""
        if self._failure is None and self._conversation.never_answered:
            return self._conversation.nonsense()
        return self._failure

    def close(self) -> None:
        """Hang up on both sides."""
        for side in (self._listener, self._camera):
            with contextlib.suppress(OSError):  # wakes the thread, which closes them
                socket.socket.shutdown(side, socket.SHUT_RDWR)  # TLS's own would pull the rug from under the thread
        self._thread.join()

    def _run(self) -> None:
        with self._camera, self._listener, contextlib.suppress(OSError):
            ffmpeg, _ = self._listener.accept()
            self._listener.close()
            with ffmpeg:
                self._on_connected()
                ffmpeg.settimeout(None)  # FFmpeg reads when its reader does; `close` ends the wait
                try:
                    self._pass_on(ffmpeg)
                except SourceError as error:
                    self._failure = error
                except (ValueError, LookupError):  # nothing that a camera sends should do this
                    self._failure = SourceError(
                        "internal", "what this camera sends is not understood; please report it"
                    )

    def _pass_on(self, ffmpeg: socket.socket) -> None:
        """Carry bytes both ways until one side hangs up. Raises SourceError, OSError."""
        deadline_s = time.monotonic() + self._connect_timeout_s
        with selectors.DefaultSelector() as selector:
            for side in (ffmpeg, self._camera):
                selector.register(side, selectors.EVENT_READ)
            while True:
                decrypted = isinstance(self._camera, ssl.SSLSocket) and self._camera.pending() > 0
                readable = [self._camera] if decrypted else [key.fileobj for key, _ in selector.select(PAUSE_S)]
                if not readable:
                    ffmpeg.sendall(self._conversation.paused())
                if not self._conversation.played and time.monotonic() > deadline_s:
                    limit = f"{self._connect_timeout_s:g} s"
                    raise SourceError("timeout", f"{self._url} did not answer in {limit}")
                if ffmpeg in readable:
                    request = ffmpeg.recv(CHUNK)
                    if not request:
                        return
                    self._camera.sendall(self._conversation.from_ffmpeg(request))
                if self._camera in readable:
                    reply = self._receive()
                    if reply == b"":
                        return
                    if reply:
                        for_ffmpeg, for_camera = self._conversation.from_camera(reply)
                        self._camera.sendall(for_camera)
                        ffmpeg.sendall(for_ffmpeg)

    def _receive(self) -> bytes | None:
        """What the camera sent, b"" at its end; None where TLS had a message of its own only, such as a ticket."""
        patience_s = self._camera.gettimeout()
        self._camera.settimeout(0)
        try:
            return self._camera.recv(CHUNK)
        except (ssl.SSLWantReadError, BlockingIOError):
            return None
        finally:
            self._camera.settimeout(patience_s)


def dial(url: CameraUrl, settings: SourceSettings) -> socket.socket:
    """A connection to the first address of the camera that answers. Raises SourceError, OSError."""
    host = url.host.strip("[]")
    failure: OSError | None = None
    for address in settings.resolve(host, url.port):
        try:
            plain = socket.create_connection((address, url.port), settings.connect_timeout_s)
        except OSError as error:
            failure = error
            continue
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        camera = _secure(plain, host, url, settings) if url.scheme in SECURE else plain
        camera.settimeout(settings.connect_timeout_s + settings.stall_timeout_s)  # a hung TLS record ends, too
        return camera
    raise failure or SourceError("connection_failed", f"{url}: the name has no address")


def _secure(plain: socket.socket, host: str, url: CameraUrl, settings: SourceSettings) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=settings.ca_file)
    if not settings.tls_verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        return context.wrap_socket(plain, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        remedy = "give its certificate as ca_file, or set tls_verify to false"
        failure = SourceError("tls_certificate", f"{url}: certificate not trusted ({error.verify_message}); {remedy}")
    except ssl.SSLError:
        failure = SourceError("tls_handshake", f"{url} does not speak TLS on this port; try rtsp://")
    except OSError:
        failure = SourceError("tls_handshake", f"{url} does not answer TLS on this port; try rtsp://")
    plain.close()
    raise failure
