"""Many listeners to the changes of tasks, with one reader of the database."""

import asyncio
from collections.abc import AsyncIterator, Collection

import structlog
from sqlalchemy.exc import SQLAlchemyError

from image_processor.models import TaskEvent
from image_processor.services.events import Position, TaskEvents, position_of

log = structlog.get_logger()

PAGE = 1000


class ListenerTooSlowError(Exception):
    """The listener did not take its events in time; it may come back with the last position it saw."""


class EventStream:
    """Reads new events while anybody listens, and hands them to every listener.

    :param poll_seconds: between two looks at the database.
    :param backlog: how many events wait for a listener at most.
    """

    def __init__(self, events: TaskEvents, poll_seconds: float, backlog: int) -> None:
        self._events = events
        self._poll_seconds = poll_seconds
        self._backlog = backlog
        self._listeners: set[asyncio.Queue[TaskEvent]] = set()
        self._dropped: set[asyncio.Queue[TaskEvent]] = set()
        self._position: Position | None = None
        self._reader: asyncio.Task[None] | None = None

    async def listen(self, since: Position | None, task_ids: Collection[int]) -> AsyncIterator[TaskEvent]:
        """The events behind ``since`` (or from now on), of all tasks or of ``task_ids`` only; never ends.

        :raises ListenerTooSlowError: the listener fell behind by more than the backlog.
        """
        queue: asyncio.Queue[TaskEvent] = asyncio.Queue(self._backlog)
        await self._join(queue)
        seen = since or self._position or Position(0, 0)
        try:
            # What came before the queue is in the database; what is in both is told once.
            while earlier := await asyncio.to_thread(self._events.after, seen, PAGE, task_ids):
                for event in earlier:
                    seen = position_of(event)
                    yield event
            while queue not in self._dropped or not queue.empty():
                event = await queue.get()
                if position_of(event) > seen and (not task_ids or event.task_id in task_ids):
                    yield event
            raise ListenerTooSlowError
        finally:
            self._listeners.discard(queue)
            self._dropped.discard(queue)

    async def _join(self, queue: "asyncio.Queue[TaskEvent]") -> None:
        if self._reader is None or self._reader.done():
            self._position = await asyncio.to_thread(self._events.latest)
            self._reader = asyncio.create_task(self._read())
        self._listeners.add(queue)

    async def _read(self) -> None:
        await asyncio.sleep(0)
        while self._listeners:
            try:
                news = await asyncio.to_thread(self._events.after, self._position or Position(0, 0), PAGE)
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
