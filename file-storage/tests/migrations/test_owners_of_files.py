"""The migration to owners: existing rows belong to ``local``, and no file is rewritten."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from file_storage.services.totals import stored, stored_by
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
    """
    INSERT INTO idempotency_keys (key, fingerprint, file_id, created_at)
    VALUES ('key', 'f', 1, 1), ('gone', '', NULL, 1)
    """,
    """
    INSERT INTO uploads (id, length, metadata_header, name, extension, comment, expires_at, finished)
    VALUES ('u1', 70, '', 'a', '', '', 1, false), ('u2', NULL, '', 'a', '', '', 1, false),
           ('u3', 5, '', 'a', '', '', 1, true)
    """,
]


@pytest.fixture(params=KINDS)
def earlier(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Return a database of the previous revision with rows."""
    with earlier_database(request.param, tmp_path, "file_storage", "0005", BEFORE) as database:
        yield database


def test_what_exists_belongs_to_local(earlier: Database) -> None:
    upgrade(earlier, "file_storage")

    with earlier.connect() as connection:
        owners = {
            table: set(connection.scalars(text(f"SELECT owner FROM {table}")))
            for table in ("files", "uploads", "idempotency_keys")
        }
        keys = connection.execute(text("SELECT key, fingerprint, file_id FROM idempotency_keys ORDER BY key")).all()
    assert owners == {"files": {"local"}, "uploads": {"local"}, "idempotency_keys": {"local"}}
    assert keys == [("gone", "", None), ("key", "f", 1)]


def test_totals_begin_with_what_exists(earlier: Database) -> None:
    upgrade(earlier, "file_storage")

    with earlier.connect() as connection:
        assert stored_by(connection, "local") == (10, 2, 70)
        assert stored(connection).reserved == 70


def test_two_owners_may_use_the_same_key(earlier: Database) -> None:
    upgrade(earlier, "file_storage")

    with earlier.begin() as connection:
        connection.execute(
            text("INSERT INTO idempotency_keys (owner, key, fingerprint, created_at) VALUES ('bob', 'key', '', 1)")
        )
        found = connection.scalar(text("SELECT count(*) FROM idempotency_keys WHERE key = 'key'"))
    assert found == 2
    assert inspect(earlier.engine).get_pk_constraint("idempotency_keys")["constrained_columns"] == ["owner", "key"]


def test_a_deleted_file_takes_its_keys_with_it(earlier: Database) -> None:
    upgrade(earlier, "file_storage")

    with earlier.begin() as connection:
        connection.execute(text("DELETE FROM files WHERE id = 1"))
        assert connection.scalar(text("SELECT count(*) FROM idempotency_keys WHERE key = 'key'")) == 0


@pytest.mark.server
@pytest.mark.parametrize("earlier", ["postgresql"], indirect=True)
def test_no_file_is_rewritten(earlier: Database) -> None:
    stored_in = text("SELECT pg_relation_filenode('files')")
    with earlier.connect() as connection:
        before = connection.scalar(stored_in)

    upgrade(earlier, "file_storage")

    with earlier.connect() as connection:
        assert connection.scalar(stored_in) == before
