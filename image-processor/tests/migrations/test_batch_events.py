"""Migration 0013: a batch gets one event when its last task has ended, no matter how its tasks end."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

import pytest
from image_processor.models import Task, TaskEvent
from service_kit.database import Database
from sqlalchemy import insert, select, update

from tests.support.databases import KINDS, empty_database

OVERLAP_SECONDS = 0.5
"""How long two transactions overlap."""


@pytest.fixture(scope="module", params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with empty_database(request.param, tmp_path_factory.mktemp("batches"), "image_processor") as database:
        yield database


def add_tasks(database: Database, batch_id: int | None, count: int, status: str = "processing") -> list[int]:
    rows = [{"source_id": 1, "algorithm": "flip", "batch_id": batch_id, "status": status} for _ in range(count)]
    with database.begin() as connection:
        return list(connection.scalars(insert(Task).returning(Task.id, sort_by_parameter_order=True), rows))


def change(database: Database, ids: Sequence[int], status: str) -> None:
    with database.begin() as connection:
        connection.execute(update(Task).where(Task.id.in_(ids)).values(status=status))


def events_of(database: Database, batch_id: int) -> Sequence[TaskEvent]:
    """Return the events for the end of a batch."""
    of_batch = select(TaskEvent).where(TaskEvent.batch_id == batch_id, TaskEvent.task_id == 0)
    with database.read() as session:
        return session.scalars(of_batch).all()


def test_the_last_end_of_a_task_has_an_event_of_the_batch_after_its_own(database: Database) -> None:
    first, last = add_tasks(database, 101, 2)

    change(database, [first], "error")
    before = len(events_of(database, 101))
    change(database, [last], "finished")

    with database.read() as session:
        tasks = session.scalars(
            select(TaskEvent.task_id).where(TaskEvent.batch_id == 101).order_by(TaskEvent.id.desc()).limit(2)
        ).all()
    assert before == 0
    assert list(tasks) == [0, last]


def test_a_statement_that_ends_many_tasks_has_one_event(database: Database) -> None:
    ids = [*add_tasks(database, 102, 20, "pending"), *add_tasks(database, 102, 5)]

    change(database, ids, "cancelled")

    assert len(events_of(database, 102)) == 1


def test_a_batch_with_a_waiting_task_has_not_ended(database: Database) -> None:
    add_tasks(database, 103, 1, "pending")
    [running] = add_tasks(database, 103, 1)

    change(database, [running], "finished")

    assert len(events_of(database, 103)) == 0


def test_an_end_that_is_rolled_back_has_no_event(database: Database) -> None:
    [task_id] = add_tasks(database, 104, 1)

    with pytest.raises(LookupError), database.begin() as connection:
        connection.execute(update(Task).where(Task.id == task_id).values(status="finished"))
        raise LookupError

    assert len(events_of(database, 104)) == 0


def test_a_batch_that_is_restarted_ends_again(database: Database) -> None:
    ids = add_tasks(database, 105, 2)

    change(database, ids, "error")
    change(database, ids[:1], "pending")
    change(database, ids[:1], "finished")

    assert len(events_of(database, 105)) == 2


def test_a_task_without_a_batch_has_only_its_own_events(database: Database) -> None:
    [task_id] = add_tasks(database, None, 1)

    change(database, [task_id], "finished")

    with database.read() as session:
        others = session.scalars(select(TaskEvent).where(TaskEvent.task_id == 0, TaskEvent.batch_id.is_(None))).all()
    assert list(others) == []


def test_two_tasks_that_end_at_the_same_time_have_one_event(database: Database) -> None:
    first, last = add_tasks(database, 106, 2)

    with ThreadPoolExecutor(1) as pool:
        with database.begin() as connection:
            connection.execute(update(Task).where(Task.id == first).values(status="finished"))
            other = pool.submit(change, database, [last], "finished")
            # The other transaction must not end before this one, which it could not see.
            has_ended = bool(wait([other], timeout=OVERLAP_SECONDS).done)
        other.result()

    assert not has_ended
    assert len(events_of(database, 106)) == 1
