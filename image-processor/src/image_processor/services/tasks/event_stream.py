"""Many listeners to the changes of tasks, with one reader of the database."""

import asyncio
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from weakref import WeakSet

import structlog
from sqlalchemy.exc import SQLAlchemyError

from image_processor.models import TaskEvent
from image_processor.services.tasks.events import Position, TaskEvents, position_of

log = structlog.get_logger()

PAGE = 1000
MAX_IDS = 1000
"""So many tasks a listener may choose."""


class ListenerTooSlowError(Exception):
    """The listener did not take its events in time; it may come back with the last position it saw."""


@dataclass
class Subscription:
    """A listener's place in the stream: what is told next comes behind ``seen``."""

    seen: Position
    task_ids: Collection[int]
    queue: asyncio.Queue[TaskEvent]


class EventStream:
    """Reads new events while anybody listens, and hands them to every listener.

    :param poll_seconds: between two looks at the database.
    :param backlog: how many events wait for a listener at most.
    """

    def __init__(self, events: TaskEvents, poll_seconds: float, backlog: int) -> None:
        self._events = events
        self._poll_seconds = poll_seconds
        self._backlog = backlog
        # Weak: a listener that went away before it was told anything leaves nothing behind.
        self._listeners: WeakSet[asyncio.Queue[TaskEvent]] = WeakSet()
        self._dropped: WeakSet[asyncio.Queue[TaskEvent]] = WeakSet()
        self._position = Position(0, 0)
        self._reader: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()

    async def subscribe(self, since: Position | None, task_ids: Collection[int]) -> Subscription:
        """A place behind ``since``, or from now on; of all tasks, or of ``task_ids`` only.

        A place that no event has reached was told by another database, before a backup was restored: from now on.
        """
        queue: asyncio.Queue[TaskEvent] = asyncio.Queue(self._backlog)
        async with self._starting:
            if self._reader is None or self._reader.done():
                self._position = await asyncio.to_thread(self._events.latest)
                self._reader = asyncio.create_task(self._read())
            self._listeners.add(queue)
        begin = self._position if since is None else min(since, await asyncio.to_thread(self._events.latest))
        return Subscription(begin, task_ids, queue)

    async def follow(self, subscription: Subscription) -> AsyncIterator[TaskEvent]:
        """The events of a subscription, as they are committed; never ends by itself.

        :raises ListenerTooSlowError: the listener fell behind by more than the backlog.
        """
        queue, task_ids = subscription.queue, subscription.task_ids
        try:
            # What came before the queue is in the database; what is in both is told once.
            while earlier := await asyncio.to_thread(self._events.after, subscription.seen, PAGE, task_ids):
                for event in earlier:
                    subscription.seen = position_of(event)
                    yield event
            while queue not in self._dropped or not queue.empty():
                event = await queue.get()
                if position_of(event) > subscription.seen and (not task_ids or event.task_id in task_ids):
                    yield event
            raise ListenerTooSlowError
        finally:
            self._listeners.discard(queue)
            self._dropped.discard(queue)

    async def _read(self) -> None:
        await asyncio.sleep(0)  # until whoever started it listens
        while self._listeners:
            try:
                news = await asyncio.to_thread(self._events.after, self._position, PAGE)
            except SQLAlchemyError as error:
                log.warning("events wait for the database", error=str(error))
                news = []
            for event in news:
                self._position = position_of(event)
                self._hand_out(event)
            if len(news) < PAGE:
                await asyncio.sleep(self._poll_seconds)

    def _hand_out(self, event: TaskEvent) -> None:
        for queue in list(self._listeners):
            try:
                queue.put_nowait(event)
            except asyncio.QueueFull:
                self._listeners.discard(queue)
                self._dropped.add(queue)
