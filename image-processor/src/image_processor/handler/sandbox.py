"""Confines processes that decode images, to limit what a compromised decoder can reach.

A worker's process claims tasks and stores results, so it can reach its database and the file server. A render process
has no database.
"""

import os
import sqlite3
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from sqlalchemy import URL, make_url

from image_processor.config import BlobSourceSettings, WorkerSettings
from image_processor.handler import landlock, system_calls
from image_processor.render.cache import MAKING, ORIGINS
from image_processor.render.config import RenderSettings

_DEFAULT_PORTS = {"http": 80, "https": 443, "postgresql": 5432}
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
    ports: Sequence[int]
    unix_sockets: bool


@dataclass
class Sandbox:
    """Applies the sandbox that the settings and the kernel allow."""

    settings: WorkerSettings | RenderSettings
    _kept: list[sqlite3.Connection] = field(default_factory=list)

    def description(self) -> tuple[bool, str]:
        """Return whether decoding will be confined, and how or why not, in one line for the operator."""
        if self.settings.sandbox == "off":
            return False, "turned off by the setting sandbox"
        try:
            version = landlock.version()
        except OSError as error:
            files = f"files and ports are not restricted: no Landlock ({error.strerror})"
        else:
            files = f"Landlock {version} restricts files{' and ports' if version >= landlock.PORTS_SINCE else ''}"
        calls = "seccomp restricts system calls" if system_calls.available() else "no seccomp for this machine"
        return files.startswith("Landlock") or system_calls.available(), f"{files}; {calls}"

    def enter(self) -> None:
        """Confine this process, which must not have other threads yet, as far as the kernel supports it.

        :raises OSError: the kernel has Landlock or seccomp but refuses the rules.
        """
        if self.settings.sandbox == "off":
            return
        if isinstance(self.settings, WorkerSettings):
            self._keep_write_ahead_log(self.settings.database.url)
            places = places_of(self.settings)
        else:
            places = places_of_render(self.settings)
        try:
            landlock.version()
        except OSError:
            pass
        else:
            landlock.restrict(places.readable, places.writable, places.ports)
        if system_calls.available():
            system_calls.restrict(unix_sockets=places.unix_sockets)

    def _keep_write_ahead_log(self, database: str) -> None:
        """Keep SQLite from deleting the log with its last connection: the sandbox would prevent creating it again."""
        url = make_url(database)
        if url.get_backend_name() == "sqlite" and url.database:
            connection = sqlite3.connect(url.database)
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
            connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
            self._kept.append(connection)


def places_of(settings: WorkerSettings) -> Places:
    """Return the places that a worker's process may use with these settings."""
    url = make_url(settings.database.url)
    scratch, blobs = Path(settings.scratch_folder), Path(settings.file_storage.blobs_folder or os.devnull)
    data = [scratch, blobs, Path(url.database or os.devnull)]
    certificates = [str(value[0]) for name, value in url.normalized_query.items() if name.startswith("ssl")]
    readable = [*map(Path, (*_SYSTEM, *certificates)), *_code(outside=data), *_of_user(), blobs]
    writable = [scratch, *map(Path, _DEVICES)]
    ports = {_DNS, *settings.sandbox_ports, *_ports_of(settings.file_storage)}
    if url.get_backend_name() == "sqlite":
        writable += [Path(f"{url.database}{suffix}") for suffix in ("", "-wal", "-shm")]
    else:
        ports.update(_ports_of_hosts(url))
    hosts = (url.host, *(str(host) for host in url.normalized_query.get("host", ())))
    by_unix_socket = url.get_backend_name() != "sqlite" and not any(host and host[0] != "/" for host in hosts)
    return Places(readable, writable, sorted(ports - {0}), by_unix_socket)


def places_of_render(settings: RenderSettings) -> Places:
    """Return the places that a render process may use with these settings; finished results are out of its reach."""
    cache, blobs = Path(settings.cache.folder), Path(settings.file_storage.blobs_folder or os.devnull)
    readable = [*map(Path, _SYSTEM), *_code(outside=[cache, blobs]), *_of_user(), blobs, cache / ORIGINS]
    writable = [cache / MAKING, *map(Path, _DEVICES)]
    ports = {_DNS, *settings.sandbox_ports, *_ports_of(settings.file_storage)}
    return Places(readable, writable, sorted(ports - {0}), unix_sockets=False)


def _ports_of_hosts(url: URL) -> Iterator[int]:
    # A URL may name several hosts, each with its port; the driver's dialect parses all forms.
    _, arguments = url.get_dialect()().create_connect_args(url)
    for port in str(arguments.get("port") or "").split(","):
        yield int(port or _DEFAULT_PORTS["postgresql"])


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
