"""Restricts a process's files and connections with Linux Landlock, through system calls.

https://docs.kernel.org/userspace-api/landlock.html; no library on PyPI covers it completely, and libc does not at all.
"""

import ctypes
import os
import stat
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
"""System call numbers, the same on every architecture."""
_VERSION = 1
_PATH_BENEATH, _NET_PORT = 1, 2
_SET_NO_NEW_PRIVILEGES = 38

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _REFER, _TRUNCATE, _IOCTL_DEV = (1 << n for n in (0, 1, 2, 3, 13, 14, 15))
_REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_REG = (1 << n for n in (4, 5, 7, 8))
_BIND_TCP, _CONNECT_TCP = 1, 2
_OF_A_FILE = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_READ = _READ_FILE | _READ_DIR
_WRITE = _READ | _WRITE_FILE | _TRUNCATE | _REFER | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG

_FILES_SINCE = ((1, (1 << 13) - 1), (2, _REFER), (3, _TRUNCATE), (5, _IOCTL_DEV))
"""File access rights, with the Landlock version that introduced them."""
PORTS_SINCE = 4
"""The Landlock version that introduced restrictions of TCP ports."""
SCOPES_SINCE = 6
"""The Landlock version that introduced scopes for signals and abstract sockets."""
_SCOPES = 0b11
"""Forbid abstract Unix sockets and signals to processes outside."""


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("ports", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    # The only layout that can be packed; Python 3.19 will have no default for it.
    _layout_ = "ms"
    _pack_ = 1
    _fields_ = (("rights", ctypes.c_uint64), ("descriptor", ctypes.c_int32))


class _NetPort(ctypes.Structure):
    _fields_ = (("rights", ctypes.c_uint64), ("port", ctypes.c_uint64))


_libc = ctypes.CDLL(None, use_errno=True)


def version() -> int:
    """Return the kernel's Landlock version.

    :raises OSError: the kernel lacks Landlock, or a container forbids it.
    """
    return _call(_CREATE_RULESET, None, 0, _VERSION)


def restrict(readable: Iterable[Path], writable: Iterable[Path], ports: Collection[int]) -> None:
    """Confine the calling thread and its children: they can execute no program and open no other file.

    :param readable: files and folders; missing ones are ignored, as in ``writable``.
    :param ports: TCP ports to which they may connect; they may listen on none.
    :raises OSError: the kernel refuses.
    """
    have = version()
    files = sum(rights for since, rights in _FILES_SINCE if have >= since)
    wanted = _Ruleset(
        files,
        _BIND_TCP | _CONNECT_TCP if have >= PORTS_SINCE else 0,
        _SCOPES if have >= SCOPES_SINCE else 0,
    )
    rules = _call(_CREATE_RULESET, ctypes.byref(wanted), ctypes.sizeof(wanted), 0)
    try:
        for paths, rights in ((readable, _READ), (writable, _WRITE)):
            for path in paths:
                with suppress(FileNotFoundError, PermissionError, NotADirectoryError):
                    _allow(rules, path, rights & files)
        for port in ports if have >= PORTS_SINCE else ():
            _call(_ADD_RULE, rules, _NET_PORT, ctypes.byref(_NetPort(_CONNECT_TCP, port)), 0)
        if _libc.prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
            raise _error()
        _call(_RESTRICT_SELF, rules, 0)
    finally:
        os.close(rules)


def _allow(rules: int, path: Path, rights: int) -> None:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _OF_A_FILE
        _call(_ADD_RULE, rules, _PATH_BENEATH, ctypes.byref(_PathBeneath(rights, descriptor)), 0)
    finally:
        os.close(descriptor)


def _call(number: int, *arguments: object) -> int:
    result = int(_libc.syscall(number, *arguments))
    if result < 0:
        raise _error()
    return result


def _error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
