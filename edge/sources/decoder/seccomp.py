"""seccomp: which of the kernel's services a process may ask for from now on. A kernel without it changes nothing.

A filter is a short program that the kernel runs at each call: by name for what is always allowed, by argument for what
is allowed in one form only. What is not allowed fails with EPERM, so that a library that tries something else goes on.
Numbers of the calls: Linux's tables for x86-64 and 64-bit Arm.
"""

import ctypes
import errno
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass

_ARCHITECTURES = {"x86_64": (0xC000003E, 0, 317), "aarch64": (0xC00000B7, 1, 277)}
"""Machine -> its name in a filter, its column below, number of seccomp itself."""
_X32 = 0x40000000
_TABLE = """
read=0/63 write=1/64 readv=19/65 writev=20/66 close=3/57 lseek=8/62 fstat=5/80 fcntl=72/25 ioctl=16/29
recvfrom=45/207 recvmsg=47/212 sendmsg=46/211 sendto=44/206 shutdown=48/210 setsockopt=54/208 getsockopt=55/209
getsockname=51/204 getpeername=52/205 poll=7/ ppoll=271/73 select=23/ pselect6=270/72 epoll_create1=291/20
epoll_ctl=233/21 epoll_wait=232/ epoll_pwait=281/22 futex=202/98 mmap=9/222 mprotect=10/226 munmap=11/215
mremap=25/216 madvise=28/233 brk=12/214 clone=56/220 clone3=435/435 set_robust_list=273/99 rseq=334/293
set_tid_address=218/96 sched_yield=24/124 sched_getaffinity=204/123 getcpu=309/168 membarrier=324/283
clock_gettime=228/113 clock_getres=229/114 gettimeofday=96/169 clock_nanosleep=230/115 nanosleep=35/101
rt_sigaction=13/134 rt_sigprocmask=14/135 rt_sigreturn=15/139 sigaltstack=131/132 restart_syscall=219/128
tgkill=234/131 exit=60/93 exit_group=231/94 getrandom=318/278 getpid=39/172 gettid=186/178 getppid=110/173
getuid=102/174 geteuid=107/175 getgid=104/176 getegid=108/177 sysinfo=99/179 uname=63/160 getrusage=98/165
prlimit64=302/261 prctl=157/167 socket=41/198 connect=42/203 bind=49/200 listen=50/201 execve=59/221
execveat=322/281 fork=57/ vfork=58/ ptrace=101/117 kill=62/129 tkill=200/130 rt_sigqueueinfo=129/138
rt_tgsigqueueinfo=297/240 pidfd_open=434/434 pidfd_getfd=438/438 pidfd_send_signal=424/424
process_vm_readv=310/270 process_vm_writev=311/271 mount=165/40 umount2=166/39 pivot_root=155/41 chroot=161/51
unshare=272/97 setns=308/268 bpf=321/280 perf_event_open=298/241 userfaultfd=323/282 io_uring_setup=425/425
io_uring_enter=426/426 io_uring_register=427/427 keyctl=250/219 add_key=248/217 request_key=249/218
init_module=175/105 finit_module=313/273 kexec_load=246/104 name_to_handle_at=303/264 open_by_handle_at=304/265
"""
"""Name of a call = its number on x86-64 / on Arm; some are not on both."""
_CALLS: dict[str, tuple[str, ...]] = {
    name: tuple(numbers.split("/")) for name, numbers in (entry.split("=") for entry in _TABLE.split())
}
_ALLOW, _KILL, _EPERM, _ENOSYS = 0x7FFF0000, 0x80000000, 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
_LOAD, _EQUAL, _ANY_BIT, _AT_LEAST, _RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_SET_FILTER, _ALL_THREADS = 1, 1


@dataclass(frozen=True, slots=True)
class Form:
    """One form of a call: an argument that is one of `values` (0: no pointer), or has none or any of some bits."""

    call: str
    argument: int
    values: tuple[int, ...] = ()
    without_bits: int = 0
    with_bits: int = 0


def restrict(
    *, allowed: Sequence[str] = (), denied: Sequence[str] = (), forms: Sequence[Form] = (), otherwise: bool
) -> bool:
    """Filter the calls of this process, all threads of it, for good. Whether the kernel does so.

    A call that has a form is allowed in that form only. `otherwise`: whether calls that are not named are allowed.
    clone3 is said not to exist: its arguments cannot be seen, and every C library then asks for clone.
    """
    machine = _ARCHITECTURES.get(platform.machine())
    if machine is None:
        return False
    architecture, column, seccomp = machine
    program = [(_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 1, 0, architecture), (_RETURN, 0, 0, _KILL)]
    program += [(_LOAD, 0, 0, _NUMBER), (_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, _EPERM)]
    answers = {name: _ALLOW for name in allowed} | {name: _EPERM for name in denied} | {"clone3": _ENOSYS}
    for name, answer in answers.items():
        if number := _CALLS[name][column]:
            program += [(_EQUAL, 0, 1, int(number)), (_RETURN, 0, 0, answer)]
    for form in forms:
        if number := _CALLS[form.call][column]:
            judged = _judged(form)
            program += [(_EQUAL, 0, len(judged), int(number)), *judged]
    program.append((_RETURN, 0, 0, _ALLOW if otherwise else _EPERM))
    return _install(program, seccomp)


def _judged(form: Form) -> list[tuple[int, int, int, int]]:
    """Look at the argument, and say yes or no."""
    low = _ARGUMENTS + 8 * form.argument
    judged = [(_LOAD, 0, 0, low)]
    if form.without_bits:
        judged += [(_ANY_BIT, 0, 1, form.without_bits), (_RETURN, 0, 0, _EPERM), (_RETURN, 0, 0, _ALLOW)]
    elif form.with_bits:
        judged += [(_ANY_BIT, 0, 1, form.with_bits), (_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _EPERM)]
    elif form.values == (0,):  # a pointer that is none: both halves
        judged += [(_EQUAL, 1, 0, 0), (_RETURN, 0, 0, _EPERM), (_LOAD, 0, 0, low + 4), (_EQUAL, 1, 0, 0)]
        judged += [(_RETURN, 0, 0, _EPERM), (_RETURN, 0, 0, _ALLOW)]
    else:
        for value in form.values:
            judged += [(_EQUAL, 0, 1, value), (_RETURN, 0, 0, _ALLOW)]
        judged.append((_RETURN, 0, 0, _EPERM))
    return judged


class _Instruction(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint16), ("jt", ctypes.c_uint8), ("jf", ctypes.c_uint8), ("k", ctypes.c_uint32))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("filter", ctypes.POINTER(_Instruction)))


def _install(program: Sequence[tuple[int, int, int, int]], number: int) -> bool:
    """Needs `no_new_privs`. Raises OSError where the kernel knows seccomp and does not take the filter."""
    instructions = (_Instruction * len(program))(*(_Instruction(*one) for one in program))
    filtered = _Program(len(program), instructions)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(number, _SET_FILTER, _ALL_THREADS, ctypes.byref(filtered)) == 0:
        return True
    if ctypes.get_errno() in (errno.ENOSYS, errno.EINVAL):
        return False
    raise OSError(ctypes.get_errno(), f"seccomp ({os.strerror(ctypes.get_errno())})")
