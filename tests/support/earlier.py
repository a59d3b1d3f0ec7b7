"""Databases of earlier schema revisions, for tests of migrations."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from service_kit.database import Database
from service_kit.migrations import migrate
from sqlalchemy import text

from tests.support.databases import new_database


@contextmanager
def earlier_database(
    kind: str, folder: Path, package: str, revision: str, statements: Sequence[str]
) -> Iterator[Database]:
    """Create a database at an earlier revision for the block, after running these statements.

    :param kind: of :data:`tests.support.databases.KINDS`.
    :param folder: the place of a SQLite database.
    """
    with new_database(kind, folder) as url:
        migrate(url, package, revision)
        database = Database(url)
        with database.begin() as connection:
            for statement in statements:
                connection.execute(text(statement))
        yield database
        database.engine.dispose()


def upgrade(database: Database, package: str, revision: str = "head") -> None:
    """Migrate a database as a service does at its start."""
    migrate(database.engine.url.render_as_string(hide_password=False), package, revision)
