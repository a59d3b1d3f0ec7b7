"""The totals over all files, which triggers maintain so that no query has to scan the blobs."""

from typing import NamedTuple

from service_kit.database import Database, dialect_of
from sqlalchemy import BigInteger, Connection, cast, column, delete, func, select, table, update

from file_storage.models import StorageTotal

_SUM = select(
    cast(func.coalesce(func.sum(StorageTotal.bytes), 0), BigInteger),
    cast(func.coalesce(func.sum(StorageTotal.files), 0), BigInteger),
)
_CONNECTED = select(column("pid", BigInteger)).select_from(table("pg_stat_activity"))
_ENDED = StorageTotal.connection.not_in(_CONNECTED) & (StorageTotal.connection != 0)
_TAKE_ENDED = delete(StorageTotal).where(_ENDED).returning(StorageTotal.bytes, StorageTotal.files)


class Stored(NamedTuple):
    """The bytes of all blobs with files, and the number of files."""

    bytes: int
    files: int


def stored(connection: Connection) -> Stored:
    """Return the totals, including what this transaction has added."""
    [totals] = connection.execute(_SUM)
    return Stored(*totals)


def fold(database: Database) -> None:
    """Add the rows of ended connections to row 0, so that there are never many rows."""
    with database.begin() as connection:
        if dialect_of(connection) != "postgresql":
            return
        ended = connection.execute(_TAKE_ENDED).all()
        connection.execute(
            update(StorageTotal)
            .where(StorageTotal.connection == 0)
            .values(
                bytes=StorageTotal.bytes + sum(row.bytes for row in ended),
                files=StorageTotal.files + sum(row.files for row in ended),
            )
        )
