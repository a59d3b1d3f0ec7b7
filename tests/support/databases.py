"""Databases for the tests in one process: copies of an empty one, because a migration takes longer than most tests."""

import itertools
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import psycopg
from psycopg import sql
from service_kit.migrations import migrate
from sqlalchemy import make_url

from tests.support.environment import ENVIRONMENT
from tests.support.folders import temporary_folder
from tests.support.processes import Process, free_port, skip_where_missing
from tests.support.servers import start_postgres

_numbers = itertools.count(1)
_servers: dict[int, Process] = {}
"""The PostgreSQL server of this process by its port, started when a test first asks for it."""


def empty_sqlite(path: Path, package: str) -> str:
    """Create a SQLite database with the newest schema of a package; return its URL."""
    shutil.copy(_migrated(package), path)
    return f"sqlite:///{path}"


@cache
def _migrated(package: str) -> Path:
    path = temporary_folder("migrated") / "empty.db"
    migrate(f"sqlite:///{path}", package)
    return path


def libpq_url(url: str) -> str:
    """Return the URL of a database as psycopg and psql take it: without the name of SQLAlchemy's driver."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


@contextmanager
def postgres_database(name: str) -> Iterator[str]:
    """Create a database without tables for the block, in a PostgreSQL server shared by all tests of this process.

    :returns: its URL.
    """
    with skip_where_missing():
        port = next(iter(_servers), None) or _start()
    database = f"{name}-{next(_numbers)}"
    _execute(port, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
    try:
        yield f"postgresql+psycopg://pixmill@127.0.0.1:{port}/{database}"
    finally:
        _execute(port, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database)))


def stop_postgres() -> None:
    """Stop the shared PostgreSQL server, if a test has started it."""
    while _servers:
        _servers.popitem()[1].stop()


def _start() -> int:
    port = free_port()
    _servers[port] = start_postgres(temporary_folder("postgres"), port, ENVIRONMENT)
    return port


def _execute(port: int, statement: sql.Composed) -> None:
    with psycopg.connect(f"postgresql://pixmill@127.0.0.1:{port}/postgres", autocommit=True) as connection:
        connection.execute(statement)
