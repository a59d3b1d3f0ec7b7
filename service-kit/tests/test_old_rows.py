"""Old rows are deleted in steps, each in its own transaction."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from service_kit.access.models import AuditEntry
from service_kit.database import Database
from service_kit.old_rows import delete_older_than
from sqlalchemy import Connection, event, func, insert, select, text

from tests.support.databases import KINDS, empty_database, libpq_url
from tests.support.deletions import deleted_rows

DAY = 86_400
MANY_ENTRIES = """
INSERT INTO access_audit (time, owner, address, action, object, status, request_id)
SELECT n, 'ann', '', '', '', 200, '' FROM generate_series(1, 5500) n
"""


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


@pytest.mark.parametrize("database", [pytest.param("postgresql", marks=pytest.mark.server)], indirect=True)
def test_a_step_does_not_read_what_earlier_ones_deleted_while_a_snapshot_is_held(database: Database) -> None:
    with database.begin() as connection:
        connection.execute(text(MANY_ENTRIES))
    read: list[int] = []

    with psycopg.connect(libpq_url(database.engine.url.render_as_string(hide_password=False))) as dump:
        dump.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        dump.execute("SELECT count(*) FROM access_audit WHERE false")
        with pages_of_deletions(database, read):
            delete_older_than(database, AuditEntry, AuditEntry.time, DAY)

    assert len(read) == 6
    assert max(read[1:]) < 1.5 * read[0]


@contextmanager
def pages_of_deletions(database: Database, read: list[int]) -> Iterator[None]:
    """Add the number of pages that the choice of the rows of each DELETE reads to ``read``."""

    def explain(connection: Connection, _cursor: object, statement: str, parameters: object, *_rest: object) -> None:
        if not statement.startswith("DELETE"):
            return
        chosen = statement[statement.index("(SELECT") + 1 : statement.rindex(")")]
        with psycopg.connect(libpq_url(connection.engine.url.render_as_string(hide_password=False))) as another:
            [(plan,)] = another.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {chosen}", parameters).fetchall()  # type: ignore[call-overload]  # the driver's own statement and parameters
        read.append(plan[0]["Plan"]["Shared Hit Blocks"] + plan[0]["Plan"]["Shared Read Blocks"])

    event.listen(database.engine, "before_cursor_execute", explain)
    yield
    event.remove(database.engine, "before_cursor_execute", explain)
