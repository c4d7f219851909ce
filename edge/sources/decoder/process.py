"""The reader's side of decoder processes: start one, listen to it, kill it."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from edge.sources.base import SourceError
from edge.sources.decoder.messages import LONGEST, Exited, Job, Message, Started, unpack
from edge.sources.decoder.ring import PictureRing

START_TIMEOUT_S = 30.0
"""Time for the server to import FFmpeg, on the slowest of machines, and to fork."""
FORK_TIMEOUT_S = 10.0
"""Time to fork for a server that has done so before; one that takes longer hangs, and is replaced."""
END_TIMEOUT_S = 5.0
_ROOT = Path(__file__).resolve().parents[3]
_KEPT = (
    *("LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "TZ", "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"),
    "CUDA_MPS_PIPE_DIRECTORY",
    *("HOME", "XDG_CACHE_HOME"),  # GStreamer's list of plugins, which takes seconds to make and a decoder cannot write
)
_ENVIRONMENT = {
    "PYTHONPATH": str(_ROOT),
    "OMP_NUM_THREADS": "1",  # a process that forks has one thread
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",  # glibc reserves address space for each, which counts against a decoder's limit
}
"""All that decoders see of this process's environment, which may hold secrets."""


class DecoderServer:
    """Starts the process that decoders are forked from with its first user and ends it with the last one."""

    def __init__(self, module: str = "edge.sources.decoder.server") -> None:
        """`module`: what is run as the server."""
        self._module = module
        self._lock = threading.Lock()
        self._users = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._proven = False
        self._retired: list[tuple[subprocess.Popen[bytes], socket.socket]] = []

    def __enter__(self) -> "DecoderServer":
        with self._lock:
            self._users += 1
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                self._end()

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs."""
        return None if self._process is None else self._process.pid

    def fork(self, channel: socket.socket) -> tuple[int, float]:
        """Start a decoder that owns `channel`. Raises OSError where that is not possible.

        Returns the id of the process that was asked, for `proven` or `hangs`, and how long it may take.
        """
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._end_present()
                self._start()
            assert self._control is not None and self._process is not None  # noqa: S101
            try:
                socket.send_fds(self._control, [b"f"], [channel.fileno()], socket.MSG_DONTWAIT)
            except BlockingIOError:  # it has not looked for long
                self._retire()
                raise OSError("the server of decoders hangs; another one takes its place") from None
            return self._process.pid, FORK_TIMEOUT_S if self._proven else START_TIMEOUT_S

    def proven(self, pid: int) -> None:
        """A decoder of this server started."""
        with self._lock:
            self._proven = self._proven or self.pid == pid

    def hangs(self, pid: int) -> None:
        """This server did not fork in time: the next decoder comes from another one."""
        with self._lock:
            if self.pid == pid:
                self._retire()

    def _retire(self) -> None:
        """Leave a server alone until there are no users: its decoders may be well, and end with it."""
        assert self._process is not None and self._control is not None  # noqa: S101
        self._retired.append((self._process, self._control))
        self._process = self._control = None

    def _start(self) -> None:
        self._proven = False
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environment = _ENVIRONMENT | {name: os.environ[name] for name in _KEPT if name in os.environ}
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603  (this program itself)
                [sys.executable, "-m", self._module, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )

    def _end(self) -> None:
        for process, control in self._retired:
            control.close()
            process.kill()
            process.wait()
        self._retired.clear()
        self._end_present()

    def _end_present(self) -> None:
        """It ends by itself once the socket is closed, unless it hangs."""
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            try:
                self._process.wait(END_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._control = self._process = None


DECODERS = DecoderServer()
"""This process's: a fork server is one by nature, and costs nothing while no camera is read."""


class DecoderProcess:
    """One decoder at work. Belongs to one thread, which has to `close` it."""

    def __init__(self, job: Job, server: DecoderServer) -> None:
        """Start it. Raises SourceError decoder_crashed where the system does not let us."""
        self._job = job
        self.pid = 0
        self._pidfd = -1
        try:
            self.ring, ring_fd = PictureRing.create(job.settings.max_pixels)
            try:
                self._start(server, ring_fd)
            finally:
                os.close(ring_fd)
        except OSError as error:
            raise SourceError("decoder_crashed", f"no decoder could be started for {job.url}: {error}") from None

    def receive(self, timeout_s: float) -> Message | None:
        """The next message, None when none came in time. Raises SourceError decoder_crashed when nothing can come."""
        try:
            message = self._receive(timeout_s)
        except TimeoutError:
            return None
        if not message:
            raise SourceError("decoder_crashed", f"the decoder of {self._job.url} is gone")
        try:
            return unpack(message)
        except (ValueError, RecursionError):
            raise SourceError("decoder_crashed", f"the decoder of {self._job.url} sends nonsense") from None

    def give_back(self, slot: int) -> None:
        """The picture in `slot` was read."""
        with contextlib.suppress(OSError):  # of a dead decoder the next `receive` tells
            self._channel.send(bytes((slot,)))

    def close(self, patience_s: float) -> None:
        """End the decoder: by asking, so that it takes leave of its camera, and after `patience_s` by killing."""
        with contextlib.suppress(OSError):
            self._channel.shutdown(socket.SHUT_WR)
        if not self._gone(patience_s) and self._pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            self._gone(END_TIMEOUT_S)
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1
        self._channel.close()
        self.ring.close()

    def _start(self, server: DecoderServer, ring_fd: int) -> None:
        """Raises OSError, leaving nothing behind."""
        try:
            self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        except OSError:
            self.ring.close()
            raise
        try:
            with theirs:
                server_pid, patience_s = server.fork(theirs)
            try:
                self._await_start(patience_s)
            except TimeoutError:
                server.hangs(server_pid)
                raise OSError("the server of decoders hangs; another one takes its place") from None
            server.proven(server_pid)
            socket.send_fds(self._channel, [self._job.pack()], [ring_fd])
        except OSError:
            self.close(0)
            raise

    def _await_start(self, patience_s: float) -> None:
        self._channel.settimeout(patience_s)
        message, descriptors, _, _ = socket.recv_fds(self._channel, LONGEST, 1)
        if not message:
            raise OSError("the server of decoders did not start")
        started = unpack(message)
        if isinstance(started, SourceError):
            raise OSError(str(started))
        if not isinstance(started, Started) or not descriptors:
            raise OSError("there are no file descriptors left")
        self.pid, self._pidfd = started.pid, descriptors[0]

    def _gone(self, patience_s: float) -> bool:
        """Whether the process ended in time; what it still said is not wanted any more."""
        deadline_s = time.monotonic() + patience_s
        with contextlib.suppress(TimeoutError):
            while (left_s := deadline_s - time.monotonic()) > 0:
                if self._receive(left_s)[:1] in (b"", Exited.KIND):
                    return True
        return False

    def _receive(self, timeout_s: float) -> bytes:
        """The next datagram, b"" when there is none any more. Raises TimeoutError."""
        self._channel.settimeout(timeout_s)
        try:
            return self._channel.recv(LONGEST)
        except ConnectionResetError:
            # The decoder died before it heard all that we said, which comes first; what it said is still there.
            return self._channel.recv(LONGEST)
