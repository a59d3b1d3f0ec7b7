"""Old rows are deleted in steps, each in its own transaction."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from service_kit.access.models import AuditEntry
from service_kit.database import Database
from service_kit.old_rows import delete_older_than
from sqlalchemy import Connection, func, insert, select

from tests.support.databases import KINDS, empty_database
from tests.support.deletions import deleted_rows

DAY = 86_400


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with empty_database(request.param, tmp_path, "service_kit.access") as database:
        yield database


def add_entries(database: Database, count: int, time: float) -> None:
    change = {"time": time, "owner": "ann", "address": "", "action": "", "object": "", "status": 200, "request_id": ""}
    with database.begin() as connection:
        connection.execute(insert(AuditEntry), [change] * count)


def entries(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(AuditEntry)).scalar_one()


def test_many_old_rows_are_deleted_in_steps_and_young_rows_stay(database: Database) -> None:
    add_entries(database, 2500, time=1)
    add_entries(database, 3, time=2**40)

    with deleted_rows(database) as counts:
        deleted = delete_older_than(database, AuditEntry, AuditEntry.time, DAY)

    assert (deleted, counts) == (2500, [1000, 1000, 500])
    with database.connect() as connection:
        assert entries(connection) == 3


@pytest.mark.parametrize("database", [pytest.param("postgresql", marks=pytest.mark.server)], indirect=True)
def test_rows_that_another_process_deletes_are_skipped(database: Database) -> None:
    add_entries(database, 5, time=1)

    with database.begin() as another:
        another.execute(select(AuditEntry.id).order_by(AuditEntry.id).limit(2).with_for_update())
        deleted = delete_older_than(database, AuditEntry, AuditEntry.time, DAY)

    assert deleted == 3
