"""Each change of a task is an event in the stream, and a listener chooses tasks or a batch."""

import asyncio
from collections.abc import Collection
from contextlib import aclosing

import pytest
from image_processor.models import Task, TaskEvent, TaskStatus
from image_processor.services.tasks.event_choice import TaskChoice
from service_kit.access.principals import LOCAL
from service_kit.database import Database
from service_kit.events.rows import Events, Position
from service_kit.events.stream import EventStream, Subscription
from sqlalchemy import insert, update

from tests.support.waiting import STATE_SECONDS

BEGINNING = Position(0, 0)
POLL_SECONDS = 0.005


@pytest.fixture
def stream(database: Database) -> EventStream[TaskEvent]:
    return EventStream(Events(database, TaskEvent), POLL_SECONDS, backlog=100)


def add_task(database: Database) -> int:
    with database.write() as session:
        statement = insert(Task).values(source_id=1, algorithm="flip").returning(Task.id)
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


def test_a_listener_gets_every_change_in_order(database: Database, stream: EventStream[TaskEvent]) -> None:
    async def listen() -> tuple[list[TaskEvent], list[tuple[int, str]]]:
        subscription = await stream.subscribe(LOCAL, None, TaskChoice())
        first, second = add_task(database), add_task(database)
        change(database, second, "processing", "finished")
        change(database, first, "processing")
        expected = [(first, "pending"), (second, "pending"), (second, "processing"), (second, "finished")]
        return await events_of(stream, subscription, 5), [*expected, (first, "processing")]

    events, expected = asyncio.run(listen())

    assert [(event.task_id, event.status) for event in events] == expected


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


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        (TaskChoice({1, 3}), [1, 3]),
        (TaskChoice(batch_id=7), [1, 2, 0]),
        (TaskChoice({1, 3}, batch_id=7), [1]),
        (TaskChoice({4}), []),
    ],
)
def test_the_stream_finds_the_listener_of_an_event_by_one_key(choice: TaskChoice, wanted: Collection[int]) -> None:
    events = [event(1, 7), event(2, 7), event(3, None), event(0, 7), event(5, 8)]

    has = [event.task_id for event in events if choice.has(event)]
    shared = {event.task_id: len(set(event.keys()) & set(choice.keys())) for event in events}

    assert has == wanted
    assert [shared[task_id] for task_id in wanted] == [1] * len(wanted)
    assert shared[5] == 0


def event(task_id: int, batch_id: int | None) -> TaskEvent:
    return TaskEvent(task_id=task_id, batch_id=batch_id, status=TaskStatus.PENDING)
