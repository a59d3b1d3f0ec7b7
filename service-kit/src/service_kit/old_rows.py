"""Deletes old rows in steps: one statement for many rows would hold locks and an old snapshot for a long time."""

import time
from collections.abc import Sequence

from sqlalchemy import ColumnElement, delete, inspect, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from service_kit.database import Database, epoch_now

STEP = 1000
"""Maximum number of rows deleted in one transaction."""
MAX_SECONDS = 10.0
"""Seconds after which no further step starts, so that other chores get their turn."""


def delete_older_than(database: Database, model: type[object], column: InstrumentedAttribute[float], age: float) -> int:
    """Delete rows in steps, the oldest first; return their number.

    The next call deletes the rows that are left after :data:`MAX_SECONDS`.

    :param column: the time of a row, which has an index.
    :param age: rows older than this many seconds are deleted.
    """
    deadline = time.monotonic() + MAX_SECONDS
    times = _delete_oldest(database, model, column, age)
    deleted = len(times)
    while len(times) == STEP and time.monotonic() < deadline:
        # While an old snapshot is held, the index has an entry for each deleted row: do not read them again.
        times = _delete_oldest(database, model, column, age, column >= max(times))
        deleted += len(times)
    return deleted


def delete_step(database: Database, model: type[object], column: InstrumentedAttribute[float], age: float) -> int:
    """Delete at most :data:`STEP` of the rows that :func:`delete_older_than` deletes; return their number."""
    return len(_delete_oldest(database, model, column, age))


def _delete_oldest(
    database: Database,
    model: type[object],
    column: InstrumentedAttribute[float],
    age: float,
    *conditions: ColumnElement[bool],
) -> Sequence[float]:
    """Delete at most :data:`STEP` old rows that meet the conditions; return their times."""
    key = inspect(model).primary_key
    oldest = select(*key).where(column < epoch_now() - age, *conditions).order_by(column).limit(STEP)
    # Skip rows that another process is deleting, so that two never wait for each other.
    chosen = oldest.with_for_update(skip_locked=True)
    with database.begin() as connection:
        return connection.scalars(delete(model).where(tuple_(*key).in_(chosen)).returning(column)).all()
