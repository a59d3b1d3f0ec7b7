"""The files, ports and sockets that a process which decodes images may use."""

import os
import sys
import sysconfig
from collections.abc import Collection, Iterator, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from image_processor.config import BlobSourceSettings

_DEFAULT_PORTS = {"http": 80, "https": 443}
_DNS = 53
_BY_TCP = "use-vc"
"""The option of resolv.conf(5) that asks name servers by TCP, whose ports Landlock restricts."""
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
    """The files, ports and sockets that the process may use.

    :ivar udp: whether it looks up names by UDP.
    """

    readable: Sequence[Path]
    writable: Sequence[Path]
    ports: Collection[int]
    unix_sockets: bool = False
    udp: bool = False


def places_to_decode(
    file_storage: BlobSourceSettings,
    sandbox_ports: Collection[int],
    data: Collection[Path],
    database_hosts: Collection[str] = (),
) -> Places:
    """Return the places that each process needs to decode images: code, fonts, blobs and the file server.

    :param sandbox_ports: the ports of the setting.
    :param data: the folders and files with data, which stay out of reach.
    :param database_hosts: the names or addresses of the database's hosts.
    """
    blobs = Path(file_storage.blobs_folder or os.devnull)
    readable = [*map(Path, _SYSTEM), *_code(outside=[*data, blobs]), *_of_user(), blobs]
    servers = [urlsplit(address) for address in (file_storage.url, file_storage.blobs_url) if address]
    hosts = [*(server.hostname or "" for server in servers), *database_hosts]
    # The servers of the additional ports may have names.
    looks_up = bool(sandbox_ports) or not all(map(_is_known, hosts))
    ports = {*sandbox_ports, *(server.port or _DEFAULT_PORTS.get(server.scheme, 0) for server in servers)}
    return Places(
        readable,
        [*map(Path, _DEVICES)],
        (ports | {_DNS} if looks_up else ports) - {0},
        udp=looks_up and _BY_TCP not in os.environ.get("RES_OPTIONS", "").split(),
    )


def _is_known(host: str) -> bool:
    """Return whether the host's address is known without asking a name server."""
    try:
        ip_address(host)
    except ValueError:
        # The folder of a Unix socket begins with a slash.
        return host in ("", "localhost") or host.startswith("/")
    return True


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
