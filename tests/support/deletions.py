"""The rows that transactions delete."""

from collections.abc import Iterator
from contextlib import contextmanager

from service_kit.database import Database
from sqlalchemy import Connection, event
from sqlalchemy.engine.interfaces import DBAPICursor


@contextmanager
def deleted_rows(database: Database) -> Iterator[list[int]]:
    """Record the number of rows that each transaction of the block deletes; 0 if it deletes none."""
    counts: list[int] = []

    def begin(_connection: Connection) -> None:
        counts.append(0)

    def count(_connection: Connection, cursor: DBAPICursor, statement: str, *_rest: object) -> None:
        if statement.startswith("DELETE"):
            counts[-1] += cursor.rowcount

    event.listen(database.engine, "begin", begin)
    event.listen(database.engine, "after_cursor_execute", count)
    yield counts
    event.remove(database.engine, "begin", begin)
    event.remove(database.engine, "after_cursor_execute", count)
