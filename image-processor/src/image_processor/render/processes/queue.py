"""Queues renders that wait for a process, fairly by source."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Hashable
from dataclasses import dataclass, field

from image_processor.render.processes.job import Job, JobOutcome


@dataclass(eq=False)
class Ticket:
    """A render in the pool; create it within the event loop.

    :param source: the source of the render; sources take turns in the queue.
    :param slow: whether the render is slow; at most half of the processes work on slow renders.
    """

    job: Job
    source: Hashable
    slow: bool = False
    begun: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    done: asyncio.Future[JobOutcome] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def waits(self) -> bool:
        """Whether no process has started it yet."""
        return not self.begun.done()


class WaitingTickets:
    """A queue in which sources take turns, so that one gallery does not block all others."""

    def __init__(self) -> None:
        self._by_source: OrderedDict[Hashable, deque[Ticket]] = OrderedDict()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def add(self, ticket: Ticket) -> None:
        self._by_source.setdefault(ticket.source, deque()).append(ticket)
        self._length += 1

    def remove(self, ticket: Ticket) -> None:
        """Remove a ticket, if it is there."""
        tickets = self._by_source.get(ticket.source)
        if tickets is None or ticket not in tickets:
            return
        tickets.remove(ticket)
        self._length -= 1
        if not tickets:
            del self._by_source[ticket.source]

    def next(self, *, slow_too: bool) -> Ticket | None:
        """Remove the next ticket and return it; ``None`` if no ticket fits.

        :param slow_too: whether it may be a slow render.
        """
        for source, tickets in self._by_source.items():
            found = next((ticket for ticket in tickets if slow_too or not ticket.slow), None)
            if found is not None:
                self._by_source.move_to_end(source)
                self.remove(found)
                return found
        return None
