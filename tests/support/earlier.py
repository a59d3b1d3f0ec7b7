"""Databases as an earlier version left them, for tests of migrations."""

from collections.abc import Sequence

from service_kit.database import Database
from service_kit.migrations import migrate
from sqlalchemy import text


def earlier_database(url: str, package: str, revision: str, statements: Sequence[str]) -> Database:
    """Return a database of an earlier revision, after these statements."""
    migrate(url, package, revision)
    database = Database(url)
    with database.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    return database


def upgrade(database: Database, package: str, revision: str = "head") -> None:
    """Migrate a database as the start of a service does."""
    migrate(database.engine.url.render_as_string(hide_password=False), package, revision)
