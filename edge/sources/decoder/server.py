"""The process that decoders are forked from: `python -m edge.sources.decoder.server FD`.

It has one thread and imports all that a decoder needs once, so that a new decoder costs one fork. It ends, and its
decoders with it, when the other end of the socket FD is closed, by whatever death of its owner. A decoder gives up
what it needs not, then does its job, or says why that is not possible.
"""

import contextlib
import gc
import os
import pkgutil
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path

import av

from edge.sources.base import SourceError
from edge.sources.decoder.connection import NeedsParser, camera_error
from edge.sources.decoder.gstreamer import decode_with_gstreamer
from edge.sources.decoder.limits import confine, end_with
from edge.sources.decoder.messages import NEEDS_PARSER, Exited, Job, Started, Task, pack_error
from edge.sources.decoder.pictures import decode_on_cpu, decode_on_gpu, hand_packets_over
from edge.sources.decoder.probe import probe_gpu, probe_gstreamer
from edge.sources.decoder.ring import Outlet, PictureRing, Stop

LONGEST_JOB = 16384
TASKS: Mapping[Task, Callable[[Outlet, Job], None]] = {
    "cpu": decode_on_cpu,
    "gpu": decode_on_gpu,
    "packets": hand_packets_over,
    "gstreamer": decode_with_gstreamer,
    "probe-gpu": probe_gpu,
    "probe-gstreamer": probe_gstreamer,
}


def run(channel: socket.socket) -> None:
    """Do the job that comes over `channel` until its other end is closed, or say why that is not possible."""
    message, descriptors, _, _ = socket.recv_fds(channel, LONGEST_JOB, 1)
    if not message:
        return
    job = Job.unpack(message)
    outlet = Outlet(channel, PictureRing(descriptors[0], job.settings.max_pixels))
    os.close(descriptors[0])
    ca_file = job.settings.ca_file
    confine(None if job.with_driver else job.settings.decoder_memory_mb, () if ca_file is None else (Path(ca_file),))
    began_s = time.monotonic()
    try:
        TASKS[job.task](outlet, job)
    except Stop:
        return
    except NeedsParser:
        os._exit(NEEDS_PARSER)
    except Exception as error:  # FFmpeg's, ours or a bug: the reader is told before this process ends
        failure = camera_error(error, job.url, job.settings, time.monotonic() - began_s)
        with contextlib.suppress(OSError):
            channel.send(pack_error(failure))


def main() -> None:
    """Fork a decoder for every socket that arrives."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the owner decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    control = socket.socket(fileno=int(sys.argv[1]))
    _import_what_comes_late()
    gc.freeze()
    children: dict[int, tuple[int, socket.socket]] = {}  # pidfd -> pid, channel
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is not control:
                    selector.unregister(key.fileobj)
                    _reap(key.fd, *children.pop(key.fd))
                    continue
                message, descriptors, _, _ = socket.recv_fds(control, 1, 1)
                if not message:
                    return  # the owner is gone; the kernel kills the children
                if not descriptors:
                    continue  # there is none free; the kernel has closed the channel, so that its reader knows
                channel = socket.socket(fileno=descriptors[0])
                try:
                    pidfd, pid = _fork(channel)
                except (OSError, MemoryError) as error:  # this camera's alone: all others go on
                    _refuse(channel, error)
                    continue
                children[pidfd] = pid, channel
                selector.register(pidfd, selectors.EVENT_READ)
                with contextlib.suppress(OSError):
                    socket.send_fds(channel, [Started(pid).pack()], [pidfd])


def _import_what_comes_late() -> None:
    """A decoder that is sealed opens no file, so none of a module that would be imported at its first use."""
    for module in pkgutil.walk_packages(av.__path__, "av."):
        if not module.name.startswith("av.__"):
            with contextlib.suppress(ImportError):
                import_module(module.name)
    "a".encode("idna")


def _refuse(channel: socket.socket, error: Exception) -> None:
    """Say why no decoder was started, and hang up."""
    why = (isinstance(error, OSError) and error.strerror) or "no memory"
    with channel, contextlib.suppress(OSError):
        failure = SourceError("decoder_crashed", f"the system starts no more processes ({why})")
        channel.send(pack_error(failure), socket.MSG_DONTWAIT)


def _fork(channel: socket.socket) -> tuple[int, int]:
    """Start a decoder on `channel`; returns a descriptor of the process and its id. Raises OSError, leaving none."""
    server_pid = os.getpid()
    pid = os.fork()
    if pid:
        try:
            return os.pidfd_open(pid), pid
        except OSError:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise
    code = 1
    try:
        end_with(server_pid)
        _close_all_but(channel.fileno())
        os.dup2(0, 2)  # stdin is /dev/null: a decoder has nothing to say but to its reader
        run(channel)
        code = 0
    finally:
        os._exit(code)


def _close_all_but(kept: int) -> None:
    """Nothing of the server's or of another camera's is open in a decoder."""
    for fd in (int(name) for name in os.listdir("/proc/self/fd")):
        if fd > 2 and fd != kept:
            with contextlib.suppress(OSError):  # the listing's own is closed already
                os.close(fd)


def _reap(pidfd: int, pid: int, channel: socket.socket) -> None:
    """A decoder ended: say how, as the last message on its channel."""
    _, status = os.waitpid(pid, 0)
    os.close(pidfd)
    with contextlib.suppress(OSError):
        channel.send(Exited(os.waitstatus_to_exitcode(status)).pack(), socket.MSG_DONTWAIT)
    channel.close()


if __name__ == "__main__":
    main()
