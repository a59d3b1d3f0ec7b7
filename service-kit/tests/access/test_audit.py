"""The audit trail in the database."""

import json
import time
from dataclasses import asdict

import pytest
from service_kit import logs
from service_kit.access import audit
from service_kit.access.audit import AuditFilter, AuditTrail, Change
from service_kit.access.models import AuditEntry
from service_kit.database import Database
from sqlalchemy import insert

from tests.support.deletions import deleted_rows

YEAR = 365 * 86_400.0
ALL = AuditFilter()


def change(object_: str = "/api/file-server/1", owner: str = "alice", when: float | None = None) -> Change:
    return Change(
        time=time.time() if when is None else when,
        owner=owner,
        key_id="0123456789ab",
        address="192.0.2.1",
        action="DELETE /api/file-server/<int:id>",
        object=object_,
        status=204,
        request_id="r",
    )


def test_a_change_is_kept_with_who_and_how_it_ended(database: Database) -> None:
    trail = AuditTrail(database, YEAR)

    trail.add(change())

    [entry] = trail.page(ALL, 0, 10)
    assert (entry.owner, entry.key_id, entry.address, entry.status) == ("alice", "0123456789ab", "192.0.2.1", 204)
    assert (entry.action, entry.object) == ("DELETE /api/file-server/<int:id>", "/api/file-server/1")


def test_a_change_is_written_without_another_request(database: Database) -> None:
    trail, elsewhere = AuditTrail(database, YEAR), AuditTrail(database, YEAR)

    trail.add(change())

    deadline = time.monotonic() + 60
    while not elsewhere.page(ALL, 0, 10):
        assert time.monotonic() < deadline, "no entry was written"
        time.sleep(0.05)


def test_what_waits_is_written_at_the_end(database: Database) -> None:
    trail = AuditTrail(database, YEAR)
    trail.add(change())

    trail.close()

    assert len(AuditTrail(database, YEAR).page(ALL, 0, 10)) == 1


def test_entries_are_filtered_and_paged(database: Database) -> None:
    trail = AuditTrail(database, YEAR)
    for number in range(4):
        trail.add(change(f"/{number}", owner="alice" if number % 2 else "bob"))

    first, second = trail.page(AuditFilter(owner="alice"), 0, 10)

    assert [first.object, second.object] == ["/1", "/3"]
    assert [entry.object for entry in trail.page(ALL, first.id, 1)] == ["/2"]


def test_old_entries_are_removed(database: Database) -> None:
    trail = AuditTrail(database, YEAR)

    trail.add(change("/old", when=time.time() - YEAR - 3600))
    trail.add(change("/new"))

    assert [entry.object for entry in trail.page(ALL, 0, 10)] == ["/new"]


def test_many_old_entries_are_removed_in_steps_apart_from_the_new_ones(database: Database) -> None:
    rows = [{**asdict(change("/old", when=1.0)), "id": number} for number in range(1, 2501)]
    with database.begin() as connection:
        connection.execute(insert(AuditEntry), rows)
    trail = AuditTrail(database, keep_seconds=3600)

    with deleted_rows(database) as counts:
        while trail.page(ALL, 0, 1):
            continue

    assert [count for count in counts if count] == [1000, 1000, 500]


def test_each_change_is_a_log_line(database: Database, capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure("info")

    AuditTrail(database, YEAR).add(change())

    line = json.loads(capfd.readouterr().err.splitlines()[-1])
    assert (line["event"], line["owner"], line["object"], line["status"]) == (
        "audit",
        "alice",
        "/api/file-server/1",
        204,
    )


def test_while_the_database_does_not_answer_a_bounded_number_waits(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "MAX_WAITING", 3)
    trail = AuditTrail(database, YEAR)
    monkeypatch.setattr(audit, "WRITE_SECONDS", 3600)
    for number in range(9):
        trail.add(change(f"/{number}"))

    assert len(trail.page(ALL, 0, 10)) == 3


def test_what_nobody_was_refused_is_only_logged(database: Database) -> None:
    trail = AuditTrail(database, YEAR)

    trail.add(change(owner=""))

    assert trail.page(ALL, 0, 10) == []
