"""The heartbeat renews leases, kills processes of cancelled tasks and records the death of processes."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from image_processor.background import heartbeat as heartbeat_module
from image_processor.background.heartbeat import Heartbeat
from image_processor.config import RetrySettings
from image_processor.models import Task
from image_processor.services.jobs.claims import ClaimService
from image_processor.services.jobs.leases import LeaseService
from image_processor.services.jobs.outcomes import Holder
from image_processor.services.jobs.scratch import AttemptInProgress
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
    """Records the calls of a heartbeat: the holders whose files it deletes, and the number of lost hints."""

    def __init__(self) -> None:
        self.discarded: list[Holder] = []
        self.lost_hints = 0
        self.errors: list[Exception] = []
        self.before_discard: Callable[[], None] = lambda: None
        self.in_progress: AttemptInProgress | None = None

    def discard(self, holder: Holder) -> AttemptInProgress | None:
        if self.errors:
            raise self.errors.pop()
        self.before_discard()
        self.discarded.append(holder)
        found, self.in_progress = self.in_progress, None
        return found

    def on_hint_lost(self) -> None:
        self.lost_hints += 1

    def has_lost(self, hints: int) -> bool:
        return self.lost_hints >= hints


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
    """Return the id of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


@pytest.fixture
def stranger() -> Iterator[int]:
    """Return the id of a process that is not a child of this one."""
    started = subprocess.run(["sh", "-c", "sleep 600 >&- & echo $!"], stdout=subprocess.PIPE, check=True)
    yield int(started.stdout)
    os.kill(int(started.stdout), signal.SIGKILL)


@pytest.fixture
def start_heartbeat(leases: LeaseService, hooks: Hooks, monkeypatch: pytest.MonkeyPatch) -> Iterator[StartHeartbeat]:
    monkeypatch.setattr(heartbeat_module, "POLL_SECONDS", OFTEN)
    heartbeats: list[Heartbeat] = []

    def start_heartbeat(interval_seconds: float = NEVER, dies: int | None = None) -> Heartbeat:
        heartbeat = Heartbeat(leases, WORKER, interval_seconds, hooks.discard, hooks.on_hint_lost)
        heartbeats.append(heartbeat)
        if dies is not None:
            heartbeat.process_died(dies, "out of memory")
        heartbeat.start()
        return heartbeat

    yield start_heartbeat
    for heartbeat in heartbeats:
        heartbeat.stop()
    wait_until(lambda: not any(thread.name == "heartbeat" for thread in threading.enumerate()))


def hold_tasks(
    database: Database, claims: ClaimService, process: int, count: int = 1, worker: str = WORKER
) -> list[int]:
    """Add tasks held by a process with an expired lease; return their ids."""
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
        return session.scalar(select(Task.lease_until > epoch_now()).where(Task.id == task_id)) is True


def test_the_lease_of_a_living_process_is_renewed(
    start_heartbeat: StartHeartbeat, database: Database, claims: ClaimService, living: subprocess.Popen[bytes]
) -> None:
    [held] = hold_tasks(database, claims, living.pid)

    start_heartbeat(interval_seconds=OFTEN)

    wait_until(lambda: is_renewed(database, held))


def test_the_lease_of_a_dead_process_is_not_renewed(
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
    [other] = hold_tasks(database, claims, living.pid, worker="another worker")
    [held] = hold_tasks(database, claims, living.pid)

    start_heartbeat(interval_seconds=OFTEN)
    wait_until(lambda: is_renewed(database, held))

    assert not is_renewed(database, other)


def test_leases_are_renewed_at_their_interval_and_not_at_each_poll(
    start_heartbeat: StartHeartbeat,
    database: Database,
    claims: ClaimService,
    hooks: Hooks,
    living: subprocess.Popen[bytes],
    dead: int,
) -> None:
    [held] = hold_tasks(database, claims, living.pid)

    heartbeat = start_heartbeat(interval_seconds=NEVER)
    for death in range(1, 4):
        heartbeat.process_died(dead, "to count the polls")
        wait_until(partial(hooks.has_lost, death))

    assert not is_renewed(database, held)


def test_a_task_over_the_time_limit_ends_and_other_tasks_of_its_process_are_released(
    start_heartbeat: StartHeartbeat, database: Database, claims: ClaimService, hooks: Hooks, dead: int
) -> None:
    slow, other = hold_tasks(database, claims, dead, count=2)
    hooks.in_progress = AttemptInProgress(slow, 1)

    start_heartbeat().process_died(dead, "it took longer than 20 seconds", overran=True)
    wait_until(partial(hooks.has_lost, 1))

    ended, handed_back = task_of(database, slow), task_of(database, other)
    assert (ended.status, ended.error, ended.claimed_by) == (
        "error",
        "Gave up: it took longer than 20 seconds. Make the image smaller first, or choose other parameters.",
        None,
    )
    assert (handed_back.status, handed_back.crashes) == ("pending", 0)


def test_a_task_over_the_time_limit_ends_after_a_database_outage(
    start_heartbeat: StartHeartbeat,
    database: Database,
    claims: ClaimService,
    leases: LeaseService,
    hooks: Hooks,
    dead: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    [slow] = hold_tasks(database, claims, dead)
    hooks.in_progress = AttemptInProgress(slow, 1)
    record, failures = leases.overran, [SQLAlchemyError("away")]

    def record_at_the_second_try(holder: Holder, task_id: int, attempt: int, reason: str) -> None:
        if failures:
            raise failures.pop()
        record(holder, task_id, attempt, reason)

    monkeypatch.setattr(leases, "overran", record_at_the_second_try)
    start_heartbeat().process_died(dead, "it took longer than 20 seconds", overran=True)
    wait_until(partial(hooks.has_lost, 1))

    assert (task_of(database, slow).status, len(hooks.discarded)) == ("error", 2)


@pytest.mark.parametrize(("overran", "is_known"), [(True, False), (False, True)], ids=["while fetching", "killed"])
def test_a_task_whose_process_died_for_another_reason_is_retried(
    start_heartbeat: StartHeartbeat,
    database: Database,
    claims: ClaimService,
    hooks: Hooks,
    dead: int,
    overran: bool,
    is_known: bool,
) -> None:
    [held] = hold_tasks(database, claims, dead)
    hooks.in_progress = AttemptInProgress(held, 1) if is_known else None

    start_heartbeat().process_died(dead, "it died", overran=overran)
    wait_until(partial(hooks.has_lost, 1))

    task = task_of(database, held)
    assert (task.status, task.crashes) == ("pending", 1)


def test_an_attempt_of_another_worker_is_not_ended(
    leases: LeaseService, database: Database, claims: ClaimService, dead: int
) -> None:
    [held] = hold_tasks(database, claims, dead, worker="another worker")

    leases.overran(Holder(WORKER, dead), held, 1, "it took longer than 20 seconds")
    leases.overran(Holder("another worker", dead), held, 7, "it took longer than 20 seconds")

    assert task_of(database, held).status == "pending", "released by its holder, not ended"


def test_the_process_of_a_cancelled_task_is_killed(
    start_heartbeat: StartHeartbeat, database: Database, claims: ClaimService, living: subprocess.Popen[bytes]
) -> None:
    [cancelled] = hold_tasks(database, claims, living.pid)
    cancel(database, cancelled)

    start_heartbeat()

    assert living.wait(STATE_SECONDS) == -signal.SIGKILL


def test_a_process_of_others_is_not_killed_for_a_row_that_names_it(
    start_heartbeat: StartHeartbeat, database: Database, claims: ClaimService, hooks: Hooks, stranger: int
) -> None:
    [cancelled] = hold_tasks(database, claims, stranger)
    cancel(database, cancelled)

    start_heartbeat()
    wait_until(partial(hooks.has_lost, 1))

    # In the state of a killed process there would be an X or Z.
    assert Path(f"/proc/{stranger}/stat").read_text().split()[2] == "S"


def test_a_process_that_gave_up_its_cancelled_task_is_not_killed(
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
    claims.give_up(claim, holder)

    start_heartbeat(dies=dead)
    wait_until(lambda: hooks.lost_hints == 1)

    assert living.poll() is None


def test_other_tasks_of_a_killed_process_are_pending_again_and_count_no_crash(
    start_heartbeat: StartHeartbeat, database: Database, claims: ClaimService, living: subprocess.Popen[bytes]
) -> None:
    cancelled, other = hold_tasks(database, claims, living.pid, count=2)
    cancel(database, cancelled)

    # The worker may report the killed process as dead before the heartbeat has released its tasks.
    start_heartbeat(dies=living.pid)
    wait_until(lambda: task_of(database, other).status == "pending")

    assert task_of(database, other).crashes == 0


def test_a_cancelled_task_stays_cancelled_when_its_process_is_killed(
    start_heartbeat: StartHeartbeat,
    database: Database,
    claims: ClaimService,
    hooks: Hooks,
    living: subprocess.Popen[bytes],
) -> None:
    [cancelled] = hold_tasks(database, claims, living.pid)
    cancel(database, cancelled)

    start_heartbeat()
    wait_until(lambda: hooks.lost_hints == 1)

    task = task_of(database, cancelled)
    assert (task.status, task.claimed_by) == ("cancelled", None)


def test_the_files_of_a_killed_process_are_deleted(
    start_heartbeat: StartHeartbeat,
    database: Database,
    claims: ClaimService,
    hooks: Hooks,
    living: subprocess.Popen[bytes],
) -> None:
    [cancelled] = hold_tasks(database, claims, living.pid)
    cancel(database, cancelled)

    start_heartbeat()
    wait_until(lambda: hooks.lost_hints == 1)

    assert hooks.discarded == [Holder(WORKER, living.pid)]


def test_other_tasks_of_a_process_that_died_before_it_was_killed_are_pending_again(
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
    [other] = hold_tasks(database, claims, living.pid, worker="another worker")
    cancel(database, other)

    start_heartbeat(dies=dead)
    wait_until(lambda: hooks.lost_hints == 1)

    assert living.poll() is None


def test_the_task_of_a_dead_process_is_pending_again_and_counts_a_crash(
    start_heartbeat: StartHeartbeat, database: Database, claims: ClaimService, dead: int
) -> None:
    [left] = hold_tasks(database, claims, dead)

    start_heartbeat(dies=dead)
    wait_until(lambda: task_of(database, left).status == "pending")

    assert task_of(database, left).crashes == 1


def test_a_task_that_crashed_too_many_processes_ends_with_the_reason_of_the_last_crash(
    start_heartbeat: StartHeartbeat, database: Database, claims: ClaimService, dead: int
) -> None:
    [left] = hold_tasks(database, claims, dead)
    with database.write() as session:
        session.execute(update(Task).values(crashes=2))

    start_heartbeat(dies=dead)
    wait_until(lambda: task_of(database, left).status == "error")

    assert "out of memory" in (task_of(database, left).error or "")


def test_the_files_of_a_dead_process_are_deleted_before_its_task_is_pending_again(
    start_heartbeat: StartHeartbeat, database: Database, claims: ClaimService, hooks: Hooks, dead: int
) -> None:
    [left] = hold_tasks(database, claims, dead)
    statuses: list[str] = []
    hooks.before_discard = lambda: statuses.append(task_of(database, left).status)

    start_heartbeat(dies=dead)
    wait_until(lambda: hooks.has_lost(1))

    assert (hooks.discarded, statuses) == ([Holder(WORKER, dead)], ["processing"])


def test_a_death_is_recorded_after_a_database_outage(
    start_heartbeat: StartHeartbeat, database: Database, claims: ClaimService, dead: int
) -> None:
    [left] = hold_tasks(database, claims, dead)
    with capture_logs() as logs, table_away(database, "tasks"):
        start_heartbeat(dies=dead)
        wait_until(lambda: any(entry["event"] == "heartbeat missed" for entry in logs))

    wait_until(lambda: task_of(database, left).status == "pending")


def test_leases_are_renewed_after_a_database_outage(
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
    hooks.errors.append(RuntimeError("unexpected"))

    start_heartbeat(interval_seconds=OFTEN, dies=dead)

    wait_until(lambda: is_renewed(database, held))


def test_leases_are_renewed_while_a_death_cannot_be_recorded(
    start_heartbeat: StartHeartbeat,
    database: Database,
    claims: ClaimService,
    hooks: Hooks,
    living: subprocess.Popen[bytes],
    dead: int,
) -> None:
    [held] = hold_tasks(database, claims, living.pid)

    def fail() -> None:
        raise RuntimeError("unexpected")

    hooks.before_discard = fail

    start_heartbeat(interval_seconds=OFTEN, dies=dead)

    wait_until(lambda: is_renewed(database, held))


def test_a_death_that_no_database_takes_does_not_delay_the_next(
    each_database: Database, retry: RetrySettings, hooks: Hooks, monkeypatch: pytest.MonkeyPatch, dead: int
) -> None:
    monkeypatch.setattr(heartbeat_module, "POLL_SECONDS", OFTEN)
    leases = LeaseService(each_database, retry, lease_seconds=60)
    [left] = hold_tasks(each_database, ClaimService(each_database, retry, lease_seconds=60, processes=1), dead)
    heartbeat = Heartbeat(leases, WORKER, NEVER, hooks.discard, hooks.on_hint_lost)
    heartbeat.process_died(10**30, "no process has this number")
    heartbeat.process_died(dead, "out of memory")

    with capture_logs() as logs:
        heartbeat.start()
        wait_until(partial(hooks.has_lost, 2))
        heartbeat.stop()

    assert task_of(each_database, left).crashes == 1
    assert [line["process"] for line in logs if line["event"] == "death not recorded"] == [10**30]
