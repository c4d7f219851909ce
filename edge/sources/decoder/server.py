"""The process that decoders are forked from: `python -m edge.sources.decoder.server FD`.

It has one thread and imports all that a decoder needs once, so that a new decoder costs one fork. It ends, and its
decoders with it, when the other end of the socket FD is closed, by whatever death of its owner. A decoder gives up
what it needs not, then does its job, or says why that is not possible.
"""

import contextlib
import ctypes
import gc
import os
import resource
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from edge.sources.decoder.connection import camera_error
from edge.sources.decoder.gstreamer import decode_with_gstreamer
from edge.sources.decoder.messages import Exited, Job, Started, Task, pack_error
from edge.sources.decoder.pictures import decode_on_cpu, decode_on_gpu, hand_packets_over
from edge.sources.decoder.ring import Outlet, PictureRing, Stop

LONGEST_JOB = 16384
TASKS: Mapping[Task, Callable[[Outlet, Job], None]] = {
    "cpu": decode_on_cpu,
    "gpu": decode_on_gpu,
    "packets": hand_packets_over,
    "gstreamer": decode_with_gstreamer,
}
_WITH_DRIVER: tuple[Task, ...] = ("gpu", "gstreamer")


def run(channel: socket.socket) -> None:
    """Do the job that comes over `channel` until its other end is closed, or say why that is not possible."""
    message, descriptors, _, _ = socket.recv_fds(channel, LONGEST_JOB, 1)
    if not message:
        return
    job = Job.unpack(message)
    outlet = Outlet(channel, PictureRing(descriptors[0], job.settings.max_pixels))
    os.close(descriptors[0])
    confine(None if job.task in _WITH_DRIVER else job.settings.decoder_memory_mb)
    began_s = time.monotonic()
    try:
        TASKS[job.task](outlet, job)
    except Stop:
        return
    except Exception as error:  # FFmpeg's, ours or a bug: the reader is told before this process ends
        failure = camera_error(error, job.url, job.settings, time.monotonic() - began_s)
        with contextlib.suppress(OSError):
            channel.send(pack_error(failure))


_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _PR_SET_DUMPABLE = 1, 38, 4
_MOST_DESCRIPTORS, _MOST_WITH_GPU = 64, 512


def end_with(parent_pid: int) -> None:
    """Let the kernel kill this process when its parent dies."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:  # it died meanwhile
        os._exit(1)


def confine(memory_mb: int | None) -> None:
    """Allow this process `memory_mb` more address space than it has now, no file, no core dump and no privilege.

    None: as much as it likes, and more devices: a GPU's driver reserves the addresses of all its memory, and of the
    host's.
    """
    limits = {resource.RLIMIT_FSIZE: 0, resource.RLIMIT_CORE: 0, resource.RLIMIT_NOFILE: _MOST_WITH_GPU}
    if memory_mb is not None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        space = pages * resource.getpagesize() + memory_mb * 2**20
        limits |= {resource.RLIMIT_AS: space, resource.RLIMIT_NOFILE: _MOST_DESCRIPTORS}
    for limit, value in limits.items():
        hard = resource.getrlimit(limit)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (value, value))
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _prctl(_PR_SET_DUMPABLE, 0)  # the camera's password is in its memory


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option})")


def main() -> None:
    """Fork a decoder for every socket that arrives."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the owner decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    control = socket.socket(fileno=int(sys.argv[1]))
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
                _, descriptors, _, _ = socket.recv_fds(control, 1, 1)
                if not descriptors:
                    return  # the owner is gone; the kernel kills the children
                pidfd, pid, channel = _fork(socket.socket(fileno=descriptors[0]))
                children[pidfd] = pid, channel
                selector.register(pidfd, selectors.EVENT_READ)
                with contextlib.suppress(OSError):
                    socket.send_fds(channel, [Started(pid).pack()], [pidfd])


def _fork(channel: socket.socket) -> tuple[int, int, socket.socket]:
    """Start a decoder on `channel`; returns a descriptor of the process, its id, and the channel."""
    server_pid = os.getpid()
    pid = os.fork()
    if pid:
        return os.pidfd_open(pid), pid, channel
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
