"""Confines a worker's process, which also needs its database."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import URL, make_url

from image_processor.config import WorkerSettings
from image_processor.confinement.places import Places, places_to_decode
from image_processor.confinement.sandbox import confine

_POSTGRESQL_PORT = 5432
_kept: list[sqlite3.Connection] = []


def confine_worker(settings: WorkerSettings) -> None:
    """Confine this process, which must not have other threads yet, as far as the settings and the kernel allow it.

    :raises OSError: the kernel has Landlock or seccomp but refuses the rules.
    """
    if settings.sandbox != "off":
        _keep_write_ahead_log(settings.database.url)
    confine(settings.sandbox, places_of_worker(settings))


def places_of_worker(settings: WorkerSettings) -> Places:
    """Return the places that a worker's process may use with these settings."""
    url = make_url(settings.database.url)
    scratch = Path(settings.scratch_folder)
    places = places_to_decode(
        settings.file_storage, settings.sandbox_ports, data=[scratch, Path(url.database or os.devnull)]
    )
    certificates = [str(value[0]) for name, value in url.normalized_query.items() if name.startswith("ssl")]
    readable = [*places.readable, *map(Path, certificates)]
    writable = [*places.writable, scratch]
    if url.get_backend_name() == "sqlite":
        writable += [Path(f"{url.database}{suffix}") for suffix in ("", "-wal", "-shm")]
        return Places(readable, writable, places.ports)
    hosts = (url.host, *(str(host) for host in url.normalized_query.get("host", ())))
    by_unix_socket = not any(host and host[0] != "/" for host in hosts)
    return Places(readable, writable, {*places.ports, *_ports_of_hosts(url)} - {0}, by_unix_socket)


def _keep_write_ahead_log(database: str) -> None:
    """Keep SQLite from deleting the log with its last connection: the sandbox would prevent creating it again."""
    url = make_url(database)
    if url.get_backend_name() == "sqlite" and url.database:
        connection = sqlite3.connect(url.database)
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
        connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
        _kept.append(connection)


def _ports_of_hosts(url: URL) -> Iterator[int]:
    # A URL may name several hosts, each with its port; the driver's dialect parses all forms.
    _, arguments = url.get_dialect()().create_connect_args(url)
    for port in str(arguments.get("port") or "").split(","):
        yield int(port or _POSTGRESQL_PORT)
