"""Claims: a task has one holder at a time, urgent tasks come first, and only the newest attempt ends a task."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from image_processor.config import RetrySettings
from image_processor.models import Batch, DiscardedResult, Task
from image_processor.services.jobs.claims import ClaimService
from image_processor.services.jobs.leases import LeaseService
from image_processor.services.jobs.outcomes import Claim, Crashed, Ended, Failed, Finished, Holder, Outcome, Postponed
from image_processor.services.jobs.turns import SUSPECT_LOSSES
from service_kit.database import Database, epoch_now
from sqlalchemy import Connection, Row, insert, select, text, update

from tests.support.waiting import wait_until

ONE, TWO = Holder("one", 11), Holder("two", 22)


def add_task(database: Database, priority: int = 0) -> int:
    with database.write() as session:
        statement = insert(Task).values(source_id=1, algorithm="flip", priority=priority).returning(Task.id)
        return session.execute(statement).scalar_one()


def task_of(database: Database, task_id: int) -> Task:
    with database.read() as session:
        return session.get_one(Task, task_id)


def expire(database: Database, task_id: int) -> None:
    with database.write() as session:
        session.execute(update(Task).where(Task.id == task_id).values(lease_until=epoch_now() - 1))


def claimed(claims: ClaimService, holder: Holder) -> Claim:
    [claim] = claims.claim(holder)
    return claim


def ends(claims: ClaimService, claim: Claim, outcome: Outcome) -> bool:
    return not claims.end([Ended(claim, outcome)])


@pytest.fixture
def server(postgresql: str) -> Iterator[Database]:
    """Return the database of the PostgreSQL tests, without tasks."""
    server = Database(postgresql)
    with server.begin() as connection:
        connection.execute(text("TRUNCATE tasks, batches, task_events, unended_tasks, ended_tasks"))
    yield server
    server.engine.dispose()


def add_batch(database: Database, priorities: Sequence[int]) -> int:
    """Add a batch with a task of each priority; return the batch's id."""
    with database.begin() as connection:
        batch = insert(Batch).values(owner="local", algorithm="flip", tasks=len(priorities)).returning(Batch.id)
        batch_id = connection.execute(batch).scalar_one()
        rows = [
            {"batch_id": batch_id, "source_id": 1, "algorithm": "flip", "priority": priority} for priority in priorities
        ]
        connection.execute(insert(Task), rows)
    return batch_id


def lock_batch(connection: Connection, batch_id: int) -> None:
    """Lock a batch as migration 0013 does when tasks of it end."""
    connection.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended('end of batch ' || :id, 0))"), {"id": batch_id}
    )


def someone_waits(database: Database) -> "Row[*tuple[object, ...]] | None":
    waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    with database.connect() as connection:
        return connection.execute(text(waits)).first()


@pytest.mark.server
@pytest.mark.parametrize(
    "outcomes",
    [
        (Finished(1), Finished(2)),
        (Finished(1), Failed("no")),
        (Failed("no"), Finished(2)),
        (Failed("no"), Failed("no")),
    ],
)
def test_workers_that_end_tasks_of_two_batches_do_not_deadlock(
    server: Database, retry: RetrySettings, outcomes: Sequence[Outcome]
) -> None:
    claims = ClaimService(server, retry, lease_seconds=60, processes=1)
    first, last = add_batch(server, [0]), add_batch(server, [9])
    taken = claims.claim(ONE, 2)

    with ThreadPoolExecutor() as threads, server.begin() as another:
        lock_batch(another, first)
        ending = threads.submit(claims.end, [Ended(*each) for each in zip(taken, outcomes, strict=True)])
        wait_until(lambda: someone_waits(server))
        lock_batch(another, last)
        another.commit()

        assert [claim.batch_id for claim in taken] == [last, first]
        assert ending.result() == []


@pytest.mark.server
def test_ending_a_task_that_overran_does_not_deadlock_with_a_request_that_ends_its_batch(
    server: Database, retry: RetrySettings
) -> None:
    claims, leases = ClaimService(server, retry, lease_seconds=60, processes=1), LeaseService(server, retry, 60)
    batch_id = add_batch(server, [0, 0])
    other, slow = sorted(claims.claim(ONE, 2), key=lambda claim: claim.task_id)

    with ThreadPoolExecutor() as threads, server.begin() as another:
        another.execute(select(Task.id).where(Task.id == other.task_id).with_for_update())
        ending = threads.submit(leases.overran, ONE, slow.task_id, slow.attempt, "it was slow")
        wait_until(lambda: someone_waits(server))
        lock_batch(another, batch_id)
        another.commit()
        ending.result()

    assert task_of(server, slow.task_id).status == "error"
    assert task_of(server, other.task_id).status == "pending"


def test_a_task_is_claimed_once(claims: ClaimService, database: Database) -> None:
    add_task(database)

    assert claims.claim(ONE)
    assert claims.claim(TWO) == []


def test_tasks_are_claimed_by_priority_then_by_age(claims: ClaimService, database: Database) -> None:
    late, urgent, early = add_task(database), add_task(database, priority=9), add_task(database)

    order = [claimed(claims, ONE).task_id for _ in range(3)]

    assert order == [urgent, late, early]


@pytest.mark.parametrize(("pending", "share"), [(100, 10), (20, 7), (8, 3), (1, 1), (0, 0)])
def test_a_process_claims_at_most_its_share_of_the_pending_tasks(
    database: Database, retry: RetrySettings, pending: int, share: int
) -> None:
    for _ in range(pending):
        add_task(database)

    claims = ClaimService(database, retry, lease_seconds=60, processes=3)

    assert len(claims.claim(ONE, 10)) == share


def test_a_clock_that_is_set_after_its_check_expires_no_lease(
    leases: LeaseService, claims: ClaimService, database: Database
) -> None:
    task_id = add_task(database)
    claimed(claims, ONE)
    checked_at = time.time() - 10
    expire(database, task_id)

    leases.expire_leases(checked_at)

    assert task_of(database, task_id).status == "processing"


def test_a_stale_holder_cannot_finish_a_task_of_another_worker(
    leases: LeaseService, claims: ClaimService, database: Database
) -> None:
    task_id = add_task(database)
    stale = claimed(claims, ONE)
    expire(database, task_id)
    leases.expire_leases(time.time())
    fresh = claimed(claims, TWO)

    assert not ends(claims, stale, Finished(7))
    assert ends(claims, fresh, Finished(8))
    assert task_of(database, task_id).result_id == 8


def test_a_heartbeat_renews_only_the_leases_of_its_worker(
    leases: LeaseService, claims: ClaimService, database: Database
) -> None:
    held, other = add_task(database), add_task(database)
    claims.claim(ONE)
    claims.claim(TWO)
    for task_id in (held, other):
        expire(database, task_id)

    leases.heartbeat(ONE.worker, leases.holding_processes(ONE.worker))
    leases.expire_leases(time.time())

    assert task_of(database, held).status == "processing"
    assert task_of(database, other).status == "pending"


@pytest.mark.parametrize("hours", [-1, 1])
def test_every_lease_is_renewed_after_a_step_of_the_clock(
    leases: LeaseService, claims: ClaimService, database: Database, hours: int
) -> None:
    task_id = add_task(database)
    claims.claim(ONE)
    with database.write() as session:
        session.execute(update(Task).values(lease_until=epoch_now() + 3600 * hours))

    leases.renew_all_leases()
    leases.expire_leases(time.time())

    with database.read() as session:
        statement = select(Task.lease_until - epoch_now()).where(Task.id == task_id)
        remaining = session.execute(statement).scalar_one()
    assert remaining == pytest.approx(60, abs=5)


def test_ending_one_task_claims_the_next(claims: ClaimService, database: Database) -> None:
    first, second = add_task(database), add_task(database)

    lost, claimed_next = claims.end_and_claim([Ended(claimed(claims, ONE), Finished(5))], ONE)

    assert not lost
    assert [claim.task_id for claim in claimed_next] == [second]
    assert task_of(database, first).status == "finished"


def test_several_tasks_are_claimed_and_ended_at_once_each_with_its_own_outcome(
    claims: ClaimService, database: Database
) -> None:
    late, urgent, early = add_task(database), add_task(database, priority=9), add_task(database)
    taken = claims.claim(ONE, 3)

    outcomes: list[Outcome] = [Finished(1), Failed("no"), Finished(3)]
    lost = claims.end([Ended(claim, outcome) for claim, outcome in zip(taken, outcomes, strict=True)])

    assert [claim.task_id for claim in taken] == [urgent, late, early]
    assert not lost
    recorded = [
        (task.result_id, task.error) for task in (task_of(database, task_id) for task_id in (urgent, late, early))
    ]
    assert recorded == [(1, None), (None, "no"), (3, None)]


def test_only_the_lost_claims_of_a_batch_are_not_ended(
    leases: LeaseService, claims: ClaimService, database: Database
) -> None:
    kept, taken_over = add_task(database), add_task(database)
    mine = claims.claim(ONE, 2)
    expire(database, taken_over)
    leases.expire_leases(time.time())

    lost, claimed_next = claims.end_and_claim([Ended(claim, Finished(claim.task_id)) for claim in mine], ONE, 5)

    assert [claim.task_id for claim in lost] == [taken_over]
    assert claimed_next == [], "nothing is claimed until the process knows why it lost a claim"
    assert task_of(database, kept).result_id == kept
    assert task_of(database, taken_over).status == "pending"


def test_a_task_whose_process_crashed_is_claimed_alone(
    leases: LeaseService, claims: ClaimService, database: Database
) -> None:
    suspect, other = add_task(database), add_task(database)
    claims.claim(ONE)
    leases.crashed(ONE, "crash")

    with_others = claims.claim(ONE, 5, holds_others=True)
    alone = claims.claim(ONE, 5)
    afterwards = claims.claim(TWO, 5)

    assert with_others == []
    assert [(claim.task_id, claim.suspect) for claim in alone] == [(suspect, True)]
    assert [(claim.task_id, claim.suspect) for claim in afterwards] == [(other, False)]


def test_a_task_that_was_not_started_is_handed_back_without_a_crash(claims: ClaimService, database: Database) -> None:
    task_id = add_task(database)

    claims.hand_back(claims.claim(ONE))

    task = task_of(database, task_id)
    assert (task.status, task.crashes, claims.claimable(10)) == ("pending", 0, 1)


def test_a_task_of_another_worker_is_not_handed_back(
    leases: LeaseService, claims: ClaimService, database: Database
) -> None:
    task_id = add_task(database)
    stale = claims.claim(ONE)
    expire(database, task_id)
    leases.expire_leases(time.time())
    claims.claim(TWO)

    claims.hand_back(stale)

    assert task_of(database, task_id).claimed_by == TWO.worker


def by_death(leases: LeaseService, _claims: ClaimService, _claim: Claim) -> None:
    leases.crashed(ONE, "it took longer than 20 seconds")


def by_error(_leases: LeaseService, claims: ClaimService, claim: Claim) -> None:
    claims.end([Ended(claim, Crashed("it took longer than 20 seconds"))])


@pytest.mark.parametrize("crash", [by_death, by_error])
def test_three_crashes_end_a_task_in_error(
    leases: LeaseService,
    claims: ClaimService,
    database: Database,
    crash: Callable[[LeaseService, ClaimService, Claim], None],
) -> None:
    task_id = add_task(database)

    for _ in range(3):
        crash(leases, claims, claimed(claims, ONE))

    task = task_of(database, task_id)
    assert (task.status, task.error) == ("error", "Gave up after 3 crashes: it took longer than 20 seconds.")


def lose_worker(leases: LeaseService, claims: ClaimService, database: Database, task_id: int) -> None:
    claims.claim(ONE)
    expire(database, task_id)
    leases.expire_leases(time.time())


def test_the_loss_of_a_worker_counts_no_crash(leases: LeaseService, claims: ClaimService, database: Database) -> None:
    task_id = add_task(database)

    for _ in range(SUSPECT_LOSSES - 1):
        lose_worker(leases, claims, database, task_id)

    task = task_of(database, task_id)
    assert (task.status, task.crashes, task.losses) == ("pending", 0, SUSPECT_LOSSES - 1)
    assert not claimed(claims, ONE).suspect


def test_a_task_that_lost_several_workers_is_claimed_alone(
    leases: LeaseService, claims: ClaimService, database: Database
) -> None:
    task_id = add_task(database)
    for _ in range(SUSPECT_LOSSES):
        lose_worker(leases, claims, database, task_id)
    add_task(database)

    [claim] = claims.claim(ONE, 2)

    assert (claim.task_id, claim.suspect) == (task_id, True)


def test_a_task_that_lost_too_many_workers_ends_in_error(
    leases: LeaseService, claims: ClaimService, database: Database
) -> None:
    task_id = add_task(database)

    for _ in range(10):
        lose_worker(leases, claims, database, task_id)

    task = task_of(database, task_id)
    assert (task.status, task.error) == ("error", "Gave up after 10 lost workers: its worker stopped answering.")


def test_uploads_of_a_task_that_is_given_up_are_discarded(
    leases: LeaseService, claims: ClaimService, database: Database
) -> None:
    add_task(database)
    for _ in range(3):
        claim = claimed(claims, ONE)
        leases.crashed(ONE, "crash")

    with database.read() as session:
        assert session.scalars(select(DiscardedResult.key)).all() == [claim.result_key]


def test_a_first_attempt_that_fails_leaves_nothing_to_discard(claims: ClaimService, database: Database) -> None:
    add_task(database)

    claims.end([Ended(claimed(claims, ONE), Failed("not an image"))])

    with database.read() as session:
        assert session.scalars(select(DiscardedResult.key)).all() == []


def test_a_late_report_of_a_crash_does_not_affect_another_claim(
    leases: LeaseService, claims: ClaimService, database: Database
) -> None:
    task_id = add_task(database)
    claims.claim(TWO)

    leases.crashed(ONE, "late")

    assert task_of(database, task_id).status == "processing"


def test_a_transient_failure_is_retried_later(claims: ClaimService, database: Database) -> None:
    task_id = add_task(database)

    claims.end([Ended(claimed(claims, ONE), Postponed("no answer"))])

    task = task_of(database, task_id)
    assert (task.status, 0 < task.retry_seconds < 1.1) == ("pending", True)


@pytest.mark.parametrize(("due_in", "due"), [(-1, True), (50, False), (3600, True)])
def test_a_task_due_later_than_the_longest_delay_is_due_now(
    claims: ClaimService, database: Database, due_in: int, due: bool
) -> None:
    task_id = add_task(database)
    with database.write() as session:
        session.execute(update(Task).where(Task.id == task_id).values(due_at=epoch_now() + due_in))

    assert claims.claimable(10) == due
    assert len(claims.claim(ONE)) == due


def test_a_task_whose_retry_budget_is_spent_ends_in_error(database: Database, retry: RetrySettings) -> None:
    claims = ClaimService(database, retry.model_copy(update={"max_seconds": 0}), lease_seconds=60, processes=1)
    task_id = add_task(database)
    claim = claimed(claims, ONE)
    with database.write() as session:
        session.execute(update(Task).where(Task.id == task_id).values(retry_seconds=1))

    claims.end([Ended(claim, Postponed("no answer"))])

    task = task_of(database, task_id)
    assert (task.status, task.error) == ("error", "Gave up after repeated failures: no answer")


def test_the_tasks_of_a_worker_that_stops_are_pending_again(
    leases: LeaseService, claims: ClaimService, database: Database
) -> None:
    task_id = add_task(database)
    claims.claim(ONE)

    leases.release(ONE.worker)

    assert task_of(database, task_id).status == "pending"
    assert claims.claimable(10) == 1
