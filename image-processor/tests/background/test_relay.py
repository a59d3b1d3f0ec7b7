"""The relay republishes lost hints, ends expired leases, and survives outages."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from celery import Celery
from image_processor.background.clock_watch import ClockWatch
from image_processor.background.relay import Relay
from image_processor.config import BrokerSettings, RelaySettings
from image_processor.handler.celery_app import QUEUE, WORK, create_celery
from image_processor.handler.queue import CeleryTaskQueue
from image_processor.models import Task
from image_processor.services.jobs.claims import ClaimService
from image_processor.services.jobs.leases import LeaseService
from image_processor.services.jobs.outcomes import Holder
from service_kit.database import Database, epoch_now
from sqlalchemy import event, insert, select, update
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry
from structlog.testing import capture_logs

from tests.support.tables import table_away
from tests.support.waiting import wait_until

HOLDER = Holder("worker", 11)
HOUR = 3600
NEVER = 3600
OFTEN = 0.01

StartRelay = Callable[..., Relay]


class CountingQueue(CeleryTaskQueue):
    """Counts the relay's runs: each run queries the length."""

    def __init__(self, celery: Celery) -> None:
        super().__init__(celery)
        self.runs = 0
        self.errors: list[Exception] = []

    def length(self) -> int:
        self.runs += 1
        if self.errors:
            raise self.errors.pop()
        return super().length()


@pytest.fixture
def celery() -> Celery:
    celery = create_celery(BrokerSettings(url="memory://", queue_type="classic", transport_options={}))
    # In-memory queues are shared within the process, so another test may have left messages.
    delete_queue(celery)
    declare_queue(celery)
    return celery


@pytest.fixture
def alive(tmp_path: Path) -> Path:
    return tmp_path / "alive"


@pytest.fixture
def queue(celery: Celery) -> CountingQueue:
    return CountingQueue(celery)


@pytest.fixture
def start_relay(
    database: Database, claims: ClaimService, leases: LeaseService, queue: CountingQueue, alive: Path
) -> Iterator[StartRelay]:
    relays: list[Relay] = []

    def start_relay(interval_seconds: float = OFTEN, hints: int = 10, grace_seconds: float = 0) -> Relay:
        settings = RelaySettings(
            interval_seconds=interval_seconds,
            hints=hints,
            keep_events_seconds=60,
            keep_cache_seconds=0,
            keep_tasks_seconds=0,
        )
        clock = ClockWatch(database, 30, [leases.renew_all_leases])
        relay = Relay(claims, leases, queue, settings, alive, clock, grace_seconds)
        relays.append(relay)
        relay.start()
        return relay

    yield start_relay
    for relay in relays:
        relay.stop()
    wait_until(lambda: not any(thread.name == "relay" for thread in threading.enumerate()))


def await_complete_run(queue: CountingQueue) -> None:
    """Wait for a run of the relay that starts after the call."""
    before = queue.runs
    wait_until(lambda: queue.runs >= before + 3)


def declare_queue(celery: Celery) -> None:
    with celery.connection_for_write() as connection, connection.channel() as channel:
        celery.amqp.queues[QUEUE](channel).declare()


def delete_queue(celery: Celery) -> None:
    with celery.connection_for_write() as connection, connection.channel() as channel:
        celery.amqp.queues[QUEUE](channel).delete()


def count_hints(celery: Celery) -> int:
    return CeleryTaskQueue(celery).length()


def take_hint(celery: Celery) -> str | None:
    """Return the name of the next message's Celery task; ``None`` if the queue is empty."""
    with celery.connection_for_read() as connection, connection.channel() as channel:
        message = celery.amqp.queues[QUEUE](channel).get(no_ack=True)
        return None if message is None else str(message.headers["task"])


def add_tasks(database: Database, count: int, due_in_seconds: float | None = None) -> None:
    due_at = 0.0 if due_in_seconds is None else epoch_now() + due_in_seconds
    with database.write() as session:
        for _ in range(count):
            session.execute(insert(Task).values(source_id=1, algorithm="flip", due_at=due_at))


def status_of_the_task(database: Database) -> str:
    with database.read() as session:
        return session.execute(select(Task.status)).scalar_one()


def hold_a_task(database: Database, claims: ClaimService, lease_seconds: float) -> None:
    add_tasks(database, 1)
    claims.claim(HOLDER)
    with database.write() as session:
        session.execute(update(Task).values(lease_until=epoch_now() + lease_seconds))


def test_a_lost_hint_is_published_again(start_relay: StartRelay, database: Database, celery: Celery) -> None:
    add_tasks(database, 1)

    start_relay()
    wait_until(lambda: count_hints(celery) > 0)

    assert take_hint(celery) == WORK


def test_each_pending_task_gets_one_hint(start_relay: StartRelay, database: Database, celery: Celery) -> None:
    add_tasks(database, 3)

    start_relay(interval_seconds=NEVER)
    wait_until(lambda: count_hints(celery) >= 3)

    assert count_hints(celery) == 3


def test_at_most_the_configured_number_of_hints_is_published(
    start_relay: StartRelay, database: Database, celery: Celery, queue: CountingQueue
) -> None:
    add_tasks(database, 5)

    start_relay(hints=2)
    await_complete_run(queue)

    assert count_hints(celery) == 2


def test_no_hint_is_published_while_another_waits(
    start_relay: StartRelay, database: Database, celery: Celery, queue: CountingQueue
) -> None:
    add_tasks(database, 5)
    CeleryTaskQueue(celery).publish(1)

    start_relay()
    await_complete_run(queue)

    assert count_hints(celery) == 1


def test_a_task_that_is_not_due_gets_no_hint(
    start_relay: StartRelay, database: Database, celery: Celery, queue: CountingQueue
) -> None:
    add_tasks(database, 1, due_in_seconds=50)

    start_relay()
    await_complete_run(queue)

    assert count_hints(celery) == 0


def test_a_relay_that_is_woken_runs_at_once(
    start_relay: StartRelay, database: Database, celery: Celery, alive: Path
) -> None:
    relay = start_relay(interval_seconds=NEVER)
    wait_until(alive.exists)
    add_tasks(database, 1)

    relay.wake()

    wait_until(lambda: count_hints(celery) == 1)


def test_a_stopped_relay_ends_without_waiting_for_its_interval(start_relay: StartRelay, alive: Path) -> None:
    relay = start_relay(interval_seconds=NEVER)
    wait_until(alive.exists)

    relay.stop()

    wait_until(lambda: not any(thread.name == "relay" for thread in threading.enumerate()))


def test_a_task_whose_lease_expired_is_pending_again(
    start_relay: StartRelay, database: Database, claims: ClaimService
) -> None:
    hold_a_task(database, claims, lease_seconds=-1)

    start_relay()

    wait_until(lambda: status_of_the_task(database) == "pending")


def test_no_lease_expires_because_the_clock_was_set_forward(
    start_relay: StartRelay, database: Database, claims: ClaimService, queue: CountingQueue
) -> None:
    ahead = [0.0]

    def replace_clock(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        connection.create_function("julianday", 1, lambda _now: (time.time() + ahead[0]) / 86400 + 2440587.5)

    event.listen(database.engine, "connect", replace_clock)
    hold_a_task(database, claims, lease_seconds=60)
    start_relay()
    await_complete_run(queue)

    ahead[0] = HOUR
    await_complete_run(queue)

    assert status_of_the_task(database) == "processing"


def test_hints_are_published_after_a_database_outage(
    start_relay: StartRelay, database: Database, celery: Celery
) -> None:
    add_tasks(database, 1)
    with capture_logs() as logs, table_away(database, "tasks"):
        start_relay()
        wait_until(lambda: any(entry["event"] == "relay waits for the database" for entry in logs))
        assert count_hints(celery) == 0

    wait_until(lambda: count_hints(celery) == 1)


def test_no_lease_expires_in_the_grace_time_after_a_database_outage(
    start_relay: StartRelay, database: Database, claims: ClaimService, queue: CountingQueue
) -> None:
    hold_a_task(database, claims, lease_seconds=-1)
    with capture_logs() as logs, table_away(database, "tasks"):
        start_relay(grace_seconds=NEVER)
        wait_until(lambda: any(entry["event"] == "relay waits for the database" for entry in logs))

    await_complete_run(queue)

    assert status_of_the_task(database) == "processing"


def test_hints_are_published_after_a_broker_outage(start_relay: StartRelay, database: Database, celery: Celery) -> None:
    delete_queue(celery)
    add_tasks(database, 1)
    with capture_logs() as logs:
        start_relay()
        wait_until(lambda: any(entry["event"] == "relay waits for the broker" for entry in logs))

    declare_queue(celery)

    wait_until(lambda: count_hints(celery) == 1)


def test_hints_are_published_after_an_unexpected_error(
    start_relay: StartRelay, database: Database, celery: Celery, queue: CountingQueue
) -> None:
    queue.errors.append(RuntimeError("unexpected"))
    add_tasks(database, 1)

    start_relay()

    wait_until(lambda: count_hints(celery) == 1)


def test_leases_expire_while_the_broker_is_unavailable(
    start_relay: StartRelay, database: Database, claims: ClaimService, celery: Celery
) -> None:
    delete_queue(celery)
    hold_a_task(database, claims, lease_seconds=-1)

    start_relay()

    wait_until(lambda: status_of_the_task(database) == "pending")


def test_each_run_touches_the_liveness_file(start_relay: StartRelay, alive: Path) -> None:
    start_relay()
    wait_until(alive.exists)
    alive.unlink()

    wait_until(alive.exists)


def test_the_liveness_file_is_not_touched_while_the_broker_is_unavailable(
    start_relay: StartRelay, celery: Celery, alive: Path, queue: CountingQueue
) -> None:
    delete_queue(celery)

    start_relay()
    await_complete_run(queue)

    assert not alive.exists()


def test_the_liveness_file_is_not_touched_while_the_database_is_unavailable(
    start_relay: StartRelay, database: Database, alive: Path
) -> None:
    with capture_logs() as logs, table_away(database, "tasks"):
        start_relay()
        wait_until(lambda: len([entry for entry in logs if entry["event"] == "relay waits for the database"]) >= 2)

        assert not alive.exists()
