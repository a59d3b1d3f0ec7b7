"""Confines a worker's process, which also needs its database."""

import os
import sqlite3
from collections.abc import Sequence
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
    is_sqlite = url.get_backend_name() == "sqlite"
    hosts = [] if is_sqlite else _values(url, "host")
    places = places_to_decode(
        settings.file_storage, settings.sandbox_ports, [scratch, Path(url.database or os.devnull)], hosts
    )
    certificates = [str(value[0]) for name, value in url.normalized_query.items() if name.startswith("ssl")]
    readable = [*places.readable, *map(Path, certificates)]
    writable = [*places.writable, scratch]
    if is_sqlite:
        writable += [Path(f"{url.database}{suffix}") for suffix in ("", "-wal", "-shm")]
        return places._replace(readable=readable, writable=writable)
    return places._replace(
        readable=readable,
        writable=writable,
        ports={*places.ports, *(int(port or _POSTGRESQL_PORT) for port in _values(url, "port"))} - {0},
        unix_sockets=not any(host and host[0] != "/" for host in hosts),
    )


def _keep_write_ahead_log(database: str) -> None:
    """Keep SQLite from deleting the log with its last connection: the sandbox would prevent creating it again."""
    url = make_url(database)
    if url.get_backend_name() == "sqlite" and url.database:
        connection = sqlite3.connect(url.database)
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
        connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
        _kept.append(connection)


def _values(url: URL, argument: str) -> Sequence[str]:
    # A URL may name several hosts, each with its port; the driver's dialect parses all forms.
    _, arguments = url.get_dialect()().create_connect_args(url)
    return str(arguments.get(argument) or "").split(",")
