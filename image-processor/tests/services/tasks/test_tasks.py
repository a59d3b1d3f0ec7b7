"""For a principal, the tasks of other owners do not exist; an administrator sees all."""

import json
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

import httpx2
import pytest
from image_processor.models import Batch, Callback, DiscardedResult, Task, TaskStatus
from image_processor.services.codec.configured_presets import ConfiguredPresets
from image_processor.services.files.client import FileStorage
from image_processor.services.tasks.bulk import BulkService
from image_processor.services.tasks.filters import TaskFilter
from image_processor.services.tasks.idempotency import CreatedBatch, KeyUse, fingerprint_of, record
from image_processor.services.tasks.queue import Hints
from image_processor.services.tasks.tasks import NewBatch, TaskService
from image_processor.services.tasks.unended import take_turn
from image_processor.services.tasks.webhooks import payload
from service_kit.access.principals import ALL_SCOPES, LOCAL, WRITER, Limits, Principal
from service_kit.database import Database
from service_kit.errors import DomainError
from sqlalchemy import Connection, event, insert, select, text, update

from tests.support.client import CERTIFICATES
from tests.support.waiting import wait_until

ANN, BOB = Principal("ann", WRITER), Principal("bob", WRITER)
KEY_OF_LOCAL = Principal("local", WRITER)
ADMIN = Principal("root", ALL_SCOPES)

Use = Callable[[TaskService, Principal, int], object]


@pytest.fixture
def tasks(database: Database, hints: Hints) -> TaskService:
    return TaskService(database, hints, FileStorage(httpx2.Client(verify=CERTIFICATES)), ConfiguredPresets({}))


def add_task(database: Database, owner: str, status: str = "pending") -> int:
    with database.write() as session:
        statement = insert(Task).values(source_id=1, algorithm="flip", owner=owner, status=status, attempt=2)
        return session.execute(statement.returning(Task.id)).scalar_one()


def listed(tasks: TaskService, principal: Principal, wanted: TaskFilter | None = None) -> Sequence[int]:
    return [task.id for task in tasks.page(principal, 0, 100, wanted or TaskFilter())]


@pytest.mark.parametrize(("principal", "index"), [(LOCAL, "tasks_status"), (ANN, "tasks_owner_status")])
def test_finished_tasks_are_a_range_of_an_index(
    tasks: TaskService, database: Database, hints: Hints, principal: Principal, index: str
) -> None:
    finished, plans = TaskFilter(statuses=[TaskStatus.FINISHED]), list[str]()

    def note(connection: Connection, _cursor: object, statement: str, parameters: tuple[object], *_: object) -> None:
        if "FROM tasks" in statement and "LIMIT" in statement and "EXPLAIN" not in statement:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans.append(" ".join(str(row[3]) for row in plan))

    event.listen(database.engine, "before_cursor_execute", note)
    tasks.page(principal, 0, 20, finished, newest_first=True)
    BulkService(database, hints).forget(principal, finished)

    assert len(plans) == 2
    assert [plan for plan in plans if not re.search(rf"INDEX {index}\b", plan) or "TEMP B-TREE" in plan] == []


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("principal", [ANN, ADMIN])
@pytest.mark.parametrize("statuses", [[], ["pending"], ["error", "pending", "error", "processing"]])
def test_pages_have_each_matching_task_once_in_order(
    tasks: TaskService, database: Database, principal: Principal, statuses: Sequence[str], *, newest_first: bool
) -> None:
    rows = [
        (owner, status) for status in (*TaskStatus, *TaskStatus) for owner in ("ann", "ana", "anna", "ann", "local")
    ]
    with database.write() as session:
        values = [{"source_id": 1, "algorithm": "flip", "owner": owner, "status": status} for owner, status in rows]
        ids = session.scalars(insert(Task).returning(Task.id, sort_by_parameter_order=True), values).all()
    wanted = TaskFilter(statuses=[TaskStatus(status) for status in statuses])

    found, after = list[int](), 0
    while page := tasks.page(principal, after, 2, wanted, newest_first=newest_first):
        after = page[-1].id
        found += [task.id for task in page]

    matching = [
        task_id
        for task_id, (owner, status) in zip(ids, rows, strict=True)
        if owner == principal.owner or principal.sees_all
        if status in statuses or not statuses
    ]
    assert found == sorted(matching, reverse=newest_first)


@pytest.mark.parametrize("use", [TaskService.get, TaskService.cancel, TaskService.restart, TaskService.delete])
def test_a_task_of_another_owner_does_not_exist(tasks: TaskService, database: Database, use: Use) -> None:
    task_id = add_task(database, "ann")

    with pytest.raises(DomainError) as refused:
        use(tasks, BOB, task_id)

    assert (refused.value.kind, refused.value.detail) == ("task-not-found", f"There is no task {task_id}.")
    assert tasks.get(ANN, task_id).status == "pending"


def test_a_list_has_the_tasks_of_one_owner(tasks: TaskService, database: Database) -> None:
    anns, bobs, local = (add_task(database, owner) for owner in ("ann", "bob", "local"))

    assert listed(tasks, ANN) == [anns]
    assert listed(tasks, KEY_OF_LOCAL) == [local]
    assert listed(tasks, ADMIN) == listed(tasks, LOCAL) == [anns, bobs, local]


def test_filters_find_no_task_of_another_owner(tasks: TaskService, database: Database) -> None:
    task_id = add_task(database, "ann")
    filters = [TaskFilter(ids=[task_id]), TaskFilter(statuses=[TaskStatus.PENDING]), TaskFilter(source_ids=[1])]

    assert [listed(tasks, BOB, wanted) for wanted in filters] == [[], [], []]
    assert [listed(tasks, ANN, wanted) for wanted in filters] == [[task_id]] * 3


def test_a_restart_of_all_restarts_the_tasks_of_one_owner(tasks: TaskService, database: Database, hints: Hints) -> None:
    anns, bobs = add_task(database, "ann", "error"), add_task(database, "bob", "error")

    restarted = BulkService(database, hints).restart(ANN, TaskFilter(statuses=[TaskStatus.ERROR]))

    assert restarted.ids == [anns]
    assert tasks.get(ADMIN, bobs).status == "error"


def test_a_restart_beyond_the_limit_restarts_nothing(tasks: TaskService, database: Database, hints: Hints) -> None:
    limited = Principal("ann", WRITER, limits=Limits(pending_tasks=1))
    failed = [add_task(database, "ann", "error") for _ in range(2)]

    with pytest.raises(DomainError, match="may have at most 1 task that"):
        BulkService(database, hints).restart(limited, TaskFilter(statuses=[TaskStatus.ERROR]))
    assert tasks.restart(limited, failed[0]).status == "pending"
    with pytest.raises(DomainError, match="may have at most 1 task that"):
        tasks.restart(limited, failed[1])

    assert tasks.get(ANN, failed[1]).status == "error"


def test_a_discarded_result_is_revoked_for_the_owner_of_its_task(tasks: TaskService, database: Database) -> None:
    tasks.cancel(ADMIN, add_task(database, "ann"))

    with database.read() as session:
        assert session.scalars(select(DiscardedResult.owner)).all() == ["ann"]


def test_a_webhook_names_the_owner_and_the_attempt(tasks: TaskService, database: Database) -> None:
    task_id = add_task(database, "ann")
    with database.write() as session:
        session.execute(update(Task).values(callback_url="http://127.0.0.1:9/"))

    tasks.cancel(ANN, task_id)

    with database.read() as session:
        [callback] = session.scalars(select(Callback))
    body = payload(callback)
    assert b'"owner": "ann", "attempt": 2' in body


def file_server(request: httpx2.Request) -> httpx2.Response:
    """Answer as a file server that has every file."""
    ids = json.loads(request.content)["ids"]
    files = [{"id": file_id, "name": "a", "extension": ".jpg", "sha256": "0" * 64} for file_id in ids]
    return httpx2.Response(200, json={"files": files})


@pytest.mark.server
def test_a_repeated_batch_that_waits_for_the_first_does_not_count_twice(postgresql: str, hints: Hints) -> None:
    database = Database(postgresql)
    http = httpx2.Client(transport=httpx2.MockTransport(file_server), base_url="http://files")
    service = TaskService(database, hints, FileStorage(http), ConfiguredPresets({}))
    limited = Principal("limited", WRITER, limits=Limits(pending_tasks=3))
    batch = NewBatch(file_ids=[1, 2], algorithm="flip")
    waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")

    def waits() -> bool:
        with database.connect() as connection:
            return bool(connection.execute(waiting).scalar_one())

    with ThreadPoolExecutor(1) as other:
        with database.begin() as connection:
            take_turn(connection, limited)
            of_batch = insert(Batch).values(owner="limited", algorithm="flip", tasks=2).returning(Batch.id)
            batch_id = connection.execute(of_batch).scalar_one()
            row = {"owner": "limited", "batch_id": batch_id, "source_id": 1, "algorithm": "flip"}
            first = CreatedBatch(batch_id, sorted(connection.scalars(insert(Task).returning(Task.id), [row] * 2)))
            record(connection, KeyUse("limited", "again", fingerprint_of(asdict(batch))), first)
            repeated = other.submit(service.create, limited, batch, "again")
            wait_until(waits, "the repeated request waits")
        second = repeated.result()

    assert second == first
    database.engine.dispose()
