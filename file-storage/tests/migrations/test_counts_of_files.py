"""Migration 0014 counts the files of an earlier version by kind and month."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from file_storage.services.totals import MonthlyCount, monthly_counts
from service_kit.database import Database
from sqlalchemy import text

from tests.support.databases import KINDS
from tests.support.earlier import earlier_database, upgrade

pytestmark = pytest.mark.slow

BEFORE = [
    "INSERT INTO blobs (sha256, size, file_count) VALUES ('aa', 5, 4)",
    """
    INSERT INTO files (id, owner, name, extension, comment, size, sha256, search_name, media_type, created_at,
                       updated_at, deleted_at)
    VALUES (1, 'ann', 'a', '', '', 5, 'aa', 'a', 'image/png', 1767225599.5, 1, NULL),
           (2, 'ann', 'b', '', '', 5, 'aa', 'b', 'image/jpeg', 1767225599.5, 1, 7),
           (3, 'ann', 'c', '', '', 5, 'aa', 'c', 'image/png', 1767225600, 1, NULL),
           (4, 'bob', 'd', '', '', 5, 'aa', 'd', 'application/pdf', 1767225600, 1, NULL)
    """,
]


@pytest.fixture(params=KINDS)
def earlier(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Return a database of the previous revision with rows."""
    with earlier_database(request.param, tmp_path, "file_storage", "0013", BEFORE) as database:
        yield database


def test_files_of_an_earlier_version_are_counted(earlier: Database) -> None:
    upgrade(earlier, "file_storage")

    with earlier.connect() as connection:
        assert monthly_counts(connection, "ann") == [
            MonthlyCount("image", "2025-12", 2, 10),
            MonthlyCount("image", "2026-01", 1, 5),
        ]
        assert monthly_counts(connection, "bob") == [MonthlyCount("application", "2026-01", 1, 5)]


def test_files_of_an_earlier_version_leave_the_counts_when_they_are_removed(earlier: Database) -> None:
    upgrade(earlier, "file_storage")

    with earlier.begin() as connection:
        connection.execute(text("DELETE FROM files WHERE id <= 2"))
        assert monthly_counts(connection, "ann") == [MonthlyCount("image", "2026-01", 1, 5)]
