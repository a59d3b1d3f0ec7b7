"""The migration to links for sets leaves existing links unchanged."""

from collections.abc import Iterator

import pytest
from file_storage.config import Settings
from service_kit.database import Database
from service_kit.migrations import migrate
from sqlalchemy import inspect, text

from tests.support.databases import postgres_database

pytestmark = pytest.mark.slow

BEFORE = [
    "INSERT INTO blobs (sha256, size, file_count) VALUES ('aa', 5, 1)",
    """
    INSERT INTO files (id, owner, name, extension, comment, size, sha256, search_name, created_at, updated_at)
    VALUES (1, 'bob', 'a', '', '', 5, 'aa', 'a', 1, 1)
    """,
    """
    INSERT INTO links (file_id, owner, created_at, expires_at, disposition, note)
    VALUES (1, 'bob', 1, 2, 'inline', 'kept'), (1, 'bob', 1, 2, NULL, 'revoked')
    """,
    "DELETE FROM links WHERE note = 'revoked'",
]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def upgraded(request: pytest.FixtureRequest, settings: Settings, tmp_path: object) -> Iterator[Database]:
    """Return an upgraded database that had a valid and a revoked link."""
    if request.param == "postgresql":
        with postgres_database("links-for-sets") as url:
            yield filled(url)
    else:
        yield filled(f"sqlite:///{tmp_path}/earlier.db")


def filled(url: str) -> Database:
    migrate(url, "file_storage", "0007")
    database = Database(url)
    with database.begin() as connection:
        for statement in BEFORE:
            connection.execute(text(statement))
    database.engine.dispose()
    migrate(url, "file_storage")
    return database


def test_a_link_to_one_file_is_kept_and_ends_with_its_file(upgraded: Database) -> None:
    columns = "id, file_id, owner, created_at, expires_at, disposition, note, file_count, password_hash"
    with upgraded.begin() as connection:
        kept = connection.execute(text(f"SELECT {columns} FROM links")).all()
        connection.execute(text("DELETE FROM files"))
        left = connection.execute(text("SELECT count(*) FROM links")).scalar_one()

    assert kept == [(1, 1, "bob", 1, 2, "inline", "kept", 1, None)]
    assert left == 0


def test_the_id_of_a_revoked_link_is_not_given_again(upgraded: Database) -> None:
    with upgraded.begin() as connection:
        made = connection.execute(
            text("INSERT INTO links (owner, created_at, expires_at, note) VALUES ('bob', 1, 2, '') RETURNING id")
        ).scalar_one()

    assert made == 3


def test_all_indexes_are_there(upgraded: Database) -> None:
    indexes = {str(index["name"]): bool(index["unique"]) for index in inspect(upgraded.engine).get_indexes("links")}

    assert indexes == {
        "ix_links_file_id": False,
        "ix_links_expires_at": False,
        "ix_links_owner_id": False,
        "ix_links_token_digest": True,
    }
