"""The migration to the trash: it contains no file of an earlier version, and no file is rewritten."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from file_storage.services.totals import stored, trashed
from service_kit.database import Database
from sqlalchemy import inspect, text

from tests.support.databases import KINDS
from tests.support.earlier import earlier_database, upgrade

pytestmark = pytest.mark.slow

BEFORE = [
    "INSERT INTO blobs (sha256, size, file_count) VALUES ('aa', 5, 2)",
    """
    INSERT INTO files (id, name, extension, comment, size, sha256, search_name, created_at, updated_at)
    VALUES (1, 'a', '', '', 5, 'aa', 'a', 1, 1), (2, 'b', '', '', 5, 'aa', 'b', 1, 1)
    """,
]


@pytest.fixture(params=KINDS)
def earlier(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Return a database of the previous revision with rows."""
    with earlier_database(request.param, tmp_path, "file_storage", "0008", BEFORE) as database:
        yield database


def test_files_of_an_earlier_version_are_not_in_the_trash(earlier: Database) -> None:
    upgrade(earlier, "file_storage", "0009")

    with earlier.connect() as connection:
        assert connection.scalars(text("SELECT deleted_at FROM files")).all() == [None, None]
        assert (stored(connection).files, trashed(connection)) == (2, (0, 0))


def test_files_of_an_earlier_version_are_counted_when_they_go_to_the_trash(earlier: Database) -> None:
    upgrade(earlier, "file_storage", "0009")

    with earlier.begin() as connection:
        connection.execute(text("UPDATE files SET deleted_at = 7 WHERE id = 1"))
        assert trashed(connection) == (1, 5)


def test_the_trash_has_indexes_of_its_own(earlier: Database) -> None:
    upgrade(earlier, "file_storage", "0009")

    names = {index["name"] for index in inspect(earlier.engine).get_indexes("files")}
    assert {"ix_files_deleted_at_id", "ix_files_owner_trash"} <= names


@pytest.mark.server
@pytest.mark.parametrize("earlier", ["postgresql"], indirect=True)
def test_no_file_is_rewritten_for_the_trash(earlier: Database) -> None:
    stored_in = text("SELECT pg_relation_filenode('files')")
    with earlier.connect() as connection:
        before = connection.scalar(stored_in)

    upgrade(earlier, "file_storage", "0009")

    with earlier.connect() as connection:
        assert connection.scalar(stored_in) == before
