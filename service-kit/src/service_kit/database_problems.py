"""Problems of the database. A module of its own: the processes that decode images load no SQLAlchemy."""

import sqlite3

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from service_kit.problems import Problem
from service_kit.texts import sentence

_SQLITE_DISK_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE)
"""The second code means that the disk has no room for the shared memory of connections, which readers need too."""
_POSTGRESQL_DISK_FULL = "53100"
"""The SQLSTATE of a full disk."""


def database_unavailable() -> Problem:
    """Return the 503 problem for a database that does not answer."""
    return Problem("database-unavailable", 503, sentence("The database does not answer; try again."), retry_after=5)


def database_failed(error: SQLAlchemyError) -> Problem:
    """Return the problem for a failed statement: 507 if the database's disk is full, otherwise 503."""
    if not _is_full(error):
        return database_unavailable()
    return Problem(
        "database-full", 507, sentence("The disk of the database is full; nothing was changed."), retry_after=5
    )


def _is_full(error: SQLAlchemyError) -> bool:
    cause = error.orig if isinstance(error, DBAPIError) else None
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", None) in _SQLITE_DISK_FULL
    return getattr(cause, "sqlstate", None) == _POSTGRESQL_DISK_FULL
