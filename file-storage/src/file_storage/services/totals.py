"""The totals over all files and of each owner, which triggers maintain so that no query has to scan the rows."""

from typing import NamedTuple

from service_kit.database import Database, dialect_of
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    bindparam,
    cast,
    column,
    delete,
    func,
    select,
    table,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import InstrumentedAttribute

from file_storage.models import OwnerTotal, StorageTotal


def _sum(counted: InstrumentedAttribute[int]) -> ColumnElement[int]:
    return cast(func.coalesce(func.sum(counted), 0), BigInteger)


_SUM = select(_sum(StorageTotal.bytes), _sum(StorageTotal.files), _sum(StorageTotal.reserved))
_SUM_OF_OWNER = select(_sum(OwnerTotal.bytes), _sum(OwnerTotal.files), _sum(OwnerTotal.reserved)).where(
    OwnerTotal.owner == bindparam("owner")
)
_SUM_OF_TRASH = select(_sum(StorageTotal.trashed_files), _sum(StorageTotal.trashed_bytes))
_CONNECTED = select(column("pid", BigInteger)).select_from(table("pg_stat_activity"))


class Totals(NamedTuple):
    """What is stored.

    :param bytes: of all blobs with files, each once; of an owner: of all its files.
    :param reserved: bytes of unfinished uploads.
    """

    bytes: int
    files: int
    reserved: int


_COUNTED = (*Totals._fields, "trashed_bytes", "trashed_files")
"""The columns of :class:`StorageTotal` that are sums."""


def stored(connection: Connection) -> Totals:
    """Return the totals over all files, including what this transaction has added."""
    [totals] = connection.execute(_SUM)
    return Totals(*totals)


def stored_by(connection: Connection, owner: str) -> Totals:
    """Return the totals of an owner, including what this transaction has added."""
    [totals] = connection.execute(_SUM_OF_OWNER, {"owner": owner})
    return Totals(*totals)


class Trashed(NamedTuple):
    """What is in the trash; :class:`Totals` count it too."""

    files: int
    bytes: int


def trashed(connection: Connection) -> Trashed:
    """Return the totals of the trash of all owners; ``bytes`` counts each file."""
    [totals] = connection.execute(_SUM_OF_TRASH)
    return Trashed(*totals)


def fold(database: Database) -> None:
    """Add the rows of ended connections to the rows 0, so that there are never many rows."""
    with database.begin() as connection:
        if dialect_of(connection) != "postgresql":
            return
        _fold_all(connection)
        _fold_owners(connection)


def _fold_all(connection: Connection) -> None:
    ended = StorageTotal.connection.not_in(_CONNECTED) & (StorageTotal.connection != 0)
    columns = [getattr(StorageTotal, name) for name in _COUNTED]
    taken = connection.execute(delete(StorageTotal).where(ended).returning(*columns)).all()
    more = {name: getattr(StorageTotal, name) + sum(getattr(row, name) for row in taken) for name in _COUNTED}
    connection.execute(update(StorageTotal).where(StorageTotal.connection == 0).values(more))


def _fold_owners(connection: Connection) -> None:
    ended = OwnerTotal.connection.not_in(_CONNECTED) & (OwnerTotal.connection != 0)
    columns = (OwnerTotal.owner, OwnerTotal.bytes, OwnerTotal.files, OwnerTotal.reserved)
    taken = connection.execute(delete(OwnerTotal).where(ended).returning(*columns)).all()
    if not taken:
        return
    insert = postgresql.insert(OwnerTotal)
    sums = {name: getattr(OwnerTotal, name) + insert.excluded[name] for name in Totals._fields}
    folded = insert.on_conflict_do_update(index_elements=[OwnerTotal.owner, OwnerTotal.connection], set_=sums)
    # In one order, so that two folds do not wait for each other's rows.
    connection.execute(folded, [{"connection": 0, **row._asdict()} for row in sorted(taken, key=lambda row: row.owner)])
