"""Totals of all files, per owner, and by kind and month. Triggers maintain them, so that no query scans the rows."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from service_kit.database import Database, dialect_of
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Row,
    bindparam,
    cast,
    column,
    delete,
    func,
    select,
    table,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import InstrumentedAttribute

from file_storage.models import FileCount, OwnerTotal, StorageTotal

STEP = 1000
"""Maximum number of rows folded in one transaction."""
MAX_STEPS = 100
"""Maximum number of steps for each table, so that other chores get their turn."""


def _sum(counted: InstrumentedAttribute[int]) -> ColumnElement[int]:
    return cast(func.coalesce(func.sum(counted), 0), BigInteger)


_SUM = select(_sum(StorageTotal.bytes), _sum(StorageTotal.files), _sum(StorageTotal.reserved))
_SUM_OF_OWNER = select(_sum(OwnerTotal.bytes), _sum(OwnerTotal.files), _sum(OwnerTotal.reserved)).where(
    OwnerTotal.owner == bindparam("owner")
)
_SUM_OF_TRASH = select(_sum(StorageTotal.trashed_files), _sum(StorageTotal.trashed_bytes))
_COUNTS = (
    select(FileCount.kind, FileCount.month, _sum(FileCount.files), _sum(FileCount.bytes))
    .group_by(FileCount.kind, FileCount.month)
    # Deletions leave rows that sum to zero.
    .having(func.sum(FileCount.files) != 0)
    .order_by(FileCount.month, FileCount.kind)
)
_COUNTS_OF_OWNER = _COUNTS.where(FileCount.owner == bindparam("owner"))
_CONNECTED = select(column("pid", BigInteger)).select_from(table("pg_stat_activity"))


class Totals(NamedTuple):
    """The totals of stored files.

    :param bytes: bytes of all blobs with files, each counted once; for an owner, the bytes of all its files.
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
    """The totals of files in the trash, which :class:`Totals` include."""

    files: int
    bytes: int


def trashed(connection: Connection) -> Trashed:
    """Return the totals of the trash of all owners; ``bytes`` counts each file."""
    [totals] = connection.execute(_SUM_OF_TRASH)
    return Trashed(*totals)


class MonthlyCount(NamedTuple):
    """The files of a kind of media type that were uploaded in a month, including those in the trash.

    :param kind: for example ``image``.
    :param month: for example ``2026-11``.
    :param bytes: bytes of every file, even if files share them.
    """

    kind: str
    month: str
    files: int
    bytes: int


def monthly_counts(connection: Connection, owner: str | None) -> Sequence[MonthlyCount]:
    """Return the numbers of files of an owner, or of all, by month and kind, without zeros."""
    statement = _COUNTS if owner is None else _COUNTS_OF_OWNER
    return [MonthlyCount(*row) for row in connection.execute(statement, {} if owner is None else {"owner": owner})]


def fold(database: Database) -> int:
    """Add the rows of closed connections to the rows of connection 0, to keep the number of rows small; return theirs.

    Each table is folded in steps; the next call folds the rows that are left after :data:`MAX_STEPS`.
    """
    with database.connect() as connection:
        if dialect_of(connection) != "postgresql":
            return 0
    tables: Sequence[Callable[[Connection], int]] = (
        _fold_all,
        partial(_fold_each, model=OwnerTotal, keys=("owner",), sums=Totals._fields),
        partial(_fold_each, model=FileCount, keys=("owner", "kind", "month"), sums=("files", "bytes")),
    )
    total = 0
    for fold_step in tables:
        for _ in range(MAX_STEPS):
            with database.begin() as connection:
                folded = fold_step(connection)
            total += folded
            if folded < STEP:
                break
    return total


def _fold_all(connection: Connection) -> int:
    taken = _taken(connection, StorageTotal, ("connection",), _COUNTED)
    if taken:
        more = {name: getattr(StorageTotal, name) + sum(getattr(row, name) for row in taken) for name in _COUNTED}
        connection.execute(update(StorageTotal).where(StorageTotal.connection == 0).values(more))
    return len(taken)


def _taken(
    connection: Connection,
    model: type[StorageTotal | OwnerTotal | FileCount],
    keys: Sequence[str],
    sums: Sequence[str],
) -> Sequence[Row[*tuple[object, ...]]]:
    """Delete the rows of closed connections, at most :data:`STEP`; return them."""
    ended = model.connection.not_in(_CONNECTED) & (model.connection != 0)
    key = [getattr(model, name) for name in dict.fromkeys((*keys, "connection"))]
    # Skip rows that another process is folding, so that two folds never deadlock.
    found = select(*key).where(ended).limit(STEP).with_for_update(skip_locked=True, of=model)
    columns = [getattr(model, name) for name in (*keys, *sums)]
    return connection.execute(delete(model).where(tuple_(*key).in_(found)).returning(*columns)).all()


def _fold_each(
    connection: Connection, model: type[OwnerTotal | FileCount], keys: Sequence[str], sums: Sequence[str]
) -> int:
    """Fold some rows of a table, separately for each key; return their number."""
    taken = _taken(connection, model, keys, sums)
    if not taken:
        return 0
    insert = postgresql.insert(model)
    added = {name: getattr(model, name) + insert.excluded[name] for name in sums}
    folded = insert.on_conflict_do_update(index_elements=[*keys, "connection"], set_=added)
    # A fixed order, so that two folds do not deadlock.
    in_order = sorted(taken, key=lambda row: tuple(row)[: len(keys)])
    connection.execute(folded, [{"connection": 0, **row._asdict()} for row in in_order])
    return len(taken)
