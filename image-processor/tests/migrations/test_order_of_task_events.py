"""Migration 0021: events of overlapping transactions keep the order in which they happened.

Each test lets a transaction get its id before another one, and write after the other one has ended.
"""

from collections.abc import Iterator, Sequence

import pytest
from image_processor.models import Task, TaskEvent
from service_kit.database import Database
from service_kit.events.rows import Events
from sqlalchemy import insert, text, update

from tests.support.databases import empty_database

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with empty_database("postgresql", tmp_path_factory.mktemp("order"), "image_processor") as database:
        yield database


def add_tasks(database: Database, batch_id: int, statuses: Sequence[str]) -> list[int]:
    rows = [{"source_id": 1, "algorithm": "flip", "batch_id": batch_id, "status": status} for status in statuses]
    with database.begin() as connection:
        return list(connection.scalars(insert(Task).returning(Task.id, sort_by_parameter_order=True), rows))


def change_after_a_later_transaction(
    database: Database, first: tuple[int, str], then: tuple[int, str]
) -> list[tuple[int, str]]:
    """Change a task, then a task in a transaction that began before; return the events that are read next."""
    events = Events(database, TaskEvent)
    before = events.latest()
    with database.begin() as earlier:
        earlier.execute(text("SELECT pg_current_xact_id()"))
        with database.begin() as later:
            later.execute(update(Task).where(Task.id == first[0]).values(status=first[1]))
        earlier.execute(update(Task).where(Task.id == then[0]).values(status=then[1]))
    return [(event.task_id, event.status) for event in events.after(before, 10)]


def test_the_end_of_a_batch_comes_after_the_end_of_each_task(database: Database) -> None:
    first, last = add_tasks(database, 1, ["processing", "processing"])

    read = change_after_a_later_transaction(database, (first, "finished"), (last, "error"))

    assert read == [(first, "finished"), (last, "error"), (0, "finished")]


def test_changes_of_one_task_have_their_order(database: Database) -> None:
    task, _ = add_tasks(database, 2, ["pending", "pending"])

    read = change_after_a_later_transaction(database, (task, "processing"), (task, "cancelled"))

    assert read == [(task, "processing"), (task, "cancelled")]


def test_no_event_appears_below_a_position_that_a_reader_has_passed(database: Database) -> None:
    task, other = add_tasks(database, 3, ["pending", "pending"])
    events = Events(database, TaskEvent)
    before = events.latest()

    with database.begin() as writing:
        writing.execute(text("SELECT pg_current_xact_id()"))
        with database.begin() as later:
            later.execute(update(Task).where(Task.id == other).values(status="processing"))
        writing.execute(update(Task).where(Task.id == task).values(status="processing"))
        read_meanwhile = events.after(before, 10)
    read = events.after(before, 10)

    assert list(read_meanwhile) == []
    assert [event.task_id for event in read] == [other, task]
