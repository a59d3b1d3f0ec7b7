"""Limits of concurrent clients."""

import asyncio
import resource

import pytest
from pixmill.front.app import MAX_JSON_BODY_BYTES
from pixmill.front.limits import (
    BUFFERED_BYTES,
    BUFFERED_BYTES_OF_AN_ADDRESS,
    Limit,
    connection_limit,
    listener_limit,
)
from service_kit.problems import Problem


def test_an_address_has_its_share_and_all_have_the_total() -> None:
    limit = Limit(total=3, each=2)

    entered = [limit.enter(address) for address in ("a", "a", "a", "b", "c")]

    assert entered == [True, True, False, True, False]


def test_the_addresses_of_an_ipv6_network_share_their_places() -> None:
    limit = Limit(total=9, each=1)

    entered = [limit.enter(address) for address in ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1")]
    limit.leave("2001:db8::1")

    assert entered == [True, False, True]
    assert limit.enter("2001:db8::2")


def test_several_places_are_taken_together_or_not_at_all() -> None:
    limit = Limit(total=5, each=3)

    entered = [limit.enter(address, places) for address, places in (("a", 4), ("a", 3), ("b", 3), ("b", 2))]
    limit.leave("a", 2)

    assert entered == [False, True, False, True]
    assert limit.enter("c", 2)
    assert not limit.enter("c", 1)


def test_a_place_that_was_left_is_free_again() -> None:
    limit = Limit(total=1, each=1)
    limit.enter("a")
    limit.leave("a")

    assert limit.enter("b")


def test_the_longest_bodies_of_seven_addresses_leave_memory_to_those_of_another() -> None:
    memory = Limit(BUFFERED_BYTES, BUFFERED_BYTES_OF_AN_ADDRESS)

    entered = [[memory.enter(f"192.0.2.{number}", MAX_JSON_BODY_BYTES) for _ in range(30)] for number in range(7)]

    assert all(places.count(True) >= 5 for places in entered)
    assert [memory.enter("192.0.2.7", MAX_JSON_BODY_BYTES) for _ in range(5)] == [True] * 5


def test_without_room_a_request_is_refused_with_a_time_to_try_again() -> None:
    async def second() -> None:
        limit = Limit(total=1, each=1)
        async with limit.held("a"), limit.held("b"):
            raise AssertionError("there is no room for two")

    with pytest.raises(Problem, match="try again") as raised:
        asyncio.run(second())

    assert (raised.value.status, raised.value.retry_after) == (503, 5)


def test_a_request_waits_until_another_ends() -> None:
    async def both() -> list[str]:
        limit, order = Limit(total=1, each=1), []

        async def use(name: str) -> None:
            async with limit.held("a", wait_seconds=60):
                order.append(f"{name} begins")
                await asyncio.sleep(0)
                order.append(f"{name} ends")

        await asyncio.gather(use("1"), use("2"))
        return order

    assert asyncio.run(both()) == ["1 begins", "1 ends", "2 begins", "2 ends"]


@pytest.mark.parametrize(
    ("files", "total", "each"), [(1024, 308, 154), (1_000_000, 8192, 4096), (resource.RLIM_INFINITY, 8192, 4096)]
)
def test_connections_fit_into_the_limit_of_open_files(
    files: int, total: int, each: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))

    limit = connection_limit()

    assert (limit.total, limit.each) == (total, each)


def test_listeners_never_take_all_connections() -> None:
    assert listener_limit(308).total == 154
    assert listener_limit(8192).total == 1024
