"""The event stream delivers every event in order, from a listener's position; a slow listener affects no other."""

import asyncio
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing

import pytest
from service_kit.access.principals import LOCAL, READER, Limits, Principal
from service_kit.database import Database
from service_kit.errors import DomainError
from service_kit.events import stream as stream_module
from service_kit.events.rows import Events, Position, position_of
from service_kit.events.stream import EventStream, Listeners, ListenerTooSlowError, Subscription
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from tests.support.measurements import Measurement, MeasuringAfterReads, SensorChoice, measure
from tests.support.tables import table_away
from tests.support.waiting import STATE_SECONDS

ALL = SensorChoice()
BEGINNING = Position(0, 0)
ANN = Principal("ann", READER)
POLL_SECONDS = 0.005

Stream = EventStream[Measurement]
Listener = Subscription[Measurement]


@pytest.fixture
def stream(database: Database) -> Stream:
    return stream_of(database)


def stream_of(database: Database, backlog: int = 100) -> Stream:
    return EventStream(Events(database, Measurement), POLL_SECONDS, backlog)


async def events_of(stream: Stream, subscription: Listener, count: int) -> list[Measurement]:
    """Return the next events of a subscription, and end it."""
    events: list[Measurement] = []
    async with asyncio.timeout(STATE_SECONDS), aclosing(stream.follow(subscription)) as following:  # type: ignore[type-var]
        async for together in following:
            events += together
            if len(events) >= count:
                break
    return events[:count]


async def queued(subscription: Listener, count: int) -> list[Measurement]:
    """Return the next events that the reader passes to a subscription."""
    events: list[Measurement] = []
    async with asyncio.timeout(STATE_SECONDS):
        while len(events) < count:
            events += await subscription.queue.get()
    return events


def ids_of(events: Collection[Measurement]) -> list[int]:
    return [event.id for event in events]


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + STATE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the condition did not become true in time"
        await asyncio.sleep(0.005)


def has_no_reader() -> bool:
    """Return whether the event loop runs only the test's own task."""
    return asyncio.all_tasks() == {asyncio.current_task()}


def test_a_listener_gets_every_event_once_and_in_order(each_database: Database) -> None:
    stream = stream_of(each_database)

    async def listen() -> tuple[list[int], list[int]]:
        subscription = await stream.subscribe(LOCAL, None, ALL)
        added = [*measure(each_database, 2, 1), *measure(each_database, 3)]
        await until(lambda: subscription.waiting == 3)
        added += measure(each_database, 1, 1)
        return ids_of(await events_of(stream, subscription, 5)), added

    got, added = asyncio.run(listen())

    assert got == added


def test_events_that_one_read_does_not_find_all_keep_their_order(
    database: Database, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_module, "PAGE", 2)

    async def listen() -> tuple[list[int], list[int], list[int]]:
        subscription = await stream.subscribe(LOCAL, BEGINNING, ALL)
        added = measure(database, 5, 4, 3, 2, 1)
        passed = await queued(subscription, 5)
        return ids_of(passed), ids_of(await events_of(stream, subscription, 5)), added

    passed, got, added = asyncio.run(listen())

    assert passed == got == added


def test_an_event_committed_after_the_last_read_for_a_listener_is_delivered(database: Database) -> None:
    [earlier] = measure(database, 1)
    events = MeasuringAfterReads(database, 1)
    stream = EventStream(events, POLL_SECONDS, 100, live=Events(database, Measurement))

    async def listen() -> list[int]:
        subscription = await stream.subscribe(LOCAL, BEGINNING, ALL)
        return ids_of(await events_of(stream, subscription, 2))

    assert asyncio.run(listen()) == [earlier, earlier + 1]


def test_a_listener_without_a_position_gets_only_new_events(each_database: Database) -> None:
    stream = stream_of(each_database)
    measure(each_database, 1)

    async def listen() -> tuple[list[int], list[int]]:
        subscription = await stream.subscribe(LOCAL, None, ALL)
        added = measure(each_database, 1)
        return ids_of(await events_of(stream, subscription, 1)), added

    got, added = asyncio.run(listen())

    assert got == added


def test_a_listener_continues_after_its_position(each_database: Database) -> None:
    stream = stream_of(each_database)
    added = [event_id for _ in range(3) for event_id in measure(each_database, 1)]

    async def listen() -> list[int]:
        [first] = await events_of(stream, await stream.subscribe(LOCAL, BEGINNING, ALL), 1)
        return ids_of(await events_of(stream, await stream.subscribe(LOCAL, position_of(first), ALL), 2))

    assert asyncio.run(listen()) == added[1:]


def test_an_event_both_in_the_database_and_in_the_queue_is_delivered_once(database: Database, stream: Stream) -> None:
    async def listen() -> tuple[list[int], list[int]]:
        subscription = await stream.subscribe(LOCAL, BEGINNING, ALL)
        added = measure(database, 1)
        await until(lambda: not subscription.queue.empty())
        added += measure(database, 1)
        return ids_of(await events_of(stream, subscription, 2)), added

    got, added = asyncio.run(listen())

    assert got == added


@pytest.mark.parametrize("same_transaction", [False, True])
def test_a_position_from_before_a_restored_backup_hides_no_event(
    each_database: Database, same_transaction: bool
) -> None:
    stream = stream_of(each_database)
    measure(each_database, 1)
    newest = Events(each_database, Measurement).latest()
    since = Position(newest.transaction_id, 2**62) if same_transaction else Position(2**62, 1)

    async def listen() -> tuple[list[int], list[int]]:
        subscription = await stream.subscribe(LOCAL, since, ALL)
        added = measure(each_database, 1)
        return added, ids_of(await events_of(stream, subscription, 1))

    added, got = asyncio.run(listen())

    assert got == added


@pytest.mark.parametrize("since", [None, BEGINNING], ids=["from now on", "from the beginning"])
def test_a_listener_gets_only_what_it_chose(each_database: Database, since: Position | None) -> None:
    stream = stream_of(each_database)
    measure(each_database, 2, 1)

    async def listen() -> list[int]:
        subscription = await stream.subscribe(LOCAL, since, SensorChoice({1, 3}))
        measure(each_database, 2, 1, 2, 3)
        return [event.sensor_id for event in await events_of(stream, subscription, 2 if since is None else 3)]

    assert asyncio.run(listen()) == ([1, 3] if since is None else [1, 1, 3])


@pytest.mark.parametrize("since", [None, BEGINNING], ids=["from now on", "from the beginning"])
def test_a_listener_gets_only_events_of_its_owner(database: Database, stream: Stream, since: Position | None) -> None:
    async def listen() -> list[str]:
        measure(database, 1, owner="bob")
        measure(database, 2, owner="ann")
        subscription = await stream.subscribe(ANN, since, SensorChoice({1, 2}))
        for owner in ("bob", "ann", "ann"):
            measure(database, 1, 2, owner=owner)
        return [event.owner for event in await events_of(stream, subscription, 4 if since is None else 5)]

    assert set(asyncio.run(listen())) == {"ann"}


@pytest.mark.parametrize("choice", [ALL, SensorChoice({1, 2})], ids=["all", "some sensors"])
def test_the_reader_passes_on_only_events_of_the_listeners_owner(
    database: Database, stream: Stream, choice: SensorChoice
) -> None:
    async def listen() -> list[str]:
        subscription = await stream.subscribe(ANN, None, choice)
        for owner in ("bob", "ann"):
            measure(database, 1, 2, owner=owner)
        passed = await queued(subscription, 2)
        stream.unsubscribe(subscription)
        return [event.owner for event in passed]

    assert asyncio.run(listen()) == ["ann", "ann"]


def test_who_sees_all_gets_the_events_of_every_owner(database: Database, stream: Stream) -> None:
    async def listen() -> list[str]:
        subscription = await stream.subscribe(LOCAL, None, ALL)
        for owner in ("bob", "ann"):
            measure(database, 1, owner=owner)
        passed = await queued(subscription, 2)
        stream.unsubscribe(subscription)
        return [event.owner for event in passed]

    assert asyncio.run(listen()) == ["bob", "ann"]


def test_as_many_events_as_the_backlog_may_wait(database: Database) -> None:
    stream = stream_of(database, backlog=2)

    async def listen() -> tuple[list[int], list[int]]:
        subscription = await stream.subscribe(LOCAL, None, ALL)
        added = measure(database, 1, 1)
        passed = await queued(subscription, 2)
        stream.unsubscribe(subscription)
        return ids_of(passed), added

    passed, added = asyncio.run(listen())

    assert passed == added


def test_a_listener_that_falls_behind_by_more_than_the_backlog_is_disconnected(database: Database) -> None:
    stream = stream_of(database, backlog=2)

    async def listen() -> None:
        subscription = await stream.subscribe(LOCAL, None, ALL)
        for _ in range(3):
            measure(database, 1)
        await until(has_no_reader)
        await events_of(stream, subscription, 4)

    with pytest.raises(ListenerTooSlowError):
        asyncio.run(listen())


def test_a_listener_gets_its_queued_events_before_it_is_disconnected(database: Database) -> None:
    stream = stream_of(database, backlog=2)

    async def listen() -> tuple[list[int], list[int]]:
        got: list[int] = []
        subscription = await stream.subscribe(LOCAL, None, ALL)
        added = [event_id for _ in range(3) for event_id in measure(database, 1)]
        await until(has_no_reader)
        with pytest.raises(ListenerTooSlowError):
            async for together in stream.follow(subscription):
                got += ids_of(together)
        return got, added

    got, added = asyncio.run(listen())

    assert got == added


def test_a_slow_listener_does_not_affect_a_fast_one(database: Database) -> None:
    live = Events(database, Measurement)
    stream = EventStream(MeasuringAfterReads(database, 1), POLL_SECONDS, 2, live)

    async def listen() -> list[int]:
        got: list[int] = []
        slow = await stream.subscribe(LOCAL, None, ALL)
        fast = await stream.subscribe(LOCAL, None, ALL)
        async with asyncio.timeout(STATE_SECONDS):
            async for together in stream.follow(fast):
                got += ids_of(together)
                if len(got) == 6:
                    break
                measure(database, 1)
        with pytest.raises(ListenerTooSlowError):
            await events_of(stream, slow, 7)
        return got

    got = asyncio.run(listen())

    assert got == ids_of(live.after(BEGINNING, 10))


def test_the_reader_stops_after_the_last_listener(database: Database, stream: Stream) -> None:
    async def listen() -> None:
        subscription = await stream.subscribe(LOCAL, None, ALL)
        measure(database, 1)
        await events_of(stream, subscription, 1)

        await until(has_no_reader)

    asyncio.run(listen())


def test_the_reader_stops_if_its_listener_disconnects_before_it_follows(stream: Stream) -> None:
    async def listen() -> None:
        stream.unsubscribe(await stream.subscribe(LOCAL, None, ALL))

        await until(has_no_reader)

    asyncio.run(listen())


def test_a_listener_gets_new_events_after_the_reader_had_stopped(database: Database, stream: Stream) -> None:
    async def listen() -> tuple[list[int], list[int]]:
        subscription = await stream.subscribe(LOCAL, None, ALL)
        measure(database, 1)
        await events_of(stream, subscription, 1)
        await until(has_no_reader)
        measure(database, 1)
        later = await stream.subscribe(LOCAL, None, ALL)
        added = measure(database, 1)
        return added, ids_of(await events_of(stream, later, 1))

    added, got = asyncio.run(listen())

    assert got == added


def test_a_listener_is_offered_only_events_with_a_key_of_its_choice(database: Database, stream: Stream) -> None:
    asked: list[int] = []

    class Asked(SensorChoice):
        def has(self, event: Measurement) -> bool:
            asked.append(event.sensor_id)
            return super().has(event)

    async def listen() -> None:
        subscription = await stream.subscribe(LOCAL, None, Asked({3}))
        measure(database, 1, 2, 3, 4, 5)
        await queued(subscription, 1)
        stream.unsubscribe(subscription)

    asyncio.run(listen())

    assert set(asked) == {3}


def test_many_listeners_share_one_reader(stream: Stream) -> None:
    async def listen() -> int:
        _subscriptions = [await stream.subscribe(LOCAL, None, ALL) for _ in range(5)]
        return len(asyncio.all_tasks() - {asyncio.current_task()})

    readers = asyncio.run(listen())

    assert readers == 1


def test_many_listeners_get_the_same_event_object(database: Database, stream: Stream) -> None:
    async def listen() -> list[Measurement]:
        subscriptions = [await stream.subscribe(LOCAL, None, choice) for choice in (ALL, SensorChoice({1}))]
        measure(database, 1)
        return [event for subscription in subscriptions for event in await queued(subscription, 1)]

    first, second = asyncio.run(listen())

    assert first is second


def test_a_listener_gets_new_events_after_a_database_outage(each_database: Database) -> None:
    stream = stream_of(each_database)

    async def listen() -> tuple[list[int], list[int]]:
        subscription = await stream.subscribe(LOCAL, None, ALL)
        with capture_logs() as logs, table_away(each_database, "measurements"):
            await until(lambda: any(entry["event"] == "events wait for the database" for entry in logs))
        added = measure(each_database, 1)
        await until(lambda: not subscription.queue.empty())
        return added, ids_of(await events_of(stream, subscription, 1))

    added, got = asyncio.run(listen())

    assert got == added


def test_a_listener_that_comes_during_an_outage_does_not_stay(database: Database, stream: Stream) -> None:
    async def listen() -> None:
        stays = await stream.subscribe(LOCAL, None, ALL)
        with table_away(database, "measurements"), pytest.raises(OperationalError):
            await stream.subscribe(LOCAL, BEGINNING, ALL)
        stream.unsubscribe(stays)

        await until(has_no_reader)

    asyncio.run(listen())


def test_an_owner_has_at_most_as_many_listeners_as_its_limit() -> None:
    listeners = Listeners()
    ann, bob = (Principal(owner, READER, limits=Limits(listeners=2)) for owner in ("ann", "bob"))
    listeners.enter(ann)
    listeners.enter(ann)

    with pytest.raises(DomainError, match="'ann' may have 2 open event streams") as refused:
        listeners.enter(ann)
    listeners.enter(bob)
    listeners.leave(ann)
    listeners.enter(ann)

    assert (refused.value.kind, refused.value.retry_after) == ("too-many-listeners", 5)


def test_listeners_who_come_back_do_not_delay_new_events(database: Database, stream: Stream) -> None:
    freed = threading.Event()

    async def listen() -> tuple[list[int], list[int]]:
        subscription = await stream.subscribe(LOCAL, None, ALL)
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))
        busy = loop.run_in_executor(None, freed.wait)
        try:
            added = measure(database, 1)
            return added, ids_of(await queued(subscription, 1))
        finally:
            freed.set()
            await busy
            stream.unsubscribe(subscription)

    added, got = asyncio.run(listen())

    assert got == added
