"""A database with a missing table."""

from collections.abc import Iterator
from contextlib import contextmanager

from service_kit.database import Database
from sqlalchemy import text


@contextmanager
def table_away(database: Database, table: str) -> Iterator[None]:
    """Make every statement on the table fail until the block ends."""
    with database.begin() as connection:
        connection.execute(text(f"ALTER TABLE {table} RENAME TO away"))
    yield
    with database.begin() as connection:
        connection.execute(text(f"ALTER TABLE away RENAME TO {table}"))
