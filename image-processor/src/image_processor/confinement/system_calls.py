"""A seccomp filter that makes system calls fail which a process never needs for decoding images."""

import ctypes
import errno
import os
import platform
import socket
import struct
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

_SET_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2
_LOAD, _AND, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x45, 0x06
_ALLOW, _FAIL = 0x7FFF0000, 0x00050000
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT, _BYTES_OF_AN_ARGUMENT = 0, 4, 16, 8
"""Offsets in ``struct seccomp_data``; the lower half of an argument comes first on little-endian machines."""
_EVERY_BIT = 0xFFFFFFFF
_FIRST_OF_X32 = 0x40000000
_NEW_NAMESPACES = 0x7E020080
"""The flags CLONE_NEW* of clone(2)."""
_KIND_OF_SOCKET = 0xF
"""The bits of a socket's type without its flags."""
_BY_TCP = (0, socket.IPPROTO_TCP)
"""The protocols of a stream; Landlock does not restrict the ports of others, such as Multipath TCP."""

_ARCHITECTURES: Mapping[str, int] = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_SOCKET: Mapping[str, int] = {"x86_64": 41, "aarch64": 198}
_SENDING: Mapping[str, Sequence[tuple[int, int]]] = {
    "x86_64": ((44, 3), (46, 2), (307, 3)),
    "aarch64": ((206, 3), (211, 2), (269, 3)),
}
"""sendto(2), sendmsg(2) and sendmmsg(2), and which of their arguments are the flags, counted from 0."""
_CLONE: Mapping[str, int] = {"x86_64": 56, "aarch64": 220}
_CLONE3 = 435
_DENIED: Mapping[str, Mapping[str, int]] = {
    "x86_64": {
        **{"execve": 59, "execveat": 322, "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311},
        **{"unshare": 272, "setns": 308, "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161},
        **{"bpf": 321, "perf_event_open": 298, "userfaultfd": 323, "keyctl": 250, "add_key": 248, "request_key": 249},
        **{"kexec_load": 246, "kexec_file_load": 320, "init_module": 175, "finit_module": 313, "delete_module": 176},
        **{"open_by_handle_at": 304, "name_to_handle_at": 303, "listen": 50},
    },
    "aarch64": {
        **{"execve": 221, "execveat": 281, "ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271},
        **{"unshare": 97, "setns": 268, "mount": 40, "umount2": 39, "pivot_root": 41, "chroot": 51},
        **{"bpf": 280, "perf_event_open": 241, "userfaultfd": 282, "keyctl": 219, "add_key": 217, "request_key": 218},
        **{"kexec_load": 104, "kexec_file_load": 294, "init_module": 105, "finit_module": 273, "delete_module": 106},
        **{"open_by_handle_at": 265, "name_to_handle_at": 264, "listen": 201},
    },
}
_DENIED_EVERYWHERE = {
    **{"io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "pidfd_getfd": 438},
    **{"open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "mount_setattr": 442},
}


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


_libc = ctypes.CDLL(None, use_errno=True)


def available() -> bool:
    """Return whether there is a filter for this machine's architecture and its kernel has seccomp."""
    with_filters = Path("/proc/sys/kernel/seccomp/actions_avail").exists()
    return with_filters and platform.machine() in _ARCHITECTURES and sys.byteorder == "little"


def restrict(*, unix_sockets: bool, udp: bool) -> None:
    """Confine the calling thread and its children.

    :param unix_sockets: whether the database is reached through a Unix socket.
    :param udp: whether names are looked up by UDP.
    :raises OSError: the kernel refuses.
    """
    families = (socket.AF_INET, socket.AF_INET6, *([socket.AF_UNIX] if unix_sockets else []))
    kinds = (socket.SOCK_STREAM, *([socket.SOCK_DGRAM] if udp else []))
    protocols = (*_BY_TCP, *([socket.IPPROTO_UDP] if udp else []))
    code = b"".join(_program(platform.machine(), families, kinds, protocols))
    program = _Program(len(code) // 8, code)
    for arguments in ((_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0), (_SET_SECCOMP, _FILTER, ctypes.byref(program), 0, 0)):
        if _libc.prctl(*arguments) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))


def _program(
    machine: str, families: Collection[int], kinds: Collection[int], protocols: Collection[int]
) -> Iterator[bytes]:
    """Yield the classic BPF instructions: operation, jumps if true and if false, and a number."""
    fail = _instruction(_RETURN, _FAIL | errno.EPERM)
    yield _instruction(_LOAD, _ARCHITECTURE)
    yield _instruction(_EQUAL, _ARCHITECTURES[machine], 1, 0)
    yield fail
    yield _instruction(_LOAD, _NUMBER)
    if machine == "x86_64":
        yield _instruction(_AT_LEAST, _FIRST_OF_X32, 0, 1)
        yield fail
    for number in (*_DENIED[machine].values(), *_DENIED_EVERYWHERE.values()):
        yield from _call(number, [fail])
    # A filter cannot read its flags, which are in memory; when it fails, libc calls clone instead.
    yield from _call(_CLONE3, [_instruction(_RETURN, _FAIL | errno.ENOSYS)])
    yield from _call(_CLONE[machine], _without(_NEW_NAMESPACES, 0))
    for number, flags in _SENDING[machine]:
        # It connects to a port without asking Landlock.
        yield from _call(number, _without(socket.MSG_FASTOPEN, flags))
    checks = [
        *_only(families, 0, _FAIL | errno.EAFNOSUPPORT),
        *_only(kinds, 1, _FAIL | errno.EPERM, _KIND_OF_SOCKET),
        *_only(protocols, 2, _FAIL | errno.EPERM),
    ]
    yield from _call(_SOCKET[machine], checks)
    yield _instruction(_RETURN, _ALLOW)


def _call(number: int, checks: Collection[bytes]) -> Iterator[bytes]:
    """Yield the instructions for a system call: those that check it, and if none of them fails it, allow it."""
    yield _instruction(_EQUAL, number, 0, len(checks) + 1)
    yield from checks
    yield _instruction(_RETURN, _ALLOW)


def _without(bits: int, argument: int) -> Collection[bytes]:
    """Return the instructions that fail a call if an argument has one of these bits."""
    return [
        _argument(argument),
        _instruction(_ANY_BIT, bits, 0, 1),
        _instruction(_RETURN, _FAIL | errno.EPERM),
    ]


def _only(values: Collection[int], argument: int, failure: int, bits: int = _EVERY_BIT) -> Iterator[bytes]:
    """Yield the instructions that fail a call unless these bits of an argument have one of the values."""
    yield _argument(argument)
    yield _instruction(_AND, bits)
    for place, value in enumerate(values):
        yield _instruction(_EQUAL, value, len(values) - place, 0)
    yield _instruction(_RETURN, failure)


def _argument(number: int) -> bytes:
    return _instruction(_LOAD, _FIRST_ARGUMENT + number * _BYTES_OF_AN_ARGUMENT)


def _instruction(operation: int, number: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", operation, if_true, if_false, number)
