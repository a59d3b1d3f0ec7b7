"""How much is stored in all: kept by triggers on the blobs, read without looking at them."""

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
    """The bytes of all blobs that files have, and the number of files."""

    bytes: int
    files: int


def stored(connection: Connection) -> Stored:
    """Return the totals, with what this transaction has added."""
    return Stored(*connection.execute(_SUM).one())


def fold(database: Database) -> None:
    """Add the rows of connections that have ended to one, so that there are never many."""
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
