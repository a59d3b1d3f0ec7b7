"""The statistics of tasks for a page."""

from collections.abc import Mapping

import pytest
from image_processor.models import Task, TaskEvent, TaskStatus
from image_processor.services.tasks.ended import processing
from image_processor.services.tasks.stats import TaskNumbers, TaskStats
from service_kit.access.principals import ALL_SCOPES, WRITER, Principal
from service_kit.database import Database, epoch_now
from sqlalchemy import insert, text, update

ANN, BOB = Principal("ann", WRITER), Principal("bob", WRITER)
ADMIN = Principal("root", ALL_SCOPES)
KEY_OF_LOCAL = Principal("local", WRITER)
OF_ANN = {"pending": 3, "processing": 2, "error": 4, "cancelled": 1}


def add(database: Database, owner: str, counts: Mapping[str, int], **values: object) -> None:
    rows = [
        {"source_id": 1, "algorithm": "flip", "owner": owner, "status": status, **values}
        for status, count in counts.items()
        for _ in range(count)
    ]
    with database.write() as session:
        session.execute(insert(Task), rows)


def pending_for(database: Database, seconds: float, owner: str, priority: int, status: str = "pending") -> None:
    values = {"source_id": 1, "algorithm": "flip", "owner": owner, "status": status, "priority": priority}
    with database.write() as session:
        session.execute(insert(Task).values(created_at=epoch_now() - seconds, **values))


def numbers(database: Database, principal: Principal) -> TaskNumbers:
    return TaskStats(database).of(principal)


def test_an_owner_gets_the_numbers_of_its_own_tasks(database: Database) -> None:
    add(database, "ann", {**OF_ANN, "finished": 7})
    add(database, "bob", {"pending": 5, "error": 2})
    add(database, "local", {"pending": 1})

    nothing = {str(status): 0 for status in TaskStatus}
    assert numbers(database, ANN).tasks == {**OF_ANN, "finished": 7}
    assert numbers(database, BOB).tasks == nothing | {"pending": 5, "error": 2}
    assert numbers(database, KEY_OF_LOCAL).tasks == nothing | {"pending": 1}
    assert numbers(database, ADMIN).tasks == {"pending": 9, "processing": 2, "error": 6, "cancelled": 1, "finished": 7}


def test_tasks_of_every_priority_are_counted(database: Database) -> None:
    for priority in (0, 4, 9):
        add(database, "ann", {"pending": 1}, priority=priority)

    assert numbers(database, ANN).tasks[TaskStatus.PENDING] == 3


def test_the_oldest_pending_task_is_the_owner_s_own(database: Database) -> None:
    pending_for(database, 9000, "bob", 0)
    pending_for(database, 8000, "ann", 0, "error")
    pending_for(database, 1000, "ann", 3)
    pending_for(database, 500, "ann", 9)

    assert numbers(database, ANN).oldest_pending_seconds == pytest.approx(1000, abs=100)
    assert numbers(database, ADMIN).oldest_pending_seconds == pytest.approx(9000, abs=100)


def test_without_pending_tasks_there_is_no_oldest(database: Database) -> None:
    add(database, "ann", {"finished": 1})

    assert numbers(database, ANN).oldest_pending_seconds is None
    assert numbers(database, ADMIN).oldest_pending_seconds is None


def test_the_ends_of_the_last_minute_are_counted(database: Database) -> None:
    add(database, "ann", {"pending": 4})
    add(database, "bob", {"pending": 1})
    with database.write() as session:
        session.execute(update(Task).where(Task.id <= 2).values(status="finished"))
        session.execute(update(Task).where(Task.id == 3).values(status="error"))
        session.execute(update(Task).where(Task.owner == "bob").values(status="finished"))
        session.execute(update(TaskEvent).where(TaskEvent.task_id == 1).values(created_at=epoch_now() - 90))

    assert numbers(database, ANN).ended == {"finished": 1, "error": 1, "cancelled": 0}
    assert numbers(database, ADMIN).ended == {"finished": 2, "error": 1, "cancelled": 0}


def test_the_days_are_of_the_owner_s_own_tasks(database: Database) -> None:
    add(database, "ann", {"finished": 2, "error": 1})
    add(database, "bob", {"finished": 4})

    assert numbers(database, ANN).days[-1].tasks == {"finished": 2, "error": 1, "cancelled": 0}
    assert numbers(database, ADMIN).days[-1].tasks == {"finished": 6, "error": 1, "cancelled": 0}


def test_an_administrator_sees_the_workers(database: Database) -> None:
    for process in (7, 7, 8):
        add(database, "ann", {"processing": 1}, claimed_by="one", process=process, lease_until=9e9)
    add(database, "bob", {"processing": 1}, claimed_by="two", process=7, lease_until=9e9)
    # Its worker has yet to notice the cancellation.
    add(database, "bob", {"cancelled": 1}, claimed_by="three", process=7)

    workers = numbers(database, ADMIN).workers

    assert workers is not None
    assert [(each.name, each.processes, each.tasks) for each in workers] == [("one", 2, 3), ("two", 1, 1)]
    assert numbers(database, ANN).workers is None


def test_numbers_of_an_owner_are_not_those_of_another(database: Database) -> None:
    add(database, "ann", {"pending": 3})
    stats = TaskStats(database)

    asked = [stats.of(principal).tasks[TaskStatus.PENDING] for principal in (ADMIN, BOB, ANN, ADMIN)]

    assert asked == [3, 0, 3, 3]


def test_an_owner_s_processing_tasks_are_counted_in_an_index(database: Database) -> None:
    with database.connect() as connection:
        compiled = processing("ann").compile(connection, compile_kwargs={"literal_binds": True})
        plan = connection.execute(text(f"EXPLAIN QUERY PLAN {compiled}")).all()

    details = [str(row[3]) for row in plan if "tasks" in str(row[3])]
    assert details
    assert all("INDEX tasks_leased" in detail for detail in details), details
