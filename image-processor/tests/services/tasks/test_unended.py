"""The numbers of unended tasks, which triggers maintain, compared with the rows; and the limit on them."""

from collections.abc import Sequence

import pytest
from image_processor.models import Task, UnendedTasks
from image_processor.services.tasks.unended import MAX_PARTS, check_limit, fold, unended_tasks
from service_kit.access.principals import Limits, Principal
from service_kit.database import Database
from service_kit.errors import DomainError
from sqlalchemy import delete, func, insert, select, update

OWNERS = ("local", "ann", "bob")


@pytest.fixture
def database(each_database: Database) -> Database:
    return each_database


def add_tasks(database: Database, owner: str, count: int) -> Sequence[int]:
    row = {"source_id": 1, "algorithm": "flip", "owner": owner}
    with database.write() as session:
        return list(session.scalars(insert(Task).returning(Task.id), [row] * count))


def set_status(database: Database, status: str, task_ids: Sequence[int]) -> None:
    with database.write() as session:
        session.execute(update(Task).where(Task.id.in_(task_ids)).values(status=status))


def assert_correct(database: Database) -> None:
    with database.connect() as connection:
        for owner in OWNERS:
            unended = select(func.count()).where(Task.owner == owner, Task.status.in_(["pending", "processing"]))
            assert unended_tasks(connection, owner) == connection.scalar(unended)


def test_every_change_of_tasks_updates_the_numbers(database: Database) -> None:
    anns, bobs = add_tasks(database, "ann", 5), add_tasks(database, "bob", 3)
    add_tasks(database, "local", 2)
    assert_correct(database)
    set_status(database, "processing", anns)
    assert_correct(database)
    set_status(database, "finished", anns[:2])
    set_status(database, "error", anns[2:4])
    set_status(database, "cancelled", bobs[:1])
    assert_correct(database)
    set_status(database, "pending", anns[2:4])
    assert_correct(database)
    with database.write() as session:
        session.execute(delete(Task).where(Task.id.in_([anns[0], bobs[1]])))
    assert_correct(database)


def test_a_transaction_that_is_rolled_back_counts_nothing(database: Database) -> None:
    add_tasks(database, "ann", 2)

    with pytest.raises(RuntimeError), database.write() as session:
        session.execute(insert(Task), {"source_id": 1, "algorithm": "flip", "owner": "ann"})
        raise RuntimeError

    assert_correct(database)


def test_folding_keeps_the_numbers_in_few_rows(database: Database) -> None:
    for task_id in add_tasks(database, "ann", MAX_PARTS + 20)[5:]:
        set_status(database, "finished", [task_id])
    add_tasks(database, "bob", 1)

    fold(database)

    assert_correct(database)
    with database.connect() as connection:
        rows = select(func.count()).select_from(UnendedTasks).where(UnendedTasks.owner == "ann")
        assert connection.scalar(rows) == 1


@pytest.mark.parametrize(("more", "retry_after"), [(2, 5), (4, None)])
def test_more_tasks_than_the_limit_are_refused(database: Database, more: int, retry_after: int | None) -> None:
    ann = Principal("ann", frozenset(), limits=Limits(pending_tasks=3))
    add_tasks(database, "ann", 2)
    add_tasks(database, "ann", more)

    with database.begin() as connection, pytest.raises(DomainError) as refused:
        check_limit(connection, ann, more)

    assert (refused.value.kind, refused.value.retry_after) == ("too-many-pending-tasks", retry_after)
    assert f"may have at most 3 tasks that have not ended; there are 2, and {more} more" in refused.value.detail


def test_as_many_tasks_as_the_limit_are_allowed(database: Database) -> None:
    ann = Principal("ann", frozenset(), limits=Limits(pending_tasks=3))
    add_tasks(database, "bob", 9)
    add_tasks(database, "ann", 3)

    with database.begin() as connection:
        check_limit(connection, ann, 3)
