"""What a decoder process may not do, whatever its camera makes FFmpeg do."""

import ctypes
import os
import resource
import signal
from pathlib import Path

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
