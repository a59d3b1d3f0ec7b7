"""The files, ports and sockets that a process which decodes images may use."""

import os
import sys
import sysconfig
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from image_processor.config import BlobSourceSettings

_DEFAULT_PORTS = {"http": 80, "https": 443}
_DNS = 53
_SYSTEM = (
    *("/usr", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/etc/alternatives"),
    *("/etc/fonts", "/var/cache/fontconfig", "/etc/ssl", "/etc/pki", "/etc/ca-certificates"),
    *("/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf", "/etc/localtime"),
    *("/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/sys/vm/overcommit_memory"),
    *("/sys/devices/system/cpu", "/sys/fs/cgroup", "/dev/urandom", "/dev/random", "/dev/zero"),
)
"""Libraries, fonts, certificates, host names, and files in which libraries look up processors and memory."""
_OF_A_USER = (".fonts", ".fonts.conf", ".local/share/fonts", ".config/fontconfig", ".postgresql", ".pgpass")
"""Paths below the home folder: fonts, and the configuration of PostgreSQL's client."""
_DEVICES = ("/dev/null",)


class Places(NamedTuple):
    """The files, ports and sockets that the process may use."""

    readable: Sequence[Path]
    writable: Sequence[Path]
    ports: Collection[int]
    unix_sockets: bool = False


def places_to_decode(
    file_storage: BlobSourceSettings, sandbox_ports: Collection[int], data: Collection[Path]
) -> Places:
    """Return the places that each process needs to decode images: code, fonts, blobs and the file server.

    :param sandbox_ports: the ports of the setting.
    :param data: the folders and files with data, which stay out of reach.
    """
    blobs = Path(file_storage.blobs_folder or os.devnull)
    readable = [*map(Path, _SYSTEM), *_code(outside=[*data, blobs]), *_of_user(), blobs]
    ports = {_DNS, *sandbox_ports, *_ports_of(file_storage)}
    return Places(readable, [*map(Path, _DEVICES)], ports - {0})


def _ports_of(file_storage: BlobSourceSettings) -> Iterator[int]:
    for address in filter(None, (file_storage.url, file_storage.blobs_url)):
        parts = urlsplit(address)
        yield parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)


def _code(outside: Sequence[Path]) -> Iterator[Path]:
    """Yield the folders of Python, its packages and ours.

    :param outside: data folders: a folder that contains one is skipped, even if Python searches it for modules.
    """
    above = {folder for place in (Path.cwd() / "file", *outside) for folder in place.resolve().parents}
    found = (sys.prefix, sys.base_prefix, *sysconfig.get_paths().values(), *sys.path)
    yield from {Path(name).resolve() for name in found if name} - above


def _of_user() -> Iterator[Path]:
    home = Path(os.environ.get("HOME") or os.devnull)
    yield from (home / name for name in _OF_A_USER)
