"""A small table of events, on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from service_kit.database import Database
from sqlalchemy import delete

from tests.support.databases import postgres_database
from tests.support.measurements import Base, Measurement


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = with_table(f"sqlite:///{tmp_path}/events.db")
    yield database
    database.engine.dispose()


@pytest.fixture(scope="module")
def postgresql() -> Iterator[Database]:
    with postgres_database("events") as url:
        database = with_table(url)
        yield database
        database.engine.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def each_database(request: pytest.FixtureRequest) -> Database:
    """Return a database without events; tests run on both SQLite and PostgreSQL."""
    found: Database = request.getfixturevalue("database" if request.param == "sqlite" else "postgresql")
    with found.begin() as connection:
        connection.execute(delete(Measurement))
    return found


def with_table(url: str) -> Database:
    database = Database(url)
    Base.metadata.create_all(database.engine)
    return database
