"""A request that changes many tasks runs in steps: each is one short transaction, and no task is skipped."""

from collections.abc import Callable, Mapping, Sequence

import pytest
from image_processor.models import DiscardedResult, Task, TaskStatus
from image_processor.services.tasks.bulk import STEP, BulkService
from image_processor.services.tasks.filters import TaskFilter
from image_processor.services.tasks.queue import Hints
from service_kit.access.principals import LOCAL, WRITER, Limits, Principal
from service_kit.database import Database
from service_kit.errors import DomainError
from sqlalchemy import Connection, event, func, insert, select

Change = Callable[[BulkService, Principal, TaskFilter], Sequence[int]]


@pytest.fixture
def bulk(database: Database, hints: Hints) -> BulkService:
    return BulkService(database, hints)


def add_tasks(database: Database, count: int, status: str, **more: object) -> Sequence[int]:
    row = {"source_id": 1, "algorithm": "flip", "status": status, **more}
    with database.write() as session:
        return session.scalars(insert(Task).returning(Task.id, sort_by_parameter_order=True), [row] * count).all()


def statuses(database: Database) -> Mapping[TaskStatus, int]:
    with database.read() as session:
        counted = session.execute(select(Task.status, func.count()).group_by(Task.status))
        return {TaskStatus(status): count for status, count in counted}


@pytest.mark.parametrize(
    ("change", "before", "after"),
    [
        (BulkService.cancel, "pending", {"cancelled": 2 * STEP + 1}),
        (BulkService.cancel, "processing", {"cancelled": 2 * STEP + 1}),
        (BulkService.restart, "error", {"pending": 2 * STEP + 1}),
        (BulkService.forget, "finished", {}),
    ],
)
def test_more_tasks_than_a_step_are_changed_in_several_transactions(
    bulk: BulkService, database: Database, change: Change, before: str, after: dict[str, int]
) -> None:
    ids = add_tasks(database, 2 * STEP + 1, before)
    commits: list[Connection] = []
    event.listen(database._writer, "commit", commits.append)

    changed = change(bulk, LOCAL, TaskFilter(algorithms=["flip"]))

    assert changed == ids
    assert statuses(database) == after
    assert len(commits) >= 3


def test_more_ids_than_a_step_are_changed(bulk: BulkService, database: Database) -> None:
    ids = add_tasks(database, STEP + 2, "pending")

    cancelled = bulk.cancel(LOCAL, TaskFilter(ids=ids[1:]))

    assert cancelled == ids[1:]
    assert statuses(database) == {"pending": 1, "cancelled": STEP + 1}


def test_a_cancelled_attempt_leaves_no_result(bulk: BulkService, database: Database) -> None:
    add_tasks(database, 2, "processing", attempt=1)
    add_tasks(database, 2, "pending")

    bulk.cancel(LOCAL, TaskFilter(algorithms=["flip"]))

    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(DiscardedResult)) == 2


def test_a_restarted_task_begins_from_the_start(bulk: BulkService, database: Database) -> None:
    [task_id] = add_tasks(database, 1, "error", error="no", crashes=3, losses=2, started_at=1.0, ended_at=2.0)

    bulk.restart(LOCAL, TaskFilter(ids=[task_id]))

    with database.read() as session:
        task = session.get_one(Task, task_id)
    assert (task.error, task.crashes, task.losses, task.restarts) == (None, 0, 0, 1)
    assert (task.started_at, task.ended_at) == (None, None)


def test_a_restart_beyond_the_limit_restarts_not_even_the_first_step(bulk: BulkService, database: Database) -> None:
    limited = Principal("ann", WRITER, limits=Limits(pending_tasks=STEP + 1))
    add_tasks(database, STEP + 2, "error", owner="ann")

    with pytest.raises(DomainError) as refused:
        bulk.restart(limited, TaskFilter(algorithms=["flip"]))

    assert (refused.value.kind, refused.value.retry_after) == ("too-many-pending-tasks", None)
    assert statuses(database) == {"error": STEP + 2}


def test_tasks_that_are_pending_already_do_not_count_as_restarted(bulk: BulkService, database: Database) -> None:
    limited = Principal("ann", WRITER, limits=Limits(pending_tasks=2))
    [waiting] = add_tasks(database, 1, "pending", owner="ann")
    [failed] = add_tasks(database, 1, "error", owner="ann")

    restarted = bulk.restart(limited, TaskFilter(ids=[waiting, failed]))

    assert restarted == [failed]
