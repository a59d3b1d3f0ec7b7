"""The migration to folders, origins and expiry keeps all data of existing files and rewrites no file."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from service_kit.database import Database
from sqlalchemy import text

from tests.support.earlier import earlier_database, upgrade

pytestmark = pytest.mark.slow

COUNT = 10_001
BEFORE = [
    f"INSERT INTO blobs (sha256, size, file_count) VALUES ('aa', 5, {COUNT})",
    f"""
    WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {COUNT})
    INSERT INTO files (id, name, extension, comment, size, sha256, search_name, created_at, updated_at)
    SELECT n, 'a', '.jpg', CASE WHEN n % 2 = 0 THEN '' ELSE 'STRAßE Ёж' END, 5, 'aa', 'a.jpg', n, n FROM numbers
    """,
    """
    INSERT INTO uploads (id, length, metadata_header, name, extension, comment, expires_at, finished)
    VALUES ('u1', 70, '', 'a', '', '', 1, false)
    """,
]


@pytest.fixture(params=["sqlite"])
def earlier(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Return a database of the previous revision with rows."""
    with earlier_database(request.param, tmp_path, "file_storage", "0007", BEFORE) as database:
        yield database


def test_what_exists_is_an_upload_without_folder_or_end(earlier: Database) -> None:
    upgrade(earlier, "file_storage", "0008")

    new = "origin, folder, source_id, task_id, taken_at, expires_at"
    with earlier.connect() as connection:
        rows = connection.execute(text(f"SELECT {new}, count(*) FROM files GROUP BY {new}")).all()
        uploads = connection.execute(text("SELECT id, folder, expires_in FROM uploads")).all()
    assert rows == [("upload", "", None, None, None, None, COUNT)]
    assert uploads == [("u1", "", None)]


def test_comments_that_exist_are_searched(earlier: Database) -> None:
    upgrade(earlier, "file_storage", "0008")

    with earlier.connect() as connection:
        folded = text("SELECT search_comment, count(*) FROM files GROUP BY search_comment ORDER BY 2")
        assert connection.execute(folded).all() == [(None, COUNT // 2), ("strasse ёж", COUNT // 2 + 1)]


@pytest.mark.server
@pytest.mark.parametrize("earlier", ["postgresql"], indirect=True)
def test_postgresql_rewrites_no_table_and_searches_comments(earlier: Database) -> None:
    stored_in = text("SELECT pg_relation_filenode('files')")
    with earlier.connect() as connection:
        before = connection.scalar(stored_in)

    upgrade(earlier, "file_storage", "0008")

    with earlier.connect() as connection:
        assert connection.scalar(stored_in) == before
        found = text("SELECT count(*) FROM files WHERE pixmill_letters_of_text(search_comment) @> ARRAY['ёж', 'ss']")
        assert connection.scalar(found) == COUNT // 2 + 1
