"""The relay: lost hints are published again, expired leases end, and no outage stops it."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from celery import Celery
from image_processor.background import relay as relay_module
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


class Counter:
    """A chore that counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> None:
        self.calls += 1


@pytest.fixture
def celery() -> Celery:
    celery = create_celery(BrokerSettings(url="memory://", queue_type="classic", transport_options={}))
    # Its queues belong to the process: this one may still have another test's messages.
    delete_queue(celery)
    declare_queue(celery)
    return celery


@pytest.fixture
def alive(tmp_path: Path) -> Path:
    return tmp_path / "alive"


@pytest.fixture
def clear() -> Counter:
    return Counter()


@pytest.fixture
def keep_house() -> Counter:
    return Counter()


@pytest.fixture
def start_relay(
    database: Database,
    claims: ClaimService,
    leases: LeaseService,
    celery: Celery,
    alive: Path,
    clear: Counter,
    keep_house: Counter,
) -> Iterator[StartRelay]:
    relays: list[Relay] = []

    def start_relay(
        interval_seconds: float = OFTEN,
        hints: int = 10,
        patience: float = 0,
        clear: Callable[[], None] = clear,
    ) -> Relay:
        settings = RelaySettings(
            interval_seconds=interval_seconds, hints=hints, keep_events_seconds=60, keep_cache_seconds=0
        )
        clock = ClockWatch(database, 30, leases.renew_all_leases)
        queue = CeleryTaskQueue(celery)
        relay = Relay(claims, leases, queue, settings, alive, clock, clear, keep_house, patience)
        relays.append(relay)
        relay.start()
        return relay

    yield start_relay
    for relay in relays:
        relay.stop()
    wait_until(lambda: not any(thread.name == "relay" for thread in threading.enumerate()))


def await_whole_pass(clear: Counter) -> None:
    """Returns after a pass of the relay that began after the call."""
    seen = clear.calls
    wait_until(lambda: clear.calls >= seen + 3)


def declare_queue(celery: Celery) -> None:
    with celery.connection_for_write() as connection, connection.channel() as channel:
        celery.amqp.queues[QUEUE](channel).declare()


def delete_queue(celery: Celery) -> None:
    with celery.connection_for_write() as connection, connection.channel() as channel:
        celery.amqp.queues[QUEUE](channel).delete()


def count_hints(celery: Celery) -> int:
    return CeleryTaskQueue(celery).length()


def take_hint(celery: Celery) -> str | None:
    """The name of the next message's Celery task, if one waits."""
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
        return session.scalars(select(Task.status)).one()


def hold_a_task(database: Database, claims: ClaimService, lease_seconds: float) -> None:
    add_tasks(database, 1)
    claims.claim(HOLDER)
    with database.write() as session:
        session.execute(update(Task).values(lease_until=epoch_now() + lease_seconds))


def test_a_pending_task_whose_hint_is_overdue_is_published_again(
    start_relay: StartRelay, database: Database, celery: Celery
) -> None:
    add_tasks(database, 1)

    start_relay()
    wait_until(lambda: count_hints(celery) > 0)

    assert take_hint(celery) == WORK


def test_each_pending_task_gets_one_hint(start_relay: StartRelay, database: Database, celery: Celery) -> None:
    add_tasks(database, 3)

    start_relay(interval_seconds=NEVER)
    wait_until(lambda: count_hints(celery) >= 3)

    assert count_hints(celery) == 3


def test_no_more_hints_are_published_at_once_than_configured(
    start_relay: StartRelay, database: Database, celery: Celery, clear: Counter
) -> None:
    add_tasks(database, 5)

    start_relay(hints=2)
    await_whole_pass(clear)

    assert count_hints(celery) == 2


def test_no_hint_is_added_while_one_waits(
    start_relay: StartRelay, database: Database, celery: Celery, clear: Counter
) -> None:
    add_tasks(database, 5)
    CeleryTaskQueue(celery).publish(1)

    start_relay()
    await_whole_pass(clear)

    assert count_hints(celery) == 1


def test_a_task_that_waits_for_its_next_attempt_gets_no_hint(
    start_relay: StartRelay, database: Database, celery: Celery, clear: Counter
) -> None:
    add_tasks(database, 1, due_in_seconds=50)

    start_relay()
    await_whole_pass(clear)

    assert count_hints(celery) == 0


def test_a_relay_that_is_called_looks_at_once(
    start_relay: StartRelay, database: Database, celery: Celery, alive: Path
) -> None:
    relay = start_relay(interval_seconds=NEVER)
    wait_until(alive.exists)
    add_tasks(database, 1)

    relay.call()

    wait_until(lambda: count_hints(celery) == 1)


def test_a_stopped_relay_ends_its_thread_before_its_interval_is_over(start_relay: StartRelay, alive: Path) -> None:
    relay = start_relay(interval_seconds=NEVER)
    wait_until(alive.exists)

    relay.stop()

    wait_until(lambda: not any(thread.name == "relay" for thread in threading.enumerate()))


def test_the_task_of_a_worker_whose_lease_ran_out_is_pending_again(
    start_relay: StartRelay, database: Database, claims: ClaimService
) -> None:
    hold_a_task(database, claims, lease_seconds=-1)

    start_relay()

    wait_until(lambda: status_of_the_task(database) == "pending")


def test_no_lease_runs_out_because_the_clock_was_set_forward(
    start_relay: StartRelay, database: Database, claims: ClaimService, clear: Counter
) -> None:
    ahead = [0.0]

    def replace_clock(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        connection.create_function("julianday", 1, lambda _now: (time.time() + ahead[0]) / 86400 + 2440587.5)

    event.listen(database.engine, "connect", replace_clock)
    hold_a_task(database, claims, lease_seconds=60)
    start_relay()
    await_whole_pass(clear)

    ahead[0] = HOUR
    await_whole_pass(clear)

    assert status_of_the_task(database) == "processing"


def test_after_a_database_error_it_publishes_again(start_relay: StartRelay, database: Database, celery: Celery) -> None:
    add_tasks(database, 1)
    with capture_logs() as logs, table_away(database, "tasks"):
        start_relay()
        wait_until(lambda: any(entry["event"] == "relay waits for the database" for entry in logs))
        assert count_hints(celery) == 0

    wait_until(lambda: count_hints(celery) == 1)


def test_after_a_database_error_workers_have_time_to_renew_their_leases(
    start_relay: StartRelay, database: Database, claims: ClaimService, clear: Counter
) -> None:
    hold_a_task(database, claims, lease_seconds=-1)
    with capture_logs() as logs, table_away(database, "tasks"):
        start_relay(patience=NEVER)
        wait_until(lambda: any(entry["event"] == "relay waits for the database" for entry in logs))

    await_whole_pass(clear)

    assert status_of_the_task(database) == "processing"


def test_after_a_broker_error_it_publishes_again(start_relay: StartRelay, database: Database, celery: Celery) -> None:
    delete_queue(celery)
    add_tasks(database, 1)
    with capture_logs() as logs:
        start_relay()
        wait_until(lambda: any(entry["event"] == "relay waits for the broker" for entry in logs))

    declare_queue(celery)

    wait_until(lambda: count_hints(celery) == 1)


def test_after_an_unexpected_error_it_publishes_again(
    start_relay: StartRelay, database: Database, celery: Celery
) -> None:
    errors = [RuntimeError("nobody expected this")]

    def clear_with_an_error() -> None:
        if errors:
            raise errors.pop()

    add_tasks(database, 1)

    start_relay(clear=clear_with_an_error)

    wait_until(lambda: count_hints(celery) == 1)


def test_leases_run_out_while_the_broker_is_away(
    start_relay: StartRelay, database: Database, claims: ClaimService, celery: Celery
) -> None:
    delete_queue(celery)
    hold_a_task(database, claims, lease_seconds=-1)

    start_relay()

    wait_until(lambda: status_of_the_task(database) == "pending")


def test_each_pass_makes_the_liveness_file_new(start_relay: StartRelay, alive: Path) -> None:
    start_relay()
    wait_until(alive.exists)
    alive.unlink()

    wait_until(alive.exists)


def test_the_liveness_file_stays_old_while_the_broker_is_away(
    start_relay: StartRelay, celery: Celery, alive: Path, clear: Counter
) -> None:
    delete_queue(celery)

    start_relay()
    await_whole_pass(clear)

    assert not alive.exists()


def test_the_liveness_file_stays_old_while_the_database_is_away(
    start_relay: StartRelay, database: Database, alive: Path
) -> None:
    with capture_logs() as logs, table_away(database, "tasks"):
        start_relay()
        wait_until(lambda: len([entry for entry in logs if entry["event"] == "relay waits for the database"]) >= 2)

        assert not alive.exists()


def test_housekeeping_is_done_once_before_it_is_due_again(
    start_relay: StartRelay, clear: Counter, keep_house: Counter
) -> None:
    start_relay()

    await_whole_pass(clear)

    assert keep_house.calls == 1


def test_housekeeping_is_done_again_when_it_is_due(
    start_relay: StartRelay, keep_house: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "HOUSEKEEPING_SECONDS", 0)

    start_relay()

    wait_until(lambda: keep_house.calls >= 2)


def test_discarded_results_are_cleared_at_each_pass(start_relay: StartRelay, clear: Counter) -> None:
    start_relay()

    wait_until(lambda: clear.calls >= 3)
