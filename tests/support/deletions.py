"""The rows that transactions delete."""

from collections.abc import Iterator
from contextlib import contextmanager

from service_kit.database import Database
from sqlalchemy import Connection, event
from sqlalchemy.engine.interfaces import DBAPICursor


@contextmanager
def deleted_rows(database: Database) -> Iterator[list[int]]:
    """Return, after the block, the number of rows that each transaction of it deleted; 0 if it deleted none."""
    counts: list[int] = []
    deletions: list[list[tuple[DBAPICursor, int]]] = []

    def begin(_connection: Connection) -> None:
        deletions.append([])

    def count(_connection: Connection, cursor: DBAPICursor, statement: str, *_rest: object) -> None:
        if statement.startswith("DELETE"):
            deletions[-1].append((cursor, cursor.rowcount))

    event.listen(database.engine, "begin", begin)
    event.listen(database.engine, "after_cursor_execute", count)
    yield counts
    event.remove(database.engine, "begin", begin)
    event.remove(database.engine, "after_cursor_execute", count)
    # SQLite knows the number of a DELETE … RETURNING when its rows have been fetched, PostgreSQL only before.
    counts += [sum(max(cursor.rowcount, before) for cursor, before in each) for each in deletions]
