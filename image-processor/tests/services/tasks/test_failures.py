"""The tasks of a batch that failed for one cause."""

from collections.abc import Sequence

import httpx2
import pytest
from image_processor.models import Batch, Task, TaskStatus
from image_processor.services.causes import Cause, stored_problem
from image_processor.services.codec.configured_presets import ConfiguredPresets
from image_processor.services.files.client import FileStorage
from image_processor.services.tasks import pages
from image_processor.services.tasks.batches import BatchService
from image_processor.services.tasks.filters import TaskFilter
from image_processor.services.tasks.queue import Hints
from image_processor.services.tasks.tasks import TaskService
from service_kit.access.principals import LOCAL, WRITER, Principal
from service_kit.database import Database
from service_kit.texts import sentence
from sqlalchemy import insert

from tests.support.client import CERTIFICATES


@pytest.fixture
def tasks(database: Database, hints: Hints) -> TaskService:
    return TaskService(database, hints, FileStorage(httpx2.Client(verify=CERTIFICATES)), ConfiguredPresets({}))


def unreadable(number: int) -> str:
    said = sentence("The image cannot be decoded: {reason}.", reason=f"byte {number}")
    return stored_problem(Cause.IMAGE_UNREADABLE, said)


def too_slow(seconds: float) -> str:
    return stored_problem(Cause.TASK_TOO_SLOW, sentence("It took longer than {seconds:g} seconds.", seconds=seconds))


def add_failures(database: Database, problems: Sequence[str | None]) -> tuple[int, Sequence[int]]:
    """Add a batch whose tasks failed with these problems; return its id and their ids."""
    with database.write() as session:
        values = {"algorithm": "flip", "tasks": len(problems)}
        batch_id = session.execute(insert(Batch).values(values).returning(Batch.id)).scalar_one()
        row = {"source_id": 1, "algorithm": "flip", "batch_id": batch_id, "status": TaskStatus.ERROR}
        rows = [
            {**row, "error": f"error {number}", "error_problem": problem} for number, problem in enumerate(problems)
        ]
        return batch_id, session.scalars(insert(Task).returning(Task.id, sort_by_parameter_order=True), rows).all()


def keys_of(database: Database, batch_id: int) -> Sequence[str]:
    return [cause.key_in(batch_id) for cause in BatchService(database).get(LOCAL, batch_id).causes]


def listed(tasks: TaskService, wanted: TaskFilter, principal: Principal = LOCAL) -> Sequence[int]:
    return [task.id for task in tasks.page(principal, 0, 100, wanted)]


def test_each_cause_lists_its_tasks(tasks: TaskService, database: Database) -> None:
    problems = [unreadable(1), too_slow(2), None, unreadable(3), None, unreadable(4)]
    batch_id, ids = add_failures(database, problems)
    add_failures(database, problems)

    found = [listed(tasks, TaskFilter(cause=key)) for key in keys_of(database, batch_id)]

    assert found == [[ids[0], ids[3], ids[5]], [ids[2], ids[4]], [ids[1]]]


def test_a_task_with_a_broken_problem_is_in_the_list_of_causes_with_its_error(
    tasks: TaskService, database: Database
) -> None:
    batch_id, ids = add_failures(database, [too_slow(2), '{"cause": 1'])

    causes = BatchService(database).get(LOCAL, batch_id).causes

    assert [(cause.cause, cause.type) for cause in causes][1:] == [("error …", None)]
    assert listed(tasks, TaskFilter(cause=causes[1].key_in(batch_id))) == [ids[1]]


def test_a_cause_is_read_page_by_page_in_both_orders(tasks: TaskService, database: Database) -> None:
    batch_id, ids = add_failures(database, [unreadable(1), too_slow(2)] * 3)
    [wanted, _] = (TaskFilter(cause=key) for key in keys_of(database, batch_id))

    oldest = [tasks.page(LOCAL, after, 2, wanted) for after in (0, ids[2])]
    newest = [tasks.page(LOCAL, after, 2, wanted, newest_first=True) for after in (0, ids[2])]

    assert [[task.id for task in page] for page in oldest] == [[ids[0], ids[2]], [ids[4]]]
    assert [[task.id for task in page] for page in newest] == [[ids[4], ids[2]], [ids[0]]]


@pytest.mark.parametrize("newest_first", [False, True])
def test_the_tasks_of_a_cause_are_found_behind_many_others(
    tasks: TaskService, database: Database, newest_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "STEP", 2)
    batch_id, ids = add_failures(database, [unreadable(1), *[too_slow(2)] * 5, unreadable(3)])
    wanted = TaskFilter(cause=keys_of(database, batch_id)[1])

    found = tasks.page(LOCAL, 0, 100, wanted, newest_first=newest_first)

    assert [task.id for task in found] == sorted((ids[0], ids[6]), reverse=newest_first)


def test_a_cause_keeps_its_key_without_the_task_that_was_its_example(tasks: TaskService, database: Database) -> None:
    batch_id, ids = add_failures(database, [unreadable(1), unreadable(2)])
    [key] = keys_of(database, batch_id)

    tasks.restart(LOCAL, ids[0])

    assert listed(tasks, TaskFilter(cause=key)) == [ids[1]]
    assert keys_of(database, batch_id) == [key]


def test_a_cause_is_one_condition_of_several(tasks: TaskService, database: Database) -> None:
    batch_id, ids = add_failures(database, [unreadable(1), unreadable(2)])
    [key] = keys_of(database, batch_id)

    assert listed(tasks, TaskFilter(cause=key, ids=[ids[1]])) == [ids[1]]
    assert listed(tasks, TaskFilter(cause=key, batch_id=batch_id)) == [*ids]
    assert listed(tasks, TaskFilter(cause=key, batch_id=batch_id + 1)) == []
    assert listed(tasks, TaskFilter(cause=key), Principal("bob", WRITER)) == []


@pytest.mark.parametrize("key", ["", "7", "7-", "x-0123456789abcdef", f"1-{'0' * 16}", f"{'9' * 30}-{'0' * 16}"])
def test_an_unknown_cause_has_no_tasks(tasks: TaskService, database: Database, key: str) -> None:
    add_failures(database, [unreadable(1)])

    assert listed(tasks, TaskFilter(cause=key)) == []
