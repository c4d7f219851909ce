"""Landlock: which files a process may use from now on. Where the kernel has none, nothing changes."""

import contextlib
import ctypes
import os
from collections.abc import Iterable
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same numbers on every machine
_VERSION_FLAG, _PATH_BENEATH = 1, 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
_RIGHTS = (0, 13, 14, 15, 15, 16)
"""How many rights each version knows; those after the last know as many."""
_SCOPES = 0b11
"""Since version 6: no abstract sockets, and no signals, of processes outside."""
READ = _EXECUTE | _READ_FILE | _READ_DIR
USE = _READ_FILE | _WRITE_FILE | _IOCTL_DEV
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV


def version() -> int:
    """Of the kernel's Landlock; 0 where there is none."""
    return max(0, int(_syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION_FLAG)))


def restrict(readable: Iterable[Path], usable: Iterable[Path] = ()) -> bool:
    """Let this thread, and those that it starts, read below `readable` and read and write the devices `usable`.

    Nothing else is opened, made or removed, for good; what is open stays so. Whether the kernel does so. Needs
    `no_new_privs`. Raises OSError where the kernel knows Landlock and refuses.
    """
    known = version()
    if known == 0:
        return False
    handled = (1 << _RIGHTS[min(known, len(_RIGHTS) - 1)]) - 1

    class Ruleset(ctypes.Structure):
        _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))

    class PathBeneath(ctypes.Structure):
        _pack_ = 1
        _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))

    attributes = Ruleset(handled, 0, _SCOPES if known >= 6 else 0)
    size = 24 if known >= 6 else 16 if known >= 4 else 8
    ruleset = _checked(_syscall(_CREATE_RULESET, ctypes.byref(attributes), ctypes.c_size_t(size), 0))
    try:
        for paths, rights in ((readable, READ), (usable, USE)):
            for path in paths:
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                    parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
                    try:
                        allowed = rights & handled & (~0 if path.is_dir() else _OF_FILES)
                        rule = PathBeneath(allowed, parent)
                        _checked(_syscall(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0))
                    finally:
                        os.close(parent)
        _checked(_syscall(_RESTRICT_SELF, ruleset, 0))
    finally:
        os.close(ruleset)
    return True


def _syscall(number: int, *arguments: object) -> int:
    return int(ctypes.CDLL(None, use_errno=True).syscall(number, *arguments))


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), f"Landlock ({os.strerror(ctypes.get_errno())})")
    return result
