"""A server of decoders whose decoders are in the hands of an attacker, once they are connected to their camera.

Stands in for `edge.sources.decoder.server`: everything but the work itself is the real thing, so that what is tried
here is tried with the rights that a crafted video would have.
"""

import ctypes
import json
import mmap
import os
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from edge.sources.base import SourceError
from edge.sources.decoder import server
from edge.sources.decoder.connection import relayed
from edge.sources.decoder.messages import Job
from edge.sources.decoder.ring import Outlet

MPS = os.environ.get("CUDA_MPS_PIPE_DIRECTORY", "")
LIBC = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: Any) -> None:
    if getattr(LIBC, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)


def syscall(number: int, *arguments: Any) -> None:
    if LIBC.syscall(number, *arguments) < 0:
        raise OSError(ctypes.get_errno(), str(number))


def runs_code_of_its_own() -> None:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def starts_a_thread() -> None:
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()


def memory_file() -> None:
    """As CUDA's driver makes them."""
    fd = os.memfd_create("cuda", os.MFD_CLOEXEC)
    os.ftruncate(fd, 64 << 20)
    mmap.mmap(fd, 64 << 20).close()
    os.close(fd)


def reserve(size: int) -> None:
    mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_NORESERVE, mmap.PROT_READ).close()


def datagram(port: int) -> None:
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"secret", ("127.0.0.1", port))


def attacks(state: str, port: int, unix: str) -> dict[str, Callable[[], object]]:
    return {
        "read the state file": lambda: open(state, "rb").read(1),
        "remove the state file": lambda: os.unlink(state),
        "overwrite the state file": lambda: os.open(state, os.O_WRONLY | os.O_TRUNC),
        "rename the state file": lambda: os.rename(state, state + "x"),
        "link to the state file": lambda: os.link(state, state + "y"),
        "make a file beside it": lambda: os.open(state + "z", os.O_WRONLY | os.O_CREAT),
        "make a folder": lambda: os.mkdir(state + "d"),
        "list its folder": lambda: os.listdir(os.path.dirname(state)),
        "read the service's environment": lambda: open(f"/proc/{os.getppid()}/environ", "rb").read(1),
        "read the service's memory": lambda: open(f"/proc/{os.getppid()}/mem", "rb").read(1),
        "connect by TCP": lambda: socket.create_connection(("127.0.0.1", port), 1),
        "connect by TCP over IPv6": lambda: socket.create_connection(("::1", port), 1),
        "send a datagram": lambda: datagram(port),
        "connect to a socket in the file system": lambda: socket.socket(socket.AF_UNIX).connect(unix),
        "listen": lambda: socket.create_server(("127.0.0.1", 0)),
        "send raw packets": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
        "ask the kernel about the network": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
        "start a program": lambda: os.execv("/bin/true", ["true"]),  # noqa: S606
        "fork": os.fork,
        "start a program by posix_spawn": lambda: os.posix_spawn("/bin/true", ["true"], {}),
        "kill the server": lambda: os.kill(os.getppid(), 0),
        "open a process": lambda: os.pidfd_open(os.getppid()),
        "trace the server": lambda: call("ptrace", 16, os.getppid(), 0, 0),
        "leave by a namespace": lambda: call("unshare", 0x10000000),
        "mount": lambda: call("mount", b"none", b"/mnt", b"tmpfs", 0, None),
        "use io_uring": lambda: syscall(425, 1, ctypes.create_string_buffer(256)),
        "load a program into the kernel": lambda: call("syscall", 321, 0, None, 0),
    }


def needs() -> dict[str, Callable[[], object]]:
    """What a driver of a GPU does."""
    return {
        "make a file in memory and give it a size": memory_file,
        "map memory that may be run": runs_code_of_its_own,
        "start a thread": starts_a_thread,
        "open a device": lambda: os.close(os.open("/dev/null", os.O_RDWR)),
        "read about itself": lambda: open("/proc/self/maps").read(1),
        "read about the machine": lambda: open("/sys/devices/system/cpu/online").read(1),
        "talk to the multi-process service": lambda: os.close(os.open(f"{MPS}/control", os.O_RDWR)),
        "load a library": lambda: ctypes.CDLL("libz.so.1"),
        "talk to itself": lambda: [end.close() for end in socket.socketpair()],
        "reserve 64 GB of addresses": lambda: mmap.mmap(
            -1, 64 << 30, mmap.MAP_PRIVATE | 0x4000, mmap.PROT_READ
        ).close(),
    }


def attack(outlet: Outlet, job: Job) -> None:
    """Connect as every decoder does, then try everything, and tell by a picture's worth of JSON in the ring."""
    state, port, unix = json.loads(job.url.username or "")
    with relayed(job) as address, socket.create_connection(("127.0.0.1", address.port)) as ffmpeg:
        ffmpeg.sendall(b"OPTIONS rtsp://x RTSP/1.0\r\nCSeq: 1\r\n\r\n")
        ffmpeg.recv(100)  # a byte of the camera's: from here on it may have taken over
        tried = attacks(state, port, unix) | needs()
        results = {name: outcome(try_it) for name, try_it in tried.items()}
    told = json.dumps(results).encode()
    outlet.fill(0, np.frombuffer(told, np.uint8))
    raise SourceError("timeout", str(len(told)))


def outcome(try_it: Callable[[], object]) -> str:
    try:
        try_it()
    except OSError as error:
        return os.strerror(error.errno or 0)
    except Exception as error:
        return repr(error)
    return "done"


if __name__ == "__main__":
    server.TASKS = dict.fromkeys(server.TASKS, attack)
    sys.argv = [sys.argv[0], sys.argv[-1]]
    server.main()
