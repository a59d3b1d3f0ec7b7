"""Migration 0021: events of one file keep the order in which it changed, though transactions overlap."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from file_storage.models import File, FileEvent
from service_kit.database import Database
from service_kit.events.rows import Events
from sqlalchemy import delete, text, update

from tests.support.databases import empty_database

pytestmark = pytest.mark.server


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with empty_database("postgresql", tmp_path, "file_storage") as database:
        yield database


def test_a_transaction_that_began_earlier_and_changes_later_is_read_later(database: Database) -> None:
    with database.begin() as connection:
        connection.execute(text("INSERT INTO blobs (sha256, size, file_count) VALUES ('aa', 5, 1)"))
        connection.execute(
            text("""
                INSERT INTO files (id, name, extension, comment, size, sha256, search_name, created_at, updated_at)
                VALUES (1, 'a', '.txt', '', 5, 'aa', 'a.txt', 1, 1)
            """)
        )
    events = Events(database, FileEvent)
    before = events.latest()

    with database.begin() as earlier:
        earlier.execute(text("SELECT pg_current_xact_id()"))
        with database.begin() as later:
            later.execute(update(File).where(File.id == 1).values(comment="red"))
        earlier.execute(delete(File).where(File.id == 1))

    assert [event.change for event in events.after(before, 10)] == ["changed", "deleted"]
