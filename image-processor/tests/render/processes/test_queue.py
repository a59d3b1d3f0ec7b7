"""Waiting renders: owners and sources take turns, and slow ones wait for their share of the processes."""

import asyncio
from collections.abc import Mapping
from itertools import product
from types import MappingProxyType

import pytest
from image_processor.imaging.output import Output
from image_processor.render.plans.plan import ColorSource, Encoding, RenderPlan
from image_processor.render.processes.job import Job
from image_processor.render.processes.queue import Ticket, WaitingTickets

JOB = Job(RenderPlan(ColorSource("#fff"), (), Encoding(Output())), None, (), "source", "")


def order(
    tickets: list[tuple[str, bool]],
    *,
    slow_too: bool = True,
    owners: Mapping[str, str] = MappingProxyType({}),
    by_url: str = "",
) -> list[str]:
    """Return the names of tickets in the order in which they leave the queue; a name starts with its source.

    :param owners: the owners of sources; the others have none.
    :param by_url: the sources that are images by URL.
    """

    async def run() -> list[str]:
        waiting, names = WaitingTickets(), dict[Ticket, str]()
        for name, slow in tickets:
            ticket = Ticket(JOB, owners.get(name[0]), name[0], slow, name[0] in by_url)
            names[ticket] = name
            waiting.add(ticket)
        left = list[str]()
        while (first := waiting.next(slow_too=slow_too)) is not None:
            left.append(names[first])
        return left

    return asyncio.run(run())


def test_sources_take_turns() -> None:
    assert order([("a1", False), ("a2", False), ("a3", False), ("b1", False)]) == ["a1", "b1", "a2", "a3"]


def test_owners_take_turns_however_many_sources_each_has() -> None:
    names = ["a1", "b1", "c1", "c2", "d1", "e1", "e2"]

    left = order([(name, False) for name in names], owners={**dict.fromkeys("abc", "reader"), "d": "other"})

    assert left == ["a1", "d1", "e1", "b1", "e2", "c1", "c2"]


@pytest.mark.parametrize("by_url", ["abcde", "e"])
def test_the_images_by_url_of_an_owner_leave_turns_to_those_of_others_and_to_its_own_keys(by_url: str) -> None:
    names = ["a1", "b1", "c1", "d1", "e1", "e2"]
    owners = dict.fromkeys("abcd", "ann") | {"e": "bob" if by_url == "abcde" else "ann"}

    left = order([(name, False) for name in names], owners=owners, by_url=by_url)

    assert left == ["a1", "e1", "b1", "e2", "c1", "d1"]


def test_the_keys_of_an_owner_and_its_images_by_url_are_counted_apart() -> None:
    async def run() -> list[int]:
        waiting = WaitingTickets()
        tickets = [Ticket(JOB, "ann", "a", by_url=by_url) for by_url in (False, True)]
        counts = []
        for change, ticket in product((waiting.add, waiting.remove), tickets):
            change(ticket)
            counts.append(waiting.of_turn(ticket.turn))
        return counts

    assert asyncio.run(run()) == [1, 1, 0, 0]


def test_slow_renders_wait_while_others_pass_them() -> None:
    assert order([("a1", True), ("b1", False), ("a2", False)], slow_too=False) == ["a2", "b1"]


def test_a_removed_ticket_does_not_leave_the_queue_again() -> None:
    async def run() -> tuple[int, Ticket | None]:
        waiting, ticket = WaitingTickets(), Ticket(JOB, None, "a")
        waiting.add(ticket)
        waiting.remove(ticket)
        waiting.remove(ticket)
        return len(waiting), waiting.next(slow_too=True)

    assert asyncio.run(run()) == (0, None)
