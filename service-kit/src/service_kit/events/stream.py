"""The event stream: one reader of the database serves many listeners."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, TypeVar

import structlog
from sqlalchemy.exc import SQLAlchemyError

from service_kit.access.principals import Principal
from service_kit.errors import DomainError
from service_kit.events.rows import AnyEvent, Choice, Events, Key, Position, position_of
from service_kit.texts import counted

log = structlog.get_logger()

_Read = TypeVar("_Read")

PAGE = 1000
"""Maximum number of events that one query reads."""
_EVERY: Key = ("every", 0)
"""The key that every event has."""
RETRY_SECONDS = 5
"""Seconds after which a client may retry when its owner has too many listeners."""


class ListenerTooSlowError(Exception):
    """The listener fell too far behind; it may subscribe again from the last position that it saw."""


@dataclass(eq=False)
class Subscription(Generic[AnyEvent]):
    """A listener's position in the stream: it has received all events up to ``seen``.

    :param owner: send only this owner's events; ``None`` for all.
    """

    seen: Position
    owner: str | None
    choice: Choice[AnyEvent]
    queue: asyncio.Queue[Sequence[AnyEvent]] = field(default_factory=asyncio.Queue)
    waiting: int = 0
    """Number of events in the queue."""
    keys: Collection[Key] = field(init=False)
    """Keys such that each wanted event has exactly one of them."""

    def __post_init__(self) -> None:
        self.keys = self.choice.keys() or [_EVERY if self.owner is None else ("owner", self.owner)]

    def wants(self, event: AnyEvent) -> bool:
        """Return whether the listener gets the event."""
        is_visible = self.owner is None or event.owner == self.owner
        return is_visible and self.choice.has(event)


class Listeners:
    """Counts each owner's open streams of one kind of events, all of which one process serves."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def enter(self, principal: Principal) -> None:
        """Count a new listener; call :meth:`leave` when it disconnects.

        :raises DomainError: ``too-many-listeners``; the listener is not counted.
        """
        limit = principal.limits.listeners
        if limit is not None and self._counts[principal.owner] >= limit:
            detail = counted(
                "The owner '{owner}' may have {limit} open event stream; close one first.",
                "The owner '{owner}' may have {limit} open event streams; close one first.",
                "limit",
                owner=principal.owner,
                limit=limit,
            )
            raise DomainError("too-many-listeners", detail, retry_after=RETRY_SECONDS)
        self._counts[principal.owner] += 1

    def leave(self, principal: Principal) -> None:
        """Stop counting a listener."""
        self._counts[principal.owner] -= 1
        if not self._counts[principal.owner]:
            del self._counts[principal.owner]


class EventStream(Generic[AnyEvent]):
    """Reads new events while there are listeners, and passes them to every listener.

    :param poll_seconds: delay between two queries.
    :param backlog: maximum number of events that wait for a listener.
    :param live: reads the new events, over a connection that returning listeners cannot occupy.
    """

    def __init__(
        self, events: Events[AnyEvent], poll_seconds: float, backlog: int, live: Events[AnyEvent] | None = None
    ) -> None:
        self._events = events
        self._live = live or events
        # The event loop's threads read for returning listeners, and check keys: after a restart there are many.
        self._live_thread = ThreadPoolExecutor(1, thread_name_prefix="live events")
        self._poll_seconds = poll_seconds
        self._backlog = backlog
        self._listeners: set[Subscription[AnyEvent]] = set()
        # Group listeners by key: most listeners want only a few tasks, and comparing each event with each listener
        # would be slow.
        self._by_key: dict[Key, set[Subscription[AnyEvent]]] = {}
        self._position = Position(0, 0)
        self._reader: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()

    async def subscribe(
        self, principal: Principal, since: Position | None, choice: Choice[AnyEvent]
    ) -> Subscription[AnyEvent]:
        """Subscribe to the events of ``choice`` that the principal may see, after ``since`` or from now on.

        A position after the newest event is from before a backup was restored, and means "from now on". Call
        :meth:`unsubscribe` at the end.
        """
        subscription = Subscription(Position(0, 0), None if principal.sees_all else principal.owner, choice)
        async with self._starting:
            if self._reader is None or self._reader.done():
                self._position = await self._in_live_thread(self._live.latest)
                self._reader = asyncio.create_task(self._read())
            self._listeners.add(subscription)
            for key in subscription.keys:
                self._by_key.setdefault(key, set()).add(subscription)
            subscription.seen = self._position
        if since is not None:
            try:
                subscription.seen = min(since, await asyncio.to_thread(self._events.latest))
            except BaseException:
                self.unsubscribe(subscription)
                raise
        return subscription

    def unsubscribe(self, subscription: Subscription[AnyEvent]) -> None:
        """Stop passing events to the subscription."""
        if subscription not in self._listeners:
            return
        self._listeners.discard(subscription)
        for key in subscription.keys:
            self._by_key[key].discard(subscription)
            if not self._by_key[key]:
                del self._by_key[key]

    async def follow(
        self, subscription: Subscription[AnyEvent], pause_seconds: float | None = None
    ) -> AsyncIterator[Sequence[AnyEvent]]:
        """Yield the events of a subscription as they are committed, grouped by read; never return.

        :param pause_seconds: also yield an empty group this often, so that the caller can act without an event.
        :raises ListenerTooSlowError: the listener fell behind by more than the backlog.
        """
        queue, owner, choice = subscription.queue, subscription.owner, subscription.choice
        now = asyncio.get_running_loop().time
        pause_at = None if pause_seconds is None else now() + pause_seconds
        try:
            # Events from before the subscription are only in the database; duplicates in the queue are skipped below.
            while earlier := await asyncio.to_thread(self._events.after, subscription.seen, PAGE, choice, owner):
                subscription.seen = position_of(earlier[-1])
                yield earlier
            while subscription in self._listeners or not queue.empty():
                try:
                    async with asyncio.timeout_at(pause_at):
                        queued = await queue.get()
                except TimeoutError:
                    pause_at = None if pause_seconds is None else now() + pause_seconds
                    yield ()
                    continue
                subscription.waiting -= len(queued)
                if events := [event for event in queued if position_of(event) > subscription.seen]:
                    yield events
            raise ListenerTooSlowError
        finally:
            self.unsubscribe(subscription)

    async def _read(self) -> None:
        await asyncio.sleep(0)  # wait until the first listener is added
        while self._listeners:
            try:
                events = await self._in_live_thread(partial(self._live.after, self._position, PAGE))
            except SQLAlchemyError as error:
                log.warning("events wait for the database", error=str(error))
                events = []
            if events:
                self._position = position_of(events[-1])
                self._pass_on(events)
            if len(events) < PAGE:
                await asyncio.sleep(self._poll_seconds)

    async def _in_live_thread(self, read: Callable[[], _Read]) -> _Read:
        return await asyncio.get_running_loop().run_in_executor(self._live_thread, read)

    def _pass_on(self, events: Sequence[AnyEvent]) -> None:
        wanted: dict[Subscription[AnyEvent], list[AnyEvent]] = {}
        for event in events:
            for key in (*event.keys(), ("owner", event.owner), _EVERY):
                for subscription in self._by_key.get(key, ()):
                    if subscription.wants(event):
                        wanted.setdefault(subscription, []).append(event)
        for subscription, chosen in wanted.items():
            if subscription.waiting + len(chosen) > self._backlog:
                self.unsubscribe(subscription)
                chosen = []  # wake the listener so that it ends
            subscription.waiting += len(chosen)
            subscription.queue.put_nowait(chosen)
