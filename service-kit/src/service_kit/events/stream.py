"""The event stream: one reader of the database for many listeners."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Generic
from weakref import WeakSet

import structlog
from sqlalchemy.exc import SQLAlchemyError

from service_kit.access.principals import Principal
from service_kit.errors import DomainError
from service_kit.events.rows import AnyEvent, Choice, Events, Position, position_of
from service_kit.texts import sentence

log = structlog.get_logger()

PAGE = 1000
"""Events read by one query, at most."""
RETRY_SECONDS = 5
"""When a client may try again whose owner has too many listeners."""


class ListenerTooSlowError(Exception):
    """The listener fell too far behind; it may subscribe again at the last position that it saw."""


@dataclass
class Subscription(Generic[AnyEvent]):
    """A listener's position in the stream: it has received the events up to ``seen``.

    :param owner: only this owner's events; ``None`` for all.
    """

    seen: Position
    owner: str | None
    choice: Choice[AnyEvent]
    queue: asyncio.Queue[AnyEvent]

    def wants(self, event: AnyEvent) -> bool:
        """Return whether the listener gets the event."""
        is_visible = self.owner is None or event.owner == self.owner
        return is_visible and self.choice.has(event)


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


class EventStream(Generic[AnyEvent]):
    """Reads new events while there are listeners, and passes them to every listener.

    :param poll_seconds: between two queries.
    :param backlog: events that wait for a listener, at most.
    """

    def __init__(self, events: Events[AnyEvent], poll_seconds: float, backlog: int) -> None:
        self._events = events
        self._poll_seconds = poll_seconds
        self._backlog = backlog
        # Weak references: a listener that disconnects before its first event needs no cleanup.
        self._listeners: WeakSet[asyncio.Queue[AnyEvent]] = WeakSet()
        self._dropped: WeakSet[asyncio.Queue[AnyEvent]] = WeakSet()
        self._position = Position(0, 0)
        self._reader: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()

    async def subscribe(
        self, principal: Principal, since: Position | None, choice: Choice[AnyEvent]
    ) -> Subscription[AnyEvent]:
        """Subscribe to those of ``choice`` that the principal sees, after ``since``, or new ones only.

        A position after the newest event comes from before a backup was restored; it counts as "new ones only".
        """
        queue: asyncio.Queue[AnyEvent] = asyncio.Queue(self._backlog)
        async with self._starting:
            if self._reader is None or self._reader.done():
                self._position = await asyncio.to_thread(self._events.latest)
                self._reader = asyncio.create_task(self._read())
            self._listeners.add(queue)
        seen = self._position if since is None else min(since, await asyncio.to_thread(self._events.latest))
        return Subscription(seen, None if principal.sees_all else principal.owner, choice, queue)

    async def follow(self, subscription: Subscription[AnyEvent]) -> AsyncIterator[AnyEvent]:
        """Yield the events of a subscription as they are committed; never return.

        :raises ListenerTooSlowError: the listener fell behind by more than the backlog.
        """
        queue, owner, choice = subscription.queue, subscription.owner, subscription.choice
        try:
            # Events from before the subscription are in the database only; those also in the queue are skipped below.
            while earlier := await asyncio.to_thread(self._events.after, subscription.seen, PAGE, choice, owner):
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

    def _pass_on(self, event: AnyEvent) -> None:
        for queue in list(self._listeners):
            try:
                queue.put_nowait(event)
            except asyncio.QueueFull:
                self._listeners.discard(queue)
                self._dropped.add(queue)
