"""The database itself keeps entries of the audit trail: they are never changed, and deleted only when they are old."""

import math
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from service_kit.access.audit import AuditFilter, AuditTrail
from service_kit.access.models import AuditEntry
from service_kit.access.retention import YEAR
from service_kit.database import Database
from sqlalchemy import insert, text
from sqlalchemy.exc import DBAPIError

from tests.support.databases import KINDS, POSTGRESQL, empty_database
from tests.support.earlier import earlier_database, upgrade

DAY = 86_400.0
REFUSAL = "an entry of the audit trail is"
EARLIER = [
    "INSERT INTO access_audit (id, time, owner, address, action, object, status, request_id)"
    " VALUES (7, 4102444800, 'ann', '', '', '/of-an-earlier-version', 200, '')"
]


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with empty_database(request.param, tmp_path, "service_kit.access") as database:
        yield database


def add(database: Database, **ages: float) -> None:
    """Add an entry of each age in seconds, whose object is the name."""
    entry = {"owner": "ann", "address": "", "action": "", "status": 200, "request_id": ""}
    rows = [{**entry, "object": name, "time": time.time() - age} for name, age in ages.items()]
    with database.begin() as connection:
        connection.execute(insert(AuditEntry), rows)


def run(database: Database, statement: str) -> None:
    with database.begin() as connection:
        connection.execute(text(statement))


def entries(database: Database, keep_seconds: float = 10 * YEAR) -> list[str]:
    return [entry.object for entry in AuditTrail(database, keep_seconds).page(AuditFilter(), 0, 100)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE access_audit SET owner = 'mallory' WHERE object = 'young'",
        "UPDATE access_audit SET time = 1 WHERE object = 'young'",
        "UPDATE access_audit SET owner = 'mallory' WHERE object = 'old'",
        "DELETE FROM access_audit WHERE object = 'young'",
        "DELETE FROM access_audit",
        "INSERT INTO access_audit SELECT * FROM access_audit WHERE true ON CONFLICT (id) DO UPDATE SET time = 1",
    ],
)
def test_a_young_entry_is_neither_changed_nor_deleted(database: Database, statement: str) -> None:
    add(database, old=YEAR + DAY, young=YEAR - DAY)

    with pytest.raises(DBAPIError, match=REFUSAL):
        run(database, statement)

    assert entries(database) == ["old", "young"]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_sqlite_does_not_replace_an_entry(database: Database) -> None:
    add(database, young=0)

    with pytest.raises(DBAPIError, match=REFUSAL):
        run(
            database,
            "INSERT OR REPLACE INTO access_audit"
            " SELECT id, time, 'mallory', key_id, address, action, object, status, request_id FROM access_audit",
        )

    assert [entry.owner for entry in AuditTrail(database, YEAR).page(AuditFilter(), 0, 100)] == ["ann"]


@pytest.mark.parametrize("database", [POSTGRESQL], indirect=True)
def test_postgresql_does_not_truncate_the_entries(database: Database) -> None:
    add(database, old=YEAR + DAY)

    with pytest.raises(DBAPIError, match=REFUSAL):
        run(database, "TRUNCATE access_audit")

    assert entries(database) == ["old"]


def test_an_old_entry_is_deleted(database: Database) -> None:
    add(database, old=YEAR + DAY, young=YEAR - DAY)

    AuditTrail(database, YEAR).close()

    assert entries(database) == ["young"]


def test_a_process_sets_the_time_of_its_setting(database: Database) -> None:
    add(database, week=7 * DAY, day=DAY)
    for seconds in (2 * YEAR, 3 * DAY):
        AuditTrail(database, seconds).close()

    with pytest.raises(DBAPIError, match=REFUSAL):
        run(database, "DELETE FROM access_audit WHERE object = 'day'")

    assert entries(database, 3 * DAY) == ["day"]


def test_entries_that_are_kept_for_ever_are_not_deleted(database: Database) -> None:
    add(database, old=10 * YEAR)
    trail = AuditTrail(database, math.inf)

    trail.close()

    with pytest.raises(DBAPIError, match=REFUSAL):
        run(database, "DELETE FROM access_audit")
    assert entries(database, math.inf) == ["old"]


@pytest.fixture(params=KINDS)
def earlier(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Return a database of the previous revision with an entry."""
    with earlier_database(request.param, tmp_path, "service_kit.access", "0003", EARLIER) as database:
        yield database


@pytest.mark.slow
def test_entries_of_an_earlier_version_are_kept_too(earlier: Database) -> None:
    upgrade(earlier, "service_kit.access")

    with pytest.raises(DBAPIError, match=REFUSAL):
        run(earlier, "DELETE FROM access_audit")

    assert entries(earlier) == ["/of-an-earlier-version"]
