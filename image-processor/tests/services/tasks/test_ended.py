"""The numbers of ended tasks by status and day, which triggers maintain, compared with the rows and the events."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from image_processor.models import EndedTasks, Task, TaskEvent, TaskStatus
from image_processor.services.tasks.ended import DAYS, ENDS, MAX_ROWS, ends_by_day, fold, tasks_by_status
from image_processor.services.tasks.forgetting import delete_tasks
from service_kit.database import Database
from sqlalchemy import func, insert, select, update

OWNERS = ("local", "ann", "bob", None)


@pytest.fixture
def database(each_database: Database) -> Database:
    return each_database


def add_tasks(database: Database, owner: str, count: int, status: str = "pending") -> Sequence[int]:
    row = {"source_id": 1, "algorithm": "flip", "owner": owner, "status": status}
    with database.write() as session:
        return list(session.scalars(insert(Task).returning(Task.id), [row] * count))


def set_status(database: Database, status: str, task_ids: Sequence[int]) -> None:
    with database.write() as session:
        session.execute(update(Task).where(Task.id.in_(task_ids)).values(status=status))


def assert_correct(database: Database) -> None:
    with database.read() as session:
        for owner in OWNERS:
            rows, events = select(Task.status, func.count()), select(TaskEvent.status, func.count())
            if owner is not None:
                rows, events = rows.where(Task.owner == owner), events.where(TaskEvent.owner == owner)
            existing = dict(session.execute(rows.group_by(Task.status)).all())
            ends = dict(session.execute(events.group_by(TaskEvent.status)).all())
            assert tasks_by_status(session, owner) == {status: existing.get(status, 0) for status in TaskStatus}
            by_day = ends_by_day(session, owner)
            in_all = {status: sum(day.tasks[status] for day in by_day) for status in ENDS}
            assert in_all == {status: ends.get(status, 0) for status in ENDS}


def test_every_change_of_tasks_updates_the_counts(database: Database) -> None:
    anns, bobs = add_tasks(database, "ann", 6), add_tasks(database, "bob", 3)
    add_tasks(database, "local", 2)
    assert_correct(database)
    set_status(database, "processing", anns)
    assert_correct(database)
    set_status(database, "finished", anns[:2])
    set_status(database, "error", anns[2:5])
    set_status(database, "cancelled", bobs)
    assert_correct(database)


def test_a_restarted_task_counts_in_each_of_its_ends(database: Database) -> None:
    task_ids = add_tasks(database, "ann", 3)
    set_status(database, "error", task_ids)

    set_status(database, "pending", task_ids[:2])
    assert_correct(database)
    set_status(database, "finished", task_ids[:1])
    set_status(database, "error", task_ids[1:2])
    assert_correct(database)

    with database.read() as session:
        assert ends_by_day(session, "ann")[-1].tasks == {"finished": 1, "error": 4, "cancelled": 0}


def test_a_forgotten_task_leaves_its_status_and_not_its_day(database: Database) -> None:
    task_ids = add_tasks(database, "ann", 4)
    set_status(database, "finished", task_ids[:3])

    with database.begin() as connection:
        delete_tasks(connection, [task_ids[0], task_ids[1], task_ids[3]])

    assert_correct(database)
    with database.read() as session:
        assert tasks_by_status(session, "ann")[TaskStatus.FINISHED] == 1
        assert ends_by_day(session, "ann")[-1].tasks[TaskStatus.FINISHED] == 3


def test_a_change_that_is_rolled_back_counts_nothing(database: Database) -> None:
    task_ids = add_tasks(database, "ann", 2)

    with pytest.raises(RuntimeError), database.write() as session:
        session.execute(update(Task).where(Task.id.in_(task_ids)).values(status="finished"))
        raise RuntimeError

    assert_correct(database)


def test_the_days_are_the_last_ones_and_end_with_today(database: Database) -> None:
    with database.read() as session:
        days = [each.day for each in ends_by_day(session, None)]

    today = datetime.now(UTC).date().isoformat()
    assert (len(days), days[-1]) == (DAYS, today)
    assert days == sorted(set(days))


def test_folding_keeps_the_counts_in_few_rows(database: Database) -> None:
    add_tasks(database, "ann", 2, "finished")
    with database.write() as session:
        parts = [
            {"owner": "ann", "status": "error", "day": f"{year}-01-01", "part": year, "tasks": 1}
            for year in range(1000, 1000 + MAX_ROWS)
        ]
        session.execute(insert(EndedTasks), parts)

    fold(database)

    with database.read() as session:
        rows = session.execute(select(EndedTasks.status, EndedTasks.day, EndedTasks.tasks)).all()
        assert tasks_by_status(session, "ann")[TaskStatus.ERROR] == MAX_ROWS
        assert ends_by_day(session, "ann")[-1].tasks[TaskStatus.FINISHED] == 2
    today = datetime.now(UTC).date().isoformat()
    assert sorted(rows) == [("error", "", MAX_ROWS), ("finished", today, 2)]
