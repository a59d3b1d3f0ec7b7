"""Queues renders that wait for a process, fairly by owner, then by source."""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Hashable
from dataclasses import dataclass, field

from image_processor.render.processes.job import Job, JobOutcome

Turn = tuple[str | None, bool]
"""An owner, and whether its images by URL are meant, or the requests of its keys."""


@dataclass(eq=False)
class Ticket:
    """A render in the pool; create it within the event loop.

    :param owner: the owner of the key that requests it, or of the file of an image by URL; ``None`` for an image by URL
        of no stored file, such as a picture of another server.
    :param source: the source of the render; the sources of an owner take turns in the queue.
    :param slow: whether the render is slow; at most half of the processes work on slow renders.
    :param by_url: whether it is an image by URL, which needs no key.
    """

    job: Job
    owner: str | None
    source: Hashable
    slow: bool = False
    by_url: bool = False
    begun: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    done: asyncio.Future[JobOutcome] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def waits(self) -> bool:
        """Whether no process has started it yet."""
        return not self.begun.done()

    @property
    def turn(self) -> Turn:
        """Which tickets it shares a turn with."""
        return self.owner, self.by_url


class WaitingTickets:
    """A queue in which owners take turns, and the sources of each: neither a key nor a gallery blocks all others.

    The keys of an owner have a turn of their own, so that its page does not wait for all images of its gallery.
    """

    def __init__(self) -> None:
        self._by_turn: OrderedDict[Turn, OrderedDict[Hashable, deque[Ticket]]] = OrderedDict()
        self._lengths = Counter[Turn]()

    def __len__(self) -> int:
        return self._lengths.total()

    @property
    def by_url(self) -> int:
        """The number of images by URL."""
        return sum(length for (_, by_url), length in self._lengths.items() if by_url)

    def of_turn(self, turn: Turn) -> int:
        """Return the number of tickets that share a turn."""
        return self._lengths[turn]

    def add(self, ticket: Ticket) -> None:
        by_source = self._by_turn.setdefault(ticket.turn, OrderedDict())
        by_source.setdefault(ticket.source, deque()).append(ticket)
        self._lengths[ticket.turn] += 1

    def remove(self, ticket: Ticket) -> None:
        """Remove a ticket, if it is there."""
        by_source = self._by_turn.get(ticket.turn, OrderedDict())
        tickets = by_source.get(ticket.source)
        if tickets is None or ticket not in tickets:
            return
        tickets.remove(ticket)
        self._lengths[ticket.turn] -= 1
        if not self._lengths[ticket.turn]:
            del self._lengths[ticket.turn]
        if not tickets:
            del by_source[ticket.source]
        if not by_source:
            del self._by_turn[ticket.turn]

    def next(self, *, slow_too: bool) -> Ticket | None:
        """Remove the next ticket and return it; ``None`` if no ticket fits.

        :param slow_too: whether it may be a slow render.
        """
        for turn, by_source in self._by_turn.items():
            for source, tickets in by_source.items():
                found = next((ticket for ticket in tickets if slow_too or not ticket.slow), None)
                if found is not None:
                    self._by_turn.move_to_end(turn)
                    by_source.move_to_end(source)
                    self.remove(found)
                    return found
        return None
