"""What a decoder process may not do, whatever its camera makes FFmpeg do.

In three steps. `end_with`, at its birth: it dies with its parent. `confine`, before it connects: little memory, no
privilege, no file but those of the program. `seal`, once it is connected and before it reads a byte of the camera: no
address, no program, no other process, and without a driver no file at all.
"""

import ctypes
import os
import resource
import signal
import sys
from pathlib import Path

from edge.sources.decoder import landlock, seccomp
from edge.sources.decoder.seccomp import Form

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _PR_SET_DUMPABLE, _PR_SET_NAME = 1, 38, 4, 15
_MOST_DESCRIPTORS, _MOST_WITH_GPU = 64, 512
_CLONE_THREAD, _PROT_EXEC, _AF_UNIX = 0x10000, 4, 1
_TERMINAL, _WHETHER_READY, _NOT_WAITING = 0x5401, 0x541B, 0x5421
_ROOT = Path(__file__).resolve().parents[3]
_PROGRAM = [
    *(Path(name) for name in ("/usr", "/lib", "/lib64", "/etc", "/opt", "/proc", "/sys", "/var/lib/nvidia")),
    *(Path(name) for name in (sys.prefix, sys.base_prefix)),
    *(_ROOT / name for name in ("edge", "engines")),
]
"""What Python, FFmpeg and a GPU's driver are made of, and ask about the machine."""
_DEVICES = ("null", "zero", "urandom", "random", "nvidia*", "nvidia-caps/*", "dri/*", "nvhost*", "nvmap", "nvgpu/*/*")
_COMPUTES = (
    *("read", "write", "readv", "writev", "close", "lseek", "fstat", "fcntl", "recvfrom", "recvmsg", "sendmsg"),
    *("shutdown", "setsockopt", "getsockopt", "getsockname", "getpeername", "poll", "ppoll", "select", "pselect6"),
    *("epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "futex", "munmap", "mremap", "madvise", "brk"),
    *("set_robust_list", "rseq", "set_tid_address", "sched_yield", "sched_getaffinity", "getcpu", "membarrier"),
    *("clock_gettime", "clock_getres", "gettimeofday", "clock_nanosleep", "nanosleep", "rt_sigaction"),
    *("rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall", "exit", "exit_group", "getrandom"),
    *("getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getegid", "sysinfo", "uname", "getrusage"),
)
_REACHES_OUT = (
    *("connect", "bind", "listen", "execve", "execveat", "fork", "vfork", "ptrace", "kill", "tkill"),
    *("rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_open", "pidfd_getfd", "pidfd_send_signal", "process_vm_readv"),
    *("process_vm_writev", "mount", "umount2", "pivot_root", "chroot", "unshare", "setns", "bpf", "perf_event_open"),
    *("userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register", "keyctl", "add_key", "request_key"),
    *("init_module", "finit_module", "kexec_load", "name_to_handle_at", "open_by_handle_at"),
)


def end_with(parent_pid: int) -> None:
    """Let the kernel kill this process when its parent dies."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:  # it died meanwhile
        os._exit(1)


def confine(memory_mb: int | None, readable: tuple[Path, ...] = ()) -> None:
    """Allow this process `memory_mb` more address space than it has now, no core dump, no privilege, and no file but
    the program's own and those `readable`.

    None: as much as it likes, and the pipes of CUDA's multi-process service. A GPU's driver reserves the addresses of
    all its memory, and of the host's, and makes files in memory (memfd), which a limit on the size of files forbids
    along with all others.
    """
    limits = {resource.RLIMIT_CORE: 0, resource.RLIMIT_NOFILE: _MOST_WITH_GPU}
    if memory_mb is not None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        space = pages * resource.getpagesize() + memory_mb * 2**20
        limits |= {resource.RLIMIT_AS: space, resource.RLIMIT_NOFILE: _MOST_DESCRIPTORS, resource.RLIMIT_FSIZE: 0}
    for limit, value in limits.items():
        hard = resource.getrlimit(limit)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (value, value))
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _drop_capabilities()
    _prctl(_PR_SET_DUMPABLE, 0)  # the camera's password is in its memory
    devices = [path for name in _DEVICES for path in Path("/dev").glob(name)]
    if memory_mb is None:
        devices.append(Path(os.environ.get("CUDA_MPS_PIPE_DIRECTORY") or "/tmp/nvidia-mps"))  # noqa: S108  (NVIDIA's)
    landlock.restrict([*_PROGRAM, *readable], devices)


def seal() -> None:
    """Leave this process what it has open, memory, threads and time, and nothing else."""
    seccomp.restrict(
        allowed=_COMPUTES,
        forms=(
            *(Form("mmap", 2, without_bits=_PROT_EXEC), Form("mprotect", 2, without_bits=_PROT_EXEC)),
            *(Form("clone", 0, with_bits=_CLONE_THREAD), Form("sendto", 4, (0,)), Form("prlimit64", 2, (0,))),
            *(Form("tgkill", 0, (os.getpid(),)), Form("prctl", 0, (_PR_SET_NAME,))),
            Form("ioctl", 1, (_TERMINAL, _WHETHER_READY, _NOT_WAITING)),
        ),
        otherwise=False,
    )


def seal_with_driver() -> None:
    """The same where a GPU's driver is at work, which asks for much and changes: what reaches others is forbidden."""
    seccomp.restrict(
        denied=_REACHES_OUT,
        forms=(
            *(Form("socket", 0, (_AF_UNIX,)), Form("clone", 0, with_bits=_CLONE_THREAD), Form("sendto", 4, (0,))),
            Form("tgkill", 0, (os.getpid(),)),
        ),
        otherwise=True,
    )


def _drop_capabilities() -> None:
    """Of a service that root runs: it could look into other processes even so."""
    version_3_of_this_process = (ctypes.c_uint32 * 2)(0x20080522, 0)
    none = (ctypes.c_uint32 * 6)()
    if ctypes.CDLL(None, use_errno=True).capset(version_3_of_this_process, none) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option})")
