"""Lists of files created in a range of time, in the order of their ids, which only mostly grow with time."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from file_storage.services.listing import EXAMINED, FileFilter, Sort
from service_kit.access.principals import LOCAL, WRITER, Principal
from service_kit.database import Database
from sqlalchemy import text

from tests.support.databases import empty_database

ANN = Principal("ann", WRITER)
FILES = 2 * EXAMINED
ROWS = [
    "INSERT INTO blobs (sha256, size, file_count) VALUES ('0', 1, 1)",
    f"""
    WITH RECURSIVE counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < {FILES})
    INSERT INTO files (id, owner, name, extension, search_name, comment, size, sha256, media_type, created_at,
                       updated_at)
    SELECT n, CASE WHEN n % 3 = 0 THEN 'ann' ELSE 'bob' END, 'a', '', 'a', '', 1, '0', 'text/plain',
           CASE WHEN n % 7 = 0 THEN {FILES} - n ELSE n END, n
    FROM counted
    """,
]
"""Every seventh file was created at another time than its neighbors."""
CREATED_AT = {n: FILES - n if n % 7 == 0 else n for n in range(1, FILES + 1)}


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgresql", marks=[pytest.mark.server, pytest.mark.thorough])]
)
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    folder: Path = tmp_path_factory.mktemp("times")
    with empty_database(request.param, folder, "file_storage") as created:
        with created.begin() as connection:
            for statement in ROWS:
                connection.execute(text(statement))
        yield created


@pytest.mark.parametrize("sort", ["id", "-id"])
@pytest.mark.parametrize("principal", [LOCAL, ANN])
@pytest.mark.parametrize(
    ("after", "before"), [(FILES - 100.0, None), (None, 100.0), (FILES / 2, FILES / 2 + 40), (0.0, 1.0)]
)
def test_pages_have_each_file_of_the_range_once_in_order(
    database: Database, principal: Principal, sort: Sort, after: float | None, before: float | None
) -> None:
    wanted, found, cursor = FileFilter(created_after=after, created_before=before, sort=sort), list[int](), ""

    with database.read() as session:
        while page := session.scalars(wanted.page(principal, cursor, 300)).all():
            found += [file.id for file in page]
            cursor = wanted.cursor(page[-1])

    expected = [
        file_id
        for file_id, created_at in CREATED_AT.items()
        if principal.sees_all or file_id % 3 == 0
        if (after is None or created_at > after) and (before is None or created_at < before)
    ]
    assert found == sorted(expected, reverse=sort == "-id")


@pytest.mark.parametrize("sort", ["id", "-created_at"])
def test_the_index_has_the_files_of_the_range(database: Database, sort: Sort) -> None:
    wanted = FileFilter(created_after=FILES - 10.0, sort=sort)

    with database.connect() as connection:
        found = [row.id for row in connection.execute(wanted.index_page(ANN, None, 20_000))]

    expected = [n for n, created_at in CREATED_AT.items() if created_at > FILES - 10 and n % 3 == 0]
    key = (lambda n: n) if sort == "id" else (lambda n: -CREATED_AT[n])
    assert found == sorted(expected, key=key)
