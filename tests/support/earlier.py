"""Databases of earlier schema revisions, for tests of migrations."""

from collections.abc import Sequence

from service_kit.database import Database
from service_kit.migrations import migrate
from sqlalchemy import text


def earlier_database(url: str, package: str, revision: str, statements: Sequence[str]) -> Database:
    """Return a database at an earlier revision, after running these statements."""
    migrate(url, package, revision)
    database = Database(url)
    with database.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    return database


def upgrade(database: Database, package: str, revision: str = "head") -> None:
    """Migrate a database as a service does at its start."""
    migrate(database.engine.url.render_as_string(hide_password=False), package, revision)
