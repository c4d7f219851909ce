"""`Relay`: the way between FFmpeg and a camera, so that FFmpeg itself never reaches into the network.

FFmpeg resolves names by itself, every time, and follows an RTSP redirect to any address that the camera names. So it
gets an address of this machine instead, behind which the relay connects to addresses that were checked, speaks TLS
under the camera's own name, and lets no redirect pass. To the camera it looks like a router's port forwarding.
"""

import contextlib
import selectors
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Self

from edge.sources.base import SourceError
from edge.sources.rtsp.camera_url import CameraUrl
from edge.sources.rtsp.reply_gate import ReplyGate
from edge.sources.rtsp.rtp import EndMarks, payload_types
from edge.sources.settings import SourceSettings

CHUNK = 1 << 16
"""Bytes read at once; FFmpeg's requests are far smaller, so each comes as one piece."""


class Relay:
    """One connection; a context manager. `url` is what FFmpeg opens; `failure` is why the camera was cut off, if so."""

    def __init__(
        self,
        url: CameraUrl,
        settings: SourceSettings,
        mark: bytes | None = None,
        on_connected: Callable[[], None] = lambda: None,
    ) -> None:
        """Connect to the camera. `mark`: put in behind each picture, see `EndMarks`. Raises SourceError, OSError.

        `on_connected`: called once FFmpeg is connected, too, and before a byte of the camera is read, TLS's included.
        """
        self.failure: SourceError | None = None
        self._url, self._settings, self._on_connected = url, settings, on_connected
        self._tls = _tls(settings) if url.scheme == "rtsps" else None  # reads files
        self._camera = _connect(url, settings)
        self._gate, self._mark = ReplyGate(url), mark
        self._marks: EndMarks | None = None
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1)
        self._listener.settimeout(settings.connect_timeout_s)
        self.url = replace(url, scheme="rtsp", host="127.0.0.1", port=self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._run, name=f"relay {url.host}:{url.port}", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

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
                    if self._tls is not None:
                        self._secure(self._tls)
                    self._pass_on(ffmpeg)
                except SourceError as error:
                    self.failure = error

    def _pass_on(self, ffmpeg: socket.socket) -> None:
        """Carry bytes both ways until one side hangs up. Raises SourceError, OSError."""
        self._camera.settimeout(self._settings.connect_timeout_s + self._settings.stall_timeout_s)  # of a hung record
        with selectors.DefaultSelector() as selector:
            for side in (ffmpeg, self._camera):
                selector.register(side, selectors.EVENT_READ)
            while True:
                decrypted = isinstance(self._camera, ssl.SSLSocket) and self._camera.pending() > 0
                readable = [self._camera] if decrypted else [key.fileobj for key, _ in selector.select()]
                if ffmpeg in readable:
                    request = ffmpeg.recv(CHUNK)
                    if not request:
                        return
                    if request.startswith(b"PLAY "):
                        ffmpeg.sendall(self._open())
                    self._camera.sendall(request)
                if self._camera in readable:
                    reply = self._receive()
                    if reply == b"":
                        return
                    if reply:
                        ffmpeg.sendall(self._passes(reply))

    def _secure(self, context: ssl.SSLContext) -> None:
        """Speak TLS from now on. Raises SourceError."""
        url, host = self._url, self._url.host.strip("[]")
        try:
            camera = context.wrap_socket(self._camera, server_hostname=host, do_handshake_on_connect=False)
            self._camera = camera
            camera.do_handshake()
        except ssl.SSLCertVerificationError as error:
            remedy = "give its certificate as ca_file, or set tls_verify to false"
            told = f"{url}: certificate not trusted ({error.verify_message}); {remedy}"
            raise SourceError("tls_certificate", told) from None
        except ssl.SSLError:
            raise SourceError("tls_handshake", f"{url} does not speak TLS on this port; try rtsp://") from None
        except OSError:
            raise SourceError("tls_handshake", f"{url} does not answer TLS on this port; try rtsp://") from None

    def _open(self) -> bytes:
        """The session is set up: what follows is media; returns what was held back."""
        held = self._gate.open()
        if self._marks is None and self._mark is not None:
            self._marks = EndMarks(payload_types(self._gate.description), self._mark)
        return self._passes(held)

    def _passes(self, received: bytes) -> bytes:
        """The bytes that FFmpeg may have by now. Raises SourceError."""
        passed = self._gate.passes(received)
        return passed if self._marks is None else self._marks.passes(passed)

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


def _connect(url: CameraUrl, settings: SourceSettings) -> socket.socket:
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
        return plain
    raise failure or SourceError("connection_failed", f"{url}: the name has no address")


def _tls(settings: SourceSettings) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=settings.ca_file)
    if not settings.tls_verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
