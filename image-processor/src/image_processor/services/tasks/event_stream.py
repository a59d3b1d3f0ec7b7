"""The event stream: one reader of the database for many listeners."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from weakref import WeakSet

import structlog
from service_kit.access.principals import Principal
from service_kit.errors import DomainError
from service_kit.texts import sentence
from sqlalchemy.exc import SQLAlchemyError

from image_processor.models import TaskEvent
from image_processor.services.tasks.events import Position, TaskEvents, position_of

log = structlog.get_logger()

PAGE = 1000
"""Events read by one query, at most."""
MAX_IDS = 1000
"""Task ids in a listener's filter, at most."""
RETRY_SECONDS = 5
"""When a client may try again whose owner has too many listeners."""


class ListenerTooSlowError(Exception):
    """The listener fell too far behind; it may subscribe again at the last position that it saw."""


@dataclass
class Subscription:
    """A listener's position in the stream: it has received the events up to ``seen``.

    :param owner: only this owner's tasks; ``None`` for all.
    :param task_ids: only these tasks; empty for all.
    """

    seen: Position
    owner: str | None
    task_ids: Collection[int]
    queue: asyncio.Queue[TaskEvent]

    def wants(self, event: TaskEvent) -> bool:
        """Return whether the listener gets the event."""
        is_visible = self.owner is None or event.owner == self.owner
        return is_visible and (not self.task_ids or event.task_id in self.task_ids)


class Listeners:
    """Counts the open streams of each owner. One process serves all streams, so the limits hold exactly."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def enter(self, principal: Principal) -> None:
        """Count a listener; call :meth:`leave` when it has gone.

        :raises DomainError: ``too-many-listeners``; then it is not counted.
        """
        limit = principal.limits.listeners
        if limit is not None and self._counts[principal.owner] >= limit:
            detail = sentence(
                "The owner '{owner}' may have {limit} open event streams; close one first.",
                owner=principal.owner,
                limit=limit,
            )
            raise DomainError("too-many-listeners", detail, retry_after=RETRY_SECONDS)
        self._counts[principal.owner] += 1

    def leave(self, principal: Principal) -> None:
        """Count a listener no more."""
        self._counts[principal.owner] -= 1
        if not self._counts[principal.owner]:
            del self._counts[principal.owner]


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

    async def subscribe(self, principal: Principal, since: Position | None, task_ids: Collection[int]) -> Subscription:
        """Subscribe to the events after ``since``, or to new ones; of all visible tasks, or of ``task_ids`` only.

        A position after the newest event comes from before a backup was restored; it counts as "new ones only".
        """
        queue: asyncio.Queue[TaskEvent] = asyncio.Queue(self._backlog)
        async with self._starting:
            if self._reader is None or self._reader.done():
                self._position = await asyncio.to_thread(self._events.latest)
                self._reader = asyncio.create_task(self._read())
            self._listeners.add(queue)
        seen = self._position if since is None else min(since, await asyncio.to_thread(self._events.latest))
        return Subscription(seen, None if principal.sees_all else principal.owner, task_ids, queue)

    async def follow(self, subscription: Subscription) -> AsyncIterator[TaskEvent]:
        """Yield the events of a subscription as they are committed; never return.

        :raises ListenerTooSlowError: the listener fell behind by more than the backlog.
        """
        queue, owner, task_ids = subscription.queue, subscription.owner, subscription.task_ids
        try:
            # Events from before the subscription are in the database only; those also in the queue are skipped below.
            while earlier := await asyncio.to_thread(self._events.after, subscription.seen, PAGE, task_ids, owner):
                for event in earlier:
                    subscription.seen = position_of(event)
                    yield event
            while queue not in self._dropped or not queue.empty():
                event = await queue.get()
                if position_of(event) > subscription.seen and subscription.wants(event):
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
