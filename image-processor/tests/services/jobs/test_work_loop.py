"""The work loop runs every task once, claims tasks in advance, and hands back tasks that would wait too long."""

import threading
import time
from collections.abc import Callable, Sequence

import httpx2
import pytest
from image_processor.models import Task
from image_processor.services.files.client import FileStorage
from image_processor.services.jobs import work_loop
from image_processor.services.jobs.attempts import PlannedClaim
from image_processor.services.jobs.claims import ClaimService
from image_processor.services.jobs.leases import LeaseService
from image_processor.services.jobs.outcomes import Claim, Failed, Finished, Holder, Outcome
from image_processor.services.jobs.result_cache import ResultCache
from image_processor.services.jobs.result_upload import ResultUpload
from image_processor.services.jobs.reuse import ReuseService
from image_processor.services.jobs.work_loop import BATCH_SIZE, Pace, WorkLoop
from service_kit.database import Database
from sqlalchemy import func, insert, select, update

from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

ONE, TWO = Holder("one", 11), Holder("two", 22)


@pytest.fixture
def reuse(database: Database) -> ReuseService:
    return ReuseService(FileStorage(httpx2.Client()), ResultCache(database))


@pytest.fixture
def upload(database: Database) -> ResultUpload:
    return ResultUpload(FileStorage(httpx2.Client()), ResultCache(database))


@pytest.fixture
def run(claims: ClaimService, reuse: ReuseService, upload: ResultUpload) -> Callable[..., bool]:
    def run(attempt: Callable[[Claim], Outcome], stopping: Callable[[], bool] = lambda: False) -> bool:
        return WorkLoop(claims, reuse, upload, ONE, stopping).run(lambda planned, _next_claim: attempt(planned.claim))

    return run


def add_tasks(database: Database, count: int, crashes: int = 0, priority: int = 0) -> list[int]:
    row = {"source_id": 1, "algorithm": "flip", "crashes": crashes, "priority": priority}
    with database.write() as session:
        rows = [row] * count
        return list(session.scalars(insert(Task).returning(Task.id), rows))


def finished(database: Database) -> Sequence[int]:
    with database.read() as session:
        return session.scalars(select(Task.id).where(Task.status == "finished")).all()


def count_of(database: Database, status: str) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(Task).where(Task.status == status)) or 0


def test_every_task_runs_once_and_ends_with_its_outcome(run: Callable[..., bool], database: Database) -> None:
    task_ids = add_tasks(database, 100)
    done: list[int] = []

    def attempt(claim: Claim) -> Outcome:
        done.append(claim.task_id)
        return Finished(claim.task_id) if claim.task_id % 2 else Failed("even")

    assert run(attempt)
    assert done == task_ids
    with database.read() as session:
        rows = session.execute(select(Task.id, Task.status, Task.result_id).order_by(Task.id)).all()
    assert [tuple(row) for row in rows] == [
        (task_id, "finished", task_id) if task_id % 2 else (task_id, "error", None) for task_id in task_ids
    ]


def test_short_tasks_are_claimed_in_advance(run: Callable[..., bool], database: Database) -> None:
    add_tasks(database, 100)
    held: list[int] = []

    def attempt(_claim: Claim) -> Outcome:
        held.append(count_of(database, "processing"))
        return Finished(1)

    run(attempt)

    assert held[0] == 1, "before the duration of tasks is known"
    assert max(held) > 8


@pytest.mark.slow
def test_an_urgent_task_runs_before_tasks_claimed_earlier(run: Callable[..., bool], database: Database) -> None:
    add_tasks(database, 100)
    done: list[int] = []
    urgent: list[int] = []

    def attempt(claim: Claim) -> Outcome:
        done.append(claim.task_id)
        if len(done) == 20:
            urgent.extend(add_tasks(database, 1, priority=9))
        time.sleep(0.01)
        return Finished(1)

    run(attempt)

    assert done.index(urgent[0]) - 20 <= BATCH_SIZE + 1


@pytest.mark.slow
def test_a_result_more_urgent_than_the_running_task_is_recorded_at_once(
    run: Callable[..., bool], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No other result is recorded because of its age.
    monkeypatch.setattr(work_loop, "BATCH_SECONDS", 3600)
    add_tasks(database, 60)
    done: list[int] = []
    urgent: list[int] = []
    seen: list[int] = []

    def attempt(claim: Claim) -> Outcome:
        if len(done) == 20:
            urgent.extend(add_tasks(database, 1, priority=9))
        if urgent and done[-1] == urgent[0]:
            seen.extend(wait_until(lambda: [task_id for task_id in finished(database) if task_id == urgent[0]]))
        done.append(claim.task_id)
        time.sleep(0.01)
        return Finished(1)

    run(attempt)

    assert urgent[0] in seen


def test_an_attempt_gets_the_next_claim(
    claims: ClaimService, reuse: ReuseService, upload: ResultUpload, database: Database
) -> None:
    add_tasks(database, 100)
    done, expected = [], []

    def attempt(planned: PlannedClaim, next_claim: Claim | None) -> Outcome:
        done.append(planned.claim.task_id)
        expected.append(None if next_claim is None else next_claim.task_id)
        return Finished(1)

    WorkLoop(claims, reuse, upload, ONE, lambda: False).run(attempt)

    pairs = [(next_id, after) for next_id, after in zip(expected, done[1:], strict=False) if next_id is not None]
    assert len(pairs) > 50
    assert all(next_id == after for next_id, after in pairs)


@pytest.mark.slow
def test_tasks_that_wait_for_a_long_task_are_handed_back(
    run: Callable[..., bool], claims: ClaimService, database: Database
) -> None:
    task_ids = add_tasks(database, 60)
    taken_by_another: list[int] = []

    def attempt(claim: Claim) -> Outcome:
        if claim.task_id == task_ids[30]:
            wait_until(lambda: count_of(database, "processing") == 1, "the tasks that wait are handed back")
            taken_by_another.extend(other.task_id for other in claims.claim(TWO, 100))
        return Finished(1)

    run(attempt)

    assert taken_by_another == task_ids[31:]


def test_a_task_whose_process_crashed_is_held_alone(run: Callable[..., bool], database: Database) -> None:
    add_tasks(database, 30)
    [suspect] = add_tasks(database, 1, crashes=1)
    add_tasks(database, 30)
    held_meanwhile: list[int] = []

    def attempt(claim: Claim) -> Outcome:
        if claim.task_id == suspect:
            time.sleep(0.2)
            held_meanwhile.append(count_of(database, "processing") - 1)
        return Finished(1)

    run(attempt)

    assert held_meanwhile == [0]
    assert count_of(database, "finished") == 61


def test_a_stopping_worker_starts_no_task_and_hands_back_its_claims(
    run: Callable[..., bool], database: Database
) -> None:
    add_tasks(database, 60)
    stop = threading.Event()
    started: list[int] = []

    def attempt(claim: Claim) -> Outcome:
        started.append(claim.task_id)
        if len(started) == 20:
            stop.set()
        return Finished(1)

    assert run(attempt, stop.is_set)
    assert (count_of(database, "finished"), count_of(database, "pending")) == (20, 40)


def test_a_process_that_is_about_to_be_killed_starts_no_other_task(
    leases: LeaseService, run: Callable[..., bool], claims: ClaimService, database: Database
) -> None:
    add_tasks(database, 1)

    def attempt(claim: Claim) -> Outcome:
        with database.write() as session:
            session.execute(update(Task).where(Task.id == claim.task_id).values(status="cancelled"))
        assert leases.take_cancelled(ONE.worker) == [(claim.task_id, ONE.process)]
        add_tasks(database, 1)
        return Finished(1)

    assert run(attempt) is False
    assert count_of(database, "pending") == 1


def test_a_cancelled_task_that_ended_by_itself_blocks_no_other_task(
    run: Callable[..., bool], database: Database
) -> None:
    task_ids = add_tasks(database, 20)

    def attempt(claim: Claim) -> Outcome:
        if claim.task_id == task_ids[10]:
            with database.write() as session:
                session.execute(update(Task).where(Task.id == claim.task_id).values(status="cancelled"))
        return Finished(1)

    assert run(attempt)
    assert (count_of(database, "finished"), count_of(database, "cancelled")) == (19, 1)


def test_an_error_of_the_attempt_ends_the_run(run: Callable[..., bool], database: Database) -> None:
    add_tasks(database, 3)

    def attempt(_claim: Claim) -> Outcome:
        raise LookupError("unexpected")

    with pytest.raises(LookupError):
        run(attempt)


def test_fewer_slow_tasks_than_quick_ones_are_claimed_in_advance() -> None:
    quick, slow = Pace(), Pace()
    for _ in range(10):
        quick.add(0.005)
        slow.add(1.6)

    assert (quick.prefetch_count(), slow.prefetch_count()) == (31, 0)
