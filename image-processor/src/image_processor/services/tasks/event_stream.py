"""The event stream: one reader of the database for many listeners."""

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
"""Events read by one query, at most."""
MAX_IDS = 1000
"""Task ids in a listener's filter, at most."""


class ListenerTooSlowError(Exception):
    """The listener fell too far behind; it may subscribe again at the last position that it saw."""


@dataclass
class Subscription:
    """A listener's position in the stream: it has received the events up to ``seen``."""

    seen: Position
    task_ids: Collection[int]
    queue: asyncio.Queue[TaskEvent]


class EventStream:
    """Reads new events while there are listeners, and passes them to every listener.

    :param poll_seconds: between two queries.
    :param backlog: events that wait for a listener, at most.
    """

    def __init__(self, events: TaskEvents, poll_seconds: float, backlog: int) -> None:
        self._events = events
        self._poll_seconds = poll_seconds
        self._backlog = backlog
        # Weak references: a listener that disconnects before its first event needs no cleanup.
        self._listeners: WeakSet[asyncio.Queue[TaskEvent]] = WeakSet()
        self._dropped: WeakSet[asyncio.Queue[TaskEvent]] = WeakSet()
        self._position = Position(0, 0)
        self._reader: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()

    async def subscribe(self, since: Position | None, task_ids: Collection[int]) -> Subscription:
        """Subscribe to the events after ``since``, or to new ones; of all tasks, or of ``task_ids`` only.

        A position after the newest event comes from before a backup was restored; it counts as "new ones only".
        """
        queue: asyncio.Queue[TaskEvent] = asyncio.Queue(self._backlog)
        async with self._starting:
            if self._reader is None or self._reader.done():
                self._position = await asyncio.to_thread(self._events.latest)
                self._reader = asyncio.create_task(self._read())
            self._listeners.add(queue)
        seen = self._position if since is None else min(since, await asyncio.to_thread(self._events.latest))
        return Subscription(seen, task_ids, queue)

    async def follow(self, subscription: Subscription) -> AsyncIterator[TaskEvent]:
        """Yield the events of a subscription as they are committed; never return.

        :raises ListenerTooSlowError: the listener fell behind by more than the backlog.
        """
        queue, task_ids = subscription.queue, subscription.task_ids
        try:
            # Events from before the subscription are in the database only; those also in the queue are skipped below.
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
        await asyncio.sleep(0)  # until the first listener is added
        while self._listeners:
            try:
                events = await asyncio.to_thread(self._events.after, self._position, PAGE)
            except SQLAlchemyError as error:
                log.warning("events wait for the database", error=str(error))
                events = []
            for event in events:
                self._position = position_of(event)
                self._pass_on(event)
            if len(events) < PAGE:
                await asyncio.sleep(self._poll_seconds)

    def _pass_on(self, event: TaskEvent) -> None:
        for queue in list(self._listeners):
            try:
                queue.put_nowait(event)
            except asyncio.QueueFull:
                self._listeners.discard(queue)
                self._dropped.add(queue)
