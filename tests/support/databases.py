"""Databases for the tests in one process: copies of an empty one, because a migration takes longer than most tests."""

import itertools
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from service_kit.database import Database
from service_kit.migrations import migrate
from sqlalchemy import make_url

from tests.support.environment import ENVIRONMENT
from tests.support.folders import temporary_folder
from tests.support.processes import Process, free_port, skip_where_missing
from tests.support.servers import start_postgres

POSTGRESQL = pytest.param("postgresql", marks=pytest.mark.server)
KINDS = ("sqlite", POSTGRESQL)
"""The params of a fixture for tests that run on both databases."""

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
    with _copy_of("template1", name) as url:
        yield url


@contextmanager
def migrated_postgres_database(name: str, package: str) -> Iterator[str]:
    """Create a database with the newest schema of a package for the block, in the same server.

    :returns: its URL.
    """
    with _copy_of(_migrated_template(package), name) as url:
        yield url


@cache
def _migrated_template(package: str) -> str:
    """Create a database that others are copied from, and which remains until the server stops; return its name."""
    name = f"migrated-{package}"
    port = _port()
    _execute(port, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    migrate(_url(port, name), package)
    return name


@contextmanager
def _copy_of(template: str, name: str) -> Iterator[str]:
    port, database = _port(), f"{name}-{next(_numbers)}"
    copy = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
    _execute(port, copy.format(sql.Identifier(database), sql.Identifier(template)))
    try:
        yield _url(port, database)
    finally:
        _execute(port, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database)))


@contextmanager
def new_database(kind: str, folder: Path) -> Iterator[str]:
    """Create a database without tables for the block.

    :param kind: of :data:`KINDS`.
    :param folder: the place of a SQLite database.
    :returns: its URL.
    """
    if kind == "sqlite":
        yield f"sqlite:///{folder}/new.db"
        return
    with postgres_database("new") as url:
        yield url


@contextmanager
def empty_database(kind: str, folder: Path, package: str) -> Iterator[Database]:
    """Create a database with the newest schema of a package for the block.

    The params are those of :func:`new_database`.
    """
    if kind == "sqlite":
        yield Database(empty_sqlite(folder / "empty.db", package))
        return
    with migrated_postgres_database("empty", package) as url:
        database = Database(url)
        yield database
        database.engine.dispose()


def stop_postgres() -> None:
    """Stop the shared PostgreSQL server, if a test has started it."""
    while _servers:
        _servers.popitem()[1].stop()


def _port() -> int:
    """Return the port of the server, which the first caller starts."""
    if not _servers:
        port = free_port()
        with skip_where_missing():
            _servers[port] = start_postgres(temporary_folder("postgres"), port, ENVIRONMENT)
    return next(iter(_servers))


def _url(port: int, database: str) -> str:
    return f"postgresql+psycopg://pixmill@127.0.0.1:{port}/{database}"


def _execute(port: int, statement: sql.Composed) -> None:
    with psycopg.connect(f"postgresql://pixmill@127.0.0.1:{port}/postgres", autocommit=True) as connection:
        connection.execute(statement)
