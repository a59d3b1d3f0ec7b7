"""The heartbeat: it renews leases, kills processes of cancelled tasks and puts back what dead processes held."""

import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from image_processor.background import heartbeat as heartbeat_module
from image_processor.background.heartbeat import Heartbeat
from image_processor.models import Task
from image_processor.services.jobs.claims import ClaimService
from image_processor.services.jobs.leases import LeaseService
from image_processor.services.jobs.outcomes import Holder
from image_processor.services.jobs.scratch import InWork
from service_kit.database import Database, epoch_now
from sqlalchemy import insert, select, update
from sqlalchemy.exc import SQLAlchemyError
from structlog.testing import capture_logs

from tests.support.tables import table_away
from tests.support.waiting import STATE_SECONDS, wait_until

LEASE_IN_THE_PAST = 1.0
NEVER = 3600
OFTEN = 0.01
WORKER = "worker"

StartHeartbeat = Callable[..., Heartbeat]


class Hooks:
    """What a heartbeat has called: the holders whose remains it had removed, and how often it put tasks back."""

    def __init__(self) -> None:
        self.discarded: list[Holder] = []
        self.put_back = 0
        self.errors: list[Exception] = []
        self.before_discard: Callable[[], None] = lambda: None
        self.in_work: InWork | None = None

    def discard(self, holder: Holder) -> InWork | None:
        if self.errors:
            raise self.errors.pop()
        self.before_discard()
        self.discarded.append(holder)
        found, self.in_work = self.in_work, None
        return found

    def on_put_back(self) -> None:
        self.put_back += 1

    def has_put_back(self, times: int) -> bool:
        return self.put_back >= times


@pytest.fixture
def hooks() -> Hooks:
    return Hooks()


@pytest.fixture
def living() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "600"])
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def dead() -> int:
    """The id of a process that is gone."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


@pytest.fixture
def start_heartbeat(leases: LeaseService, hooks: Hooks, monkeypatch: pytest.MonkeyPatch) -> Iterator[StartHeartbeat]:
    monkeypatch.setattr(heartbeat_module, "LOOK_SECONDS", OFTEN)
    hearts: list[Heartbeat] = []

    def start_heartbeat(interval_seconds: float = NEVER, dies: int | None = None) -> Heartbeat:
        heart = Heartbeat(leases, WORKER, interval_seconds, hooks.discard, hooks.on_put_back)
        hearts.append(heart)
        if dies is not None:
            heart.process_died(dies, "it fell asleep")
        heart.start()
        return heart

    yield start_heartbeat
    for heart in hearts:
        heart.stop()
    wait_until(lambda: not any(thread.name == "heartbeat" for thread in threading.enumerate()))


def hold_tasks(
    database: Database, claims: ClaimService, process: int, count: int = 1, worker: str = WORKER
) -> list[int]:
    """Adds tasks that a process holds by a lease that has run out."""
    with database.write() as session:
        for _ in range(count):
            session.execute(insert(Task).values(source_id=1, algorithm="flip"))
    task_ids = [claim.task_id for claim in claims.claim(Holder(worker, process), count)]
    with database.write() as session:
        session.execute(update(Task).where(Task.id.in_(task_ids)).values(lease_until=LEASE_IN_THE_PAST))
    return task_ids


def cancel(database: Database, task_id: int) -> None:
    with database.write() as session:
        session.execute(update(Task).where(Task.id == task_id).values(status="cancelled"))


def task_of(database: Database, task_id: int) -> Task:
    with database.read() as session:
        return session.get_one(Task, task_id)


def is_renewed(database: Database, task_id: int) -> bool:
    with database.read() as session:
        return session.scalars(select(Task.lease_until > epoch_now()).where(Task.id == task_id)).one() is True


def test_the_lease_of_a_living_process_is_renewed(
    start_heartbeat: StartHeartbeat, database: Database, claims: ClaimService, living: subprocess.Popen[bytes]
) -> None:
    [held] = hold_tasks(database, claims, living.pid)

    start_heartbeat(interval_seconds=OFTEN)

    wait_until(lambda: is_renewed(database, held))


def test_the_lease_of_a_process_that_is_gone_is_not_renewed(
    start_heartbeat: StartHeartbeat,
    database: Database,
    claims: ClaimService,
    living: subprocess.Popen[bytes],
    dead: int,
) -> None:
    [left] = hold_tasks(database, claims, dead)
    [held] = hold_tasks(database, claims, living.pid)

    start_heartbeat(interval_seconds=OFTEN)
    wait_until(lambda: is_renewed(database, held))

    assert not is_renewed(database, left)


def test_the_lease_of_another_worker_is_not_renewed(
    start_heartbeat: StartHeartbeat, database: Database, claims: ClaimService, living: subprocess.Popen[bytes]
) -> None:
    [foreign] = hold_tasks(database, claims, living.pid, worker="another worker")
    [held] = hold_tasks(database, claims, living.pid)

    start_heartbeat(interval_seconds=OFTEN)
    wait_until(lambda: is_renewed(database, held))

    assert not is_renewed(database, foreign)


def test_leases_are_renewed_at_their_interval_and_not_at_each_look(
    start_heartbeat: StartHeartbeat,
    database: Database,
    claims: ClaimService,
    hooks: Hooks,
    living: subprocess.Popen[bytes],
    dead: int,
) -> None:
    [held] = hold_tasks(database, claims, living.pid)

    heart = start_heartbeat(interval_seconds=NEVER)
    for death in range(1, 4):
        heart.process_died(dead, "so that each look is noticed")
        wait_until(partial(hooks.has_put_back, death))

    assert not is_renewed(database, held)


def test_what_takes_too_long_ends_at_once_and_what_its_process_held_beside_it_is_handed_back(
    start_heartbeat: StartHeartbeat, database: Database, claims: ClaimService, hooks: Hooks, dead: int
) -> None:
    slow, neighbour = hold_tasks(database, claims, dead, count=2)
    hooks.in_work = InWork(slow, 1)

    start_heartbeat().process_died(dead, "it took longer than 20 seconds", overran=True)
    wait_until(partial(hooks.has_put_back, 1))

    ended, handed_back = task_of(database, slow), task_of(database, neighbour)
    assert (ended.status, ended.error, ended.claimed_by) == (
        "error",
        "Gave up: it took longer than 20 seconds. Make the image smaller first, or choose other parameters.",
        None,
    )
    assert (handed_back.status, handed_back.crashes) == ("pending", 0)


def test_what_takes_too_long_ends_though_the_database_was_away(
    start_heartbeat: StartHeartbeat,
    database: Database,
    claims: ClaimService,
    leases: LeaseService,
    hooks: Hooks,
    dead: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    [slow] = hold_tasks(database, claims, dead)
    hooks.in_work = InWork(slow, 1)
    record, failures = leases.overran, [SQLAlchemyError("away")]

    def record_at_the_second_try(holder: Holder, task_id: int, attempt: int, reason: str) -> None:
        if failures:
            raise failures.pop()
        record(holder, task_id, attempt, reason)

    monkeypatch.setattr(leases, "overran", record_at_the_second_try)
    start_heartbeat().process_died(dead, "it took longer than 20 seconds", overran=True)
    wait_until(partial(hooks.has_put_back, 1))

    assert (task_of(database, slow).status, len(hooks.discarded)) == ("error", 2)


@pytest.mark.parametrize(("overran", "is_known"), [(True, False), (False, True)], ids=["while fetching", "killed"])
def test_what_may_go_better_next_time_is_tried_again(
    start_heartbeat: StartHeartbeat,
    database: Database,
    claims: ClaimService,
    hooks: Hooks,
    dead: int,
    overran: bool,
    is_known: bool,
) -> None:
    [held] = hold_tasks(database, claims, dead)
    hooks.in_work = InWork(held, 1) if is_known else None

    start_heartbeat().process_died(dead, "it died", overran=overran)
    wait_until(partial(hooks.has_put_back, 1))

    task = task_of(database, held)
    assert (task.status, task.crashes) == ("pending", 1)


def test_an_attempt_that_another_worker_has_taken_over_is_not_ended(
    leases: LeaseService, database: Database, claims: ClaimService, dead: int
) -> None:
    [held] = hold_tasks(database, claims, dead, worker="another worker")

    leases.overran(Holder(WORKER, dead), held, 1, "it took longer than 20 seconds")
    leases.overran(Holder("another worker", dead), held, 7, "it took longer than 20 seconds")

    assert task_of(database, held).status == "pending", "handed back by the holder, not ended"


def test_the_process_of_a_cancelled_task_is_killed(
    start_heartbeat: StartHeartbeat, database: Database, claims: ClaimService, living: subprocess.Popen[bytes]
) -> None:
    [cancelled] = hold_tasks(database, claims, living.pid)
    cancel(database, cancelled)

    start_heartbeat()

    assert living.wait(STATE_SECONDS) == -signal.SIGKILL


def test_a_process_that_let_go_of_its_cancelled_task_lives_on(
    start_heartbeat: StartHeartbeat,
    database: Database,
    claims: ClaimService,
    hooks: Hooks,
    living: subprocess.Popen[bytes],
    dead: int,
) -> None:
    holder = Holder(WORKER, living.pid)
    with database.write() as session:
        session.execute(insert(Task).values(source_id=1, algorithm="flip"))
    [claim] = claims.claim(holder)
    cancel(database, claim.task_id)
    claims.let_go(claim, holder)

    start_heartbeat(dies=dead)
    wait_until(lambda: hooks.put_back == 1)

    assert living.poll() is None


def test_what_else_a_killed_process_held_is_pending_again_and_counts_no_crash(
    start_heartbeat: StartHeartbeat, database: Database, claims: ClaimService, living: subprocess.Popen[bytes]
) -> None:
    cancelled, other = hold_tasks(database, claims, living.pid, count=2)
    cancel(database, cancelled)

    # The worker reports the killed process as dead, perhaps before the heartbeat has released what it held.
    start_heartbeat(dies=living.pid)
    wait_until(lambda: task_of(database, other).status == "pending")

    assert task_of(database, other).crashes == 0


def test_a_killed_process_leaves_the_cancelled_task_cancelled(
    start_heartbeat: StartHeartbeat,
    database: Database,
    claims: ClaimService,
    hooks: Hooks,
    living: subprocess.Popen[bytes],
) -> None:
    [cancelled] = hold_tasks(database, claims, living.pid)
    cancel(database, cancelled)

    start_heartbeat()
    wait_until(lambda: hooks.put_back == 1)

    task = task_of(database, cancelled)
    assert (task.status, task.claimed_by) == ("cancelled", None)


def test_what_a_killed_process_left_is_removed(
    start_heartbeat: StartHeartbeat,
    database: Database,
    claims: ClaimService,
    hooks: Hooks,
    living: subprocess.Popen[bytes],
) -> None:
    [cancelled] = hold_tasks(database, claims, living.pid)
    cancel(database, cancelled)

    start_heartbeat()
    wait_until(lambda: hooks.put_back == 1)

    assert hooks.discarded == [Holder(WORKER, living.pid)]


def test_a_cancelled_task_whose_process_is_gone_already_releases_what_else_it_held(
    start_heartbeat: StartHeartbeat, database: Database, claims: ClaimService, dead: int
) -> None:
    cancelled, other = hold_tasks(database, claims, dead, count=2)
    cancel(database, cancelled)

    start_heartbeat()

    wait_until(lambda: task_of(database, other).status == "pending")


def test_the_processes_of_another_worker_are_not_killed(
    start_heartbeat: StartHeartbeat,
    database: Database,
    claims: ClaimService,
    hooks: Hooks,
    living: subprocess.Popen[bytes],
    dead: int,
) -> None:
    [foreign] = hold_tasks(database, claims, living.pid, worker="another worker")
    cancel(database, foreign)

    start_heartbeat(dies=dead)
    wait_until(lambda: hooks.put_back == 1)

    assert living.poll() is None


def test_what_a_dead_process_held_is_pending_again_and_counts_a_crash(
    start_heartbeat: StartHeartbeat, database: Database, claims: ClaimService, dead: int
) -> None:
    [left] = hold_tasks(database, claims, dead)

    start_heartbeat(dies=dead)
    wait_until(lambda: task_of(database, left).status == "pending")

    assert task_of(database, left).crashes == 1


def test_a_task_that_killed_too_many_processes_ends_with_the_reason_of_the_last_death(
    start_heartbeat: StartHeartbeat, database: Database, claims: ClaimService, dead: int
) -> None:
    [left] = hold_tasks(database, claims, dead)
    with database.write() as session:
        session.execute(update(Task).values(crashes=2))

    start_heartbeat(dies=dead)
    wait_until(lambda: task_of(database, left).status == "error")

    assert "it fell asleep" in (task_of(database, left).error or "")


def test_what_a_dead_process_left_is_removed_before_its_task_is_put_back(
    start_heartbeat: StartHeartbeat, database: Database, claims: ClaimService, hooks: Hooks, dead: int
) -> None:
    [left] = hold_tasks(database, claims, dead)
    statuses: list[str] = []
    hooks.before_discard = lambda: statuses.append(task_of(database, left).status)

    start_heartbeat(dies=dead)
    wait_until(lambda: hooks.has_put_back(1))

    assert (hooks.discarded, statuses) == ([Holder(WORKER, dead)], ["processing"])


def test_a_death_is_recorded_after_the_database_has_come_back(
    start_heartbeat: StartHeartbeat, database: Database, claims: ClaimService, dead: int
) -> None:
    [left] = hold_tasks(database, claims, dead)
    with capture_logs() as logs, table_away(database, "tasks"):
        start_heartbeat(dies=dead)
        wait_until(lambda: any(entry["event"] == "heartbeat missed" for entry in logs))

    wait_until(lambda: task_of(database, left).status == "pending")


def test_leases_are_renewed_after_the_database_has_come_back(
    start_heartbeat: StartHeartbeat, database: Database, claims: ClaimService, living: subprocess.Popen[bytes]
) -> None:
    [held] = hold_tasks(database, claims, living.pid)
    with capture_logs() as logs, table_away(database, "tasks"):
        start_heartbeat(interval_seconds=OFTEN)
        wait_until(lambda: any(entry["event"] == "heartbeat missed" for entry in logs))

    wait_until(lambda: is_renewed(database, held))


def test_leases_are_renewed_after_an_unexpected_error(
    start_heartbeat: StartHeartbeat,
    database: Database,
    claims: ClaimService,
    hooks: Hooks,
    living: subprocess.Popen[bytes],
    dead: int,
) -> None:
    [held] = hold_tasks(database, claims, living.pid)
    hooks.errors.append(RuntimeError("nobody expected this"))

    start_heartbeat(interval_seconds=OFTEN, dies=dead)

    wait_until(lambda: is_renewed(database, held))
