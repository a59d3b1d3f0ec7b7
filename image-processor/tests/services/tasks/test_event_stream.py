"""The event stream delivers every change in order, from a listener's position; a slow listener affects no other."""

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing

import pytest
from image_processor.models import Task, TaskEvent
from image_processor.services.tasks.events import TaskChoice
from service_kit.access.principals import LOCAL, READER, Limits, Principal
from service_kit.database import Database
from service_kit.errors import DomainError
from service_kit.events.rows import Events, Position, position_of
from service_kit.events.stream import EventStream, Listeners, ListenerTooSlowError, Subscription
from sqlalchemy import insert, update
from structlog.testing import capture_logs

from tests.support.tables import table_away
from tests.support.waiting import STATE_SECONDS

ALL = TaskChoice()
BEGINNING = Position(0, 0)
POLL_SECONDS = 0.005
LATER = 0.02
"""Seconds until a listener has read all events from the database and waits for new ones."""

Change = tuple[int, str]


@pytest.fixture
def stream(database: Database) -> EventStream[TaskEvent]:
    return EventStream(Events(database, TaskEvent), POLL_SECONDS, backlog=100)


def add_task(database: Database, owner: str = "local") -> int:
    with database.write() as session:
        statement = insert(Task).values(source_id=1, algorithm="flip", owner=owner).returning(Task.id)
        return session.execute(statement).scalar_one()


def change(database: Database, task_id: int, *statuses: str) -> None:
    for status in statuses:
        with database.write() as session:
            session.execute(update(Task).where(Task.id == task_id).values(status=status))


async def events_of(
    stream: EventStream[TaskEvent], subscription: Subscription[TaskEvent], count: int
) -> list[TaskEvent]:
    """Return the next events of a subscription, and end it."""
    events: list[TaskEvent] = []
    async with asyncio.timeout(STATE_SECONDS), aclosing(stream.follow(subscription)) as following:  # type: ignore[type-var]
        async for together in following:
            events += together
            if len(events) >= count:
                break
    return events[:count]


def changes_in(events: Collection[TaskEvent]) -> list[Change]:
    return [(event.task_id, event.status) for event in events]


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + STATE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the condition did not become true in time"
        await asyncio.sleep(0.005)


def has_no_reader() -> bool:
    """Return whether the event loop runs only the test's own task."""
    return asyncio.all_tasks() == {asyncio.current_task()}


def test_a_listener_gets_every_change_in_order(database: Database, stream: EventStream[TaskEvent]) -> None:
    async def listen() -> tuple[list[TaskEvent], list[Change]]:
        subscription = await stream.subscribe(LOCAL, None, ALL)
        first, second = add_task(database), add_task(database)
        change(database, second, "processing", "finished")
        change(database, first, "processing")
        expected = [(first, "pending"), (second, "pending"), (second, "processing"), (second, "finished")]
        return await events_of(stream, subscription, 5), [*expected, (first, "processing")]

    events, expected = asyncio.run(listen())

    assert changes_in(events) == expected


def test_a_listener_gets_changes_made_while_it_follows(database: Database, stream: EventStream[TaskEvent]) -> None:
    task_id = add_task(database)

    async def listen() -> list[TaskEvent]:
        subscription = await stream.subscribe(LOCAL, BEGINNING, ALL)
        events: list[TaskEvent] = []
        async with asyncio.timeout(STATE_SECONDS):
            async for together in stream.follow(subscription):
                events += together
                if len(events) == 3:
                    break
                status = "processing" if len(events) == 1 else "finished"
                asyncio.get_running_loop().call_later(LATER, change, database, task_id, status)
        return events

    events = asyncio.run(listen())

    assert [event.status for event in events] == ["pending", "processing", "finished"]


def test_a_listener_without_a_position_gets_only_new_changes(
    database: Database, stream: EventStream[TaskEvent]
) -> None:
    earlier = add_task(database)

    async def listen() -> list[TaskEvent]:
        subscription = await stream.subscribe(LOCAL, None, ALL)
        change(database, earlier, "processing")
        return await events_of(stream, subscription, 1)

    events = asyncio.run(listen())

    assert changes_in(events) == [(earlier, "processing")]


def test_a_listener_continues_after_its_position(database: Database, stream: EventStream[TaskEvent]) -> None:
    task_id = add_task(database)
    change(database, task_id, "processing", "finished")

    async def listen() -> list[TaskEvent]:
        [first] = await events_of(stream, await stream.subscribe(LOCAL, BEGINNING, ALL), 1)
        return await events_of(stream, await stream.subscribe(LOCAL, position_of(first), ALL), 2)

    events = asyncio.run(listen())

    assert [event.status for event in events] == ["processing", "finished"]


def test_a_change_both_in_the_database_and_in_the_queue_is_delivered_once(
    database: Database, stream: EventStream[TaskEvent]
) -> None:
    async def listen() -> list[TaskEvent]:
        subscription = await stream.subscribe(LOCAL, BEGINNING, ALL)
        task_id = add_task(database)
        await until(lambda: not subscription.queue.empty())
        change(database, task_id, "processing")
        return await events_of(stream, subscription, 2)

    events = asyncio.run(listen())

    assert [event.status for event in events] == ["pending", "processing"]


@pytest.mark.parametrize("since", [None, BEGINNING], ids=["from now on", "from the beginning"])
def test_a_listener_gets_only_the_tasks_it_chose(
    database: Database, stream: EventStream[TaskEvent], since: Position | None
) -> None:
    chosen, other = add_task(database), add_task(database)

    async def listen() -> list[TaskEvent]:
        subscription = await stream.subscribe(LOCAL, since, TaskChoice({chosen}))
        for task_id in (other, chosen):
            change(database, task_id, "processing", "finished")
        return await events_of(stream, subscription, 2 if since is None else 3)

    events = asyncio.run(listen())

    assert {event.task_id for event in events} == {chosen}


@pytest.mark.parametrize("since", [None, BEGINNING], ids=["from now on", "from the beginning"])
def test_a_listener_gets_only_the_tasks_of_its_batch(
    database: Database, stream: EventStream[TaskEvent], since: Position | None
) -> None:
    chosen, other, alone = add_task(database), add_task(database), add_task(database)
    with database.write() as session:
        session.execute(update(Task).where(Task.id.in_([chosen, other])).values(batch_id=Task.id + 100))

    async def listen() -> list[TaskEvent]:
        subscription = await stream.subscribe(LOCAL, since, TaskChoice(batch_id=chosen + 100))
        for task_id in (other, alone, chosen):
            change(database, task_id, "processing", "finished")
        return await events_of(stream, subscription, 2)

    events = asyncio.run(listen())

    assert {(event.task_id, event.batch_id) for event in events} == {(chosen, chosen + 100)}


def test_a_listener_gets_only_the_tasks_it_chose_while_it_follows(
    database: Database, stream: EventStream[TaskEvent]
) -> None:
    chosen, other = add_task(database), add_task(database)
    statuses = itertools.cycle(["processing", "pending"])

    def change_both() -> None:
        status = next(statuses)
        change(database, other, status)
        change(database, chosen, status)

    async def listen() -> list[TaskEvent]:
        events: list[TaskEvent] = []
        subscription = await stream.subscribe(LOCAL, BEGINNING, TaskChoice({chosen}))
        async with asyncio.timeout(STATE_SECONDS):
            async for together in stream.follow(subscription):
                events += together
                if position_of(together[-1]) > subscription.seen:
                    break  # it came from the queue instead of the database
                asyncio.get_running_loop().call_later(LATER, change_both)
        return events

    events = asyncio.run(listen())

    assert {event.task_id for event in events} == {chosen}


@pytest.mark.parametrize("since", [Position(0, 2**62), Position(2**62, 1)])
def test_a_position_from_before_a_restored_backup_hides_no_change(
    database: Database, stream: EventStream[TaskEvent], since: Position
) -> None:
    add_task(database)

    async def listen() -> tuple[int, list[TaskEvent]]:
        subscription = await stream.subscribe(LOCAL, since, ALL)
        task_id = add_task(database)
        return task_id, await events_of(stream, subscription, 1)

    task_id, events = asyncio.run(listen())

    assert changes_in(events) == [(task_id, "pending")]


def test_a_listener_that_falls_behind_by_more_than_the_backlog_is_disconnected(database: Database) -> None:
    stream = EventStream(Events(database, TaskEvent), POLL_SECONDS, backlog=2)

    async def listen() -> None:
        subscription = await stream.subscribe(LOCAL, None, ALL)
        for _ in range(3):
            add_task(database)
        await until(has_no_reader)
        await events_of(stream, subscription, 4)

    with pytest.raises(ListenerTooSlowError):
        asyncio.run(listen())


def test_a_listener_gets_its_queued_changes_before_it_is_disconnected(database: Database) -> None:
    stream = EventStream(Events(database, TaskEvent), POLL_SECONDS, backlog=2)

    async def listen() -> list[int]:
        seen: list[int] = []
        subscription = await stream.subscribe(LOCAL, None, ALL)
        for _ in range(3):
            add_task(database)
        await until(has_no_reader)
        with pytest.raises(ListenerTooSlowError):
            async for together in stream.follow(subscription):
                seen += [event.id for event in together]
        return seen

    seen = asyncio.run(listen())

    assert seen == [1, 2, 3]


def test_a_slow_listener_does_not_affect_a_fast_one(database: Database) -> None:
    stream = EventStream(Events(database, TaskEvent), POLL_SECONDS, backlog=2)

    async def listen() -> list[int]:
        _slow = await stream.subscribe(LOCAL, None, ALL)
        fast = await stream.subscribe(LOCAL, None, ALL)
        seen: list[int] = []
        add_task(database)
        async with asyncio.timeout(STATE_SECONDS):
            async for together in stream.follow(fast):
                seen += [event.task_id for event in together]
                if len(seen) == 6:
                    break
                asyncio.get_running_loop().call_later(LATER, add_task, database)
        return seen

    seen = asyncio.run(listen())

    assert seen == [1, 2, 3, 4, 5, 6]


def test_the_reader_stops_after_the_last_listener(database: Database, stream: EventStream[TaskEvent]) -> None:
    async def listen() -> None:
        subscription = await stream.subscribe(LOCAL, None, ALL)
        add_task(database)
        await events_of(stream, subscription, 1)

        await until(has_no_reader)

    asyncio.run(listen())


def test_the_reader_stops_if_its_listener_disconnects_before_it_follows(
    database: Database, stream: EventStream[TaskEvent]
) -> None:
    async def listen() -> None:
        stream.unsubscribe(await stream.subscribe(LOCAL, None, ALL))

        await until(has_no_reader)

    asyncio.run(listen())


def test_a_listener_gets_new_changes_after_the_reader_had_stopped(
    database: Database, stream: EventStream[TaskEvent]
) -> None:
    async def listen() -> tuple[int, list[TaskEvent]]:
        subscription = await stream.subscribe(LOCAL, None, ALL)
        add_task(database)
        await events_of(stream, subscription, 1)
        await until(has_no_reader)
        add_task(database)
        later = await stream.subscribe(LOCAL, None, ALL)
        task_id = add_task(database)
        return task_id, await events_of(stream, later, 1)

    task_id, events = asyncio.run(listen())

    assert changes_in(events) == [(task_id, "pending")]


def test_a_listener_is_offered_only_events_with_a_key_of_its_choice(
    database: Database, stream: EventStream[TaskEvent]
) -> None:
    asked: list[int] = []

    class Asked(TaskChoice):
        def has(self, event: TaskEvent) -> bool:
            asked.append(event.task_id)
            return super().has(event)

    chosen, *others = (add_task(database) for _ in range(5))

    def change_all() -> None:
        for task_id in (*others, chosen):
            change(database, task_id, "processing")

    async def listen() -> None:
        subscription = await stream.subscribe(LOCAL, None, Asked({chosen}))
        asyncio.get_running_loop().call_later(10 * LATER, change_all)
        await events_of(stream, subscription, 1)

    asyncio.run(listen())

    assert set(asked) == {chosen}


def test_many_listeners_share_one_reader(stream: EventStream[TaskEvent]) -> None:
    async def listen() -> int:
        _subscriptions = [await stream.subscribe(LOCAL, None, ALL) for _ in range(5)]
        return len(asyncio.all_tasks() - {asyncio.current_task()})

    readers = asyncio.run(listen())

    assert readers == 1


def test_a_listener_gets_changes_after_a_database_outage(database: Database, stream: EventStream[TaskEvent]) -> None:
    async def listen() -> tuple[int, list[TaskEvent]]:
        subscription = await stream.subscribe(LOCAL, None, ALL)
        with capture_logs() as logs, table_away(database, "task_events"):
            await until(lambda: any(entry["event"] == "events wait for the database" for entry in logs))
        task_id = add_task(database)
        await until(lambda: not subscription.queue.empty())
        return task_id, await events_of(stream, subscription, 1)

    task_id, events = asyncio.run(listen())

    assert changes_in(events) == [(task_id, "pending")]


@pytest.mark.parametrize("since", [None, BEGINNING], ids=["from now on", "from the beginning"])
def test_a_listener_gets_only_the_tasks_of_its_owner(
    database: Database, stream: EventStream[TaskEvent], since: Position | None
) -> None:
    own, other = add_task(database, "ann"), add_task(database, "bob")

    async def listen() -> list[TaskEvent]:
        subscription = await stream.subscribe(Principal("ann", READER), since, TaskChoice({own, other}))
        for task_id in (other, own):
            change(database, task_id, "processing", "finished")
        return await events_of(stream, subscription, 2 if since is None else 3)

    events = asyncio.run(listen())

    assert {event.task_id for event in events} == {own}


@pytest.mark.parametrize("names_the_tasks", [False, True])
def test_a_listener_gets_only_the_tasks_of_its_owner_while_it_follows(
    database: Database, stream: EventStream[TaskEvent], names_the_tasks: bool
) -> None:
    own, other = add_task(database, "ann"), add_task(database, "bob")
    choice = TaskChoice({own, other}) if names_the_tasks else ALL

    async def listen() -> list[TaskEvent]:
        subscription = await stream.subscribe(Principal("ann", READER), None, choice)
        asyncio.get_running_loop().call_later(LATER, change, database, other, "processing")
        asyncio.get_running_loop().call_later(2 * LATER, change, database, own, "processing")
        return await events_of(stream, subscription, 1)

    events = asyncio.run(listen())

    assert changes_in(events) == [(own, "processing")]


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


def test_listeners_who_come_back_do_not_delay_new_events(database: Database, stream: EventStream[TaskEvent]) -> None:
    freed = threading.Event()

    async def listen() -> tuple[int, list[TaskEvent]]:
        subscription = await stream.subscribe(LOCAL, None, ALL)
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))
        busy = loop.run_in_executor(None, freed.wait)
        try:
            task_id = add_task(database)
            async with asyncio.timeout(STATE_SECONDS):
                return task_id, list(await subscription.queue.get())
        finally:
            freed.set()
            await busy
            stream.unsubscribe(subscription)

    task_id, events = asyncio.run(listen())

    assert changes_in(events) == [(task_id, "pending")]
