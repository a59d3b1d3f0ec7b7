"""A request that changes many tasks runs in steps: each is one short transaction, and no task is skipped."""

from collections.abc import Callable, Mapping, Sequence

import pytest
from image_processor.models import Batch, DiscardedResult, Task, TaskStatus
from image_processor.services.tasks import bulk as bulk_module
from image_processor.services.tasks.bulk import STEP, BulkService, Changed, SearchPosition
from image_processor.services.tasks.filters import TaskFilter
from image_processor.services.tasks.queue import Hints
from service_kit.access.principals import LOCAL, WRITER, Limits, Principal
from service_kit.database import Database
from service_kit.errors import DomainError
from sqlalchemy import Connection, event, func, insert, select, update

Change = Callable[[BulkService, Principal, TaskFilter, SearchPosition | None], Changed]


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

    changed = change(bulk, LOCAL, TaskFilter(algorithms=["flip"]), None)

    assert changed == (ids, False, None)
    assert statuses(database) == after
    assert len(commits) >= 3


def test_more_ids_than_a_step_are_changed(bulk: BulkService, database: Database) -> None:
    ids = add_tasks(database, STEP + 2, "pending")

    cancelled = bulk.cancel(LOCAL, TaskFilter(ids=ids[1:]))

    assert cancelled == (ids[1:], False, None)
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


def test_a_limit_that_is_reached_between_two_steps_ends_the_request_with_what_was_restarted(
    bulk: BulkService, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_module, "STEP", 2)
    limited = Principal("ann", WRITER, limits=Limits(pending_tasks=5))
    ids = add_tasks(database, 5, "error", owner="ann")
    begun_steps: list[Connection] = []

    def create_more(connection: Connection) -> None:
        begun_steps.append(connection)
        if len(begun_steps) == 2:
            # The owner's next request, before this one has its turn again.
            add_tasks(database, 2, "pending", owner="ann", algorithm="crop")

    # Before the listener that begins SQLite's transaction, which locks the database.
    event.listen(database._writer, "begin", create_more, insert=True)
    begun = bulk.restart(limited, TaskFilter(algorithms=["flip"]))

    assert (begun.ids, begun.more) == (ids[:2], True)
    with pytest.raises(DomainError) as refused:
        bulk.restart(limited, TaskFilter(algorithms=["flip"]), begun.position)
    assert (refused.value.kind, refused.value.retry_after is None) == ("too-many-pending-tasks", False)
    with database.write() as session:
        session.execute(update(Task).where(Task.algorithm == "crop").values(status="finished"))
    assert bulk.restart(limited, TaskFilter(algorithms=["flip"]), begun.position).ids == ids[2:]


def test_tasks_that_are_pending_already_do_not_count_as_restarted(bulk: BulkService, database: Database) -> None:
    limited = Principal("ann", WRITER, limits=Limits(pending_tasks=2))
    [waiting] = add_tasks(database, 1, "pending", owner="ann")
    [failed] = add_tasks(database, 1, "error", owner="ann")

    restarted = bulk.restart(limited, TaskFilter(ids=[waiting, failed]))

    assert restarted.ids == [failed]


@pytest.mark.parametrize(
    ("change", "before", "after"),
    [
        (BulkService.cancel, "pending", {"cancelled": 5}),
        (BulkService.cancel, "processing", {"cancelled": 5}),
        (BulkService.restart, "error", {"pending": 5}),
        (BulkService.forget, "finished", {}),
    ],
)
@pytest.mark.parametrize("enough", [("MOST_TASKS", 3), ("MOST_SECONDS", 0.0)])
def test_a_request_for_very_many_tasks_ends_early_and_its_repetition_changes_the_rest(
    bulk: BulkService,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    change: Change,
    before: str,
    after: dict[str, int],
    enough: tuple[str, float],
) -> None:
    monkeypatch.setattr(bulk_module, "STEP", 2)
    monkeypatch.setattr(bulk_module, *enough)
    ids = add_tasks(database, 5, before)
    answers = [change(bulk, LOCAL, TaskFilter(algorithms=["flip"]), None)]

    while answers[-1].more:
        answers.append(change(bulk, LOCAL, TaskFilter(algorithms=["flip"]), answers[-1].position))

    assert len(answers) == (2 if enough[0] == "MOST_TASKS" else 3)
    assert [task_id for answer in answers for task_id in answer.ids] == ids
    assert statuses(database) == after


@pytest.mark.parametrize("wanted", [TaskFilter(batch_id=1), TaskFilter(statuses=[TaskStatus.ERROR])])
def test_tasks_that_fail_again_are_not_restarted_again(
    bulk: BulkService, database: Database, monkeypatch: pytest.MonkeyPatch, wanted: TaskFilter
) -> None:
    monkeypatch.setattr(bulk_module, "STEP", 2)
    monkeypatch.setattr(bulk_module, "MOST_TASKS", 2)
    with database.write() as session:
        session.execute(insert(Batch).values(id=1, algorithm="flip", tasks=6))
    ids = add_tasks(database, 6, "error", batch_id=1)
    answers = [bulk.restart(LOCAL, wanted)]

    for _ in ids:
        with database.write() as session:
            session.execute(update(Task).where(Task.status == "pending").values(status="error"))
        if answers[-1].more:
            answers.append(bulk.restart(LOCAL, wanted, answers[-1].position))

    assert [list(answer.ids) for answer in answers] == [ids[:2], ids[2:4], ids[4:]]
    with database.read() as session:
        assert set(session.scalars(select(Task.restarts))) == {1}


@pytest.mark.parametrize(
    ("change", "status"),
    [(BulkService.cancel, "pending"), (BulkService.restart, "error"), (BulkService.forget, "finished")],
)
def test_tasks_created_after_the_first_request_are_not_changed(
    bulk: BulkService, database: Database, monkeypatch: pytest.MonkeyPatch, change: Change, status: str
) -> None:
    monkeypatch.setattr(bulk_module, "STEP", 1)
    monkeypatch.setattr(bulk_module, "MOST_TASKS", 1)
    first, second = add_tasks(database, 2, status)
    begun = change(bulk, LOCAL, TaskFilter(algorithms=["flip"]), None)
    [late] = add_tasks(database, 1, status, priority=9)

    rest = change(bulk, LOCAL, TaskFilter(algorithms=["flip"]), begun.position)

    assert (begun.ids, begun.more, rest.ids, rest.more) == ([first], True, [second], False)
    with database.read() as session:
        assert session.get_one(Task, late).status == status


def test_tasks_in_each_state_are_restarted_once_over_several_requests(
    bulk: BulkService, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_module, "STEP", 1)
    monkeypatch.setattr(bulk_module, "MOST_TASKS", 1)
    cancelled, failed = add_tasks(database, 2, "cancelled"), add_tasks(database, 2, "error")
    answers = [bulk.restart(LOCAL, TaskFilter(algorithms=["flip"]))]

    while answers[-1].position is not None:
        answers.append(bulk.restart(LOCAL, TaskFilter(algorithms=["flip"]), answers[-1].position))

    assert [task_id for answer in answers for task_id in answer.ids] == [*failed, *cancelled]


def test_an_owner_at_the_limit_may_restart_the_rest(
    bulk: BulkService, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_module, "STEP", 2)
    monkeypatch.setattr(bulk_module, "MOST_TASKS", 2)
    limited = Principal("ann", WRITER, limits=Limits(pending_tasks=3))
    ids = add_tasks(database, 3, "error", owner="ann")
    begun = bulk.restart(limited, TaskFilter(algorithms=["flip"]))
    with database.write() as session:
        session.execute(update(Task).where(Task.id == ids[0]).values(status="error"))

    rest = bulk.restart(limited, TaskFilter(algorithms=["flip"]), begun.position)

    assert (begun.ids, rest) == (ids[:2], (ids[2:], False, None))


def test_finished_work_at_the_beginning_does_not_end_a_request(
    bulk: BulkService, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_module, "STEP", 1)
    monkeypatch.setattr(bulk_module, "MOST_SECONDS", 0.0)
    ended, waiting = add_tasks(database, 3, "cancelled"), add_tasks(database, 1, "pending")

    assert bulk.cancel(LOCAL, TaskFilter(ids=[*ended, *waiting])) == (waiting, False, None)


def test_a_task_that_ends_after_its_batch_was_searched_is_left(bulk: BulkService, database: Database) -> None:
    with database.write() as session:
        values = {"algorithm": "flip", "tasks": 2}
        batch_id = session.execute(insert(Batch).values(values).returning(Batch.id)).scalar_one()
    add_tasks(database, 1, "finished", batch_id=batch_id)
    [running] = add_tasks(database, 1, "processing", batch_id=batch_id)

    def end_the_other(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "count(" in statement:
            with database.write() as session:
                session.execute(update(Task).where(Task.id == running).values(status="finished"))

    event.listen(database.engine, "before_cursor_execute", end_the_other)

    forgotten = bulk.forget_batch(LOCAL, batch_id)

    assert forgotten == (1, 1, False)
    assert statuses(database) == {"finished": 1}
