"""Deletes old rows in steps: one statement for many rows would hold locks and an old snapshot for a long time."""

import time

from sqlalchemy import delete, inspect, select, tuple_
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
    deleted = count = delete_step(database, model, column, age)
    while count == STEP and time.monotonic() < deadline:
        count = delete_step(database, model, column, age)
        deleted += count
    return deleted


def delete_step(database: Database, model: type[object], column: InstrumentedAttribute[float], age: float) -> int:
    """Delete at most :data:`STEP` of the rows that :func:`delete_older_than` deletes; return their number."""
    key = inspect(model).primary_key
    # Skip rows that another process is deleting, so that two never wait for each other.
    oldest = (
        select(*key).where(column < epoch_now() - age).order_by(column).limit(STEP).with_for_update(skip_locked=True)
    )
    with database.begin() as connection:
        return connection.execute(delete(model).where(tuple_(*key).in_(oldest))).rowcount
