"""Claims: one holder at a time, and only the newest attempt ends a task."""

from pathlib import Path

import pytest
from image_processor.config import RetrySettings
from image_processor.models import Task
from image_processor.services.claims import ClaimService
from service_kit.database import Database, epoch_now, migrate
from sqlalchemy import insert, update

RETRY = RetrySettings(max_seconds=900, base_delay_seconds=1, max_delay_seconds=60, max_crashes=3)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    url = f"sqlite:///{tmp_path}/tasks.db"
    migrate(url, "image_processor")
    return Database(url)


@pytest.fixture
def claims(database: Database) -> ClaimService:
    return ClaimService(database, RETRY)


@pytest.fixture
def task_id(database: Database) -> int:
    with database.write() as session:
        statement = insert(Task).values(source_id=1, algorithm="flip", due_at=epoch_now()).returning(Task.id)
        return session.execute(statement).scalar_one()


def task_of(database: Database, task_id: int) -> Task:
    with database.read() as session:
        return session.get_one(Task, task_id)


def expire(database: Database, task_id: int) -> None:
    with database.write() as session:
        session.execute(update(Task).where(Task.id == task_id).values(lease_until=epoch_now() - 1))


def test_a_second_message_finds_nothing_to_claim(claims: ClaimService, task_id: int) -> None:
    assert claims.claim(task_id, "one", 60)

    assert claims.claim(task_id, "two", 60) is None


def test_a_worker_cut_off_cannot_finish_what_another_took(
    claims: ClaimService, database: Database, task_id: int
) -> None:
    stale = claims.claim(task_id, "one", 60)
    expire(database, task_id)
    claims.expire_leases()
    fresh = claims.claim(task_id, "two", 60)
    assert stale and fresh

    assert claims.finish(stale, 7) is False
    assert claims.finish(fresh, 8) is True
    assert task_of(database, task_id).result_id == 8


def test_three_crashes_end_a_task_in_error(claims: ClaimService, database: Database, task_id: int) -> None:
    for _ in range(3):
        assert claims.claim(task_id, "one", 60)
        claims.crashed("one", task_id, "it took longer than 20 seconds")

    task = task_of(database, task_id)
    assert (task.status, task.error) == ("error", "Gave up after 3 attempts: it took longer than 20 seconds.")


def test_a_crash_reported_late_does_not_touch_anothers_claim(
    claims: ClaimService, database: Database, task_id: int
) -> None:
    assert claims.claim(task_id, "two", 60)

    claims.crashed("one", task_id, "late")

    assert task_of(database, task_id).status == "processing"


def test_a_transient_failure_is_tried_again_later(claims: ClaimService, database: Database, task_id: int) -> None:
    claim = claims.claim(task_id, "one", 60)
    assert claim

    claims.retry_later(claim, "no answer")

    assert task_of(database, task_id).status == "pending"
    assert claims.take_overdue(10, 60) == []


def test_a_spent_retry_budget_ends_in_error(database: Database, task_id: int) -> None:
    claims = ClaimService(database, RETRY.model_copy(update={"max_seconds": 0}))
    claim = claims.claim(task_id, "one", 60)
    assert claim
    with database.write() as session:
        session.execute(update(Task).where(Task.id == task_id).values(retry_since=epoch_now() - 1))

    claims.retry_later(claim, "no answer")

    task = task_of(database, task_id)
    assert (task.status, task.error) == ("error", "Gave up after repeated failures: no answer")


def test_a_worker_that_stops_hands_its_tasks_back(claims: ClaimService, database: Database, task_id: int) -> None:
    claims.claim(task_id, "one", 60)

    claims.release("one")

    assert task_of(database, task_id).status == "pending"
    assert claims.take_overdue(10, 60) == [task_id]
    assert claims.take_overdue(10, 60) == []
