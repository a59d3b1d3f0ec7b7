"""Requests per second of an owner, counted by all processes together; the clock is the test's."""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from service_kit.access import rates as counted
from service_kit.access.principals import Limits, Principal
from service_kit.access.rates import BURST_SECONDS, Rates
from service_kit.problems import Problem

_FORK = multiprocessing.get_context("fork")


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def owner(name: str = "alice", rate: int | None = 5) -> Principal:
    return Principal(name, frozenset(), limits=Limits(requests_per_second=rate))


def passes(rates: Rates, who: Principal) -> bool:
    try:
        rates.count(who)
    except Problem as problem:
        assert (problem.status, problem.kind) == (429, "too-many-requests")
        return False
    return True


def passed(rates: Rates, who: Principal, requests: int = 100) -> int:
    return sum(passes(rates, who) for _ in range(requests))


def in_processes(number: int, run: Callable[[], int]) -> list[int]:
    """Run a function in forked processes and return its results."""
    results: multiprocessing.SimpleQueue[int] = _FORK.SimpleQueue()
    processes = [_FORK.Process(target=lambda: results.put(run())) for _ in range(number)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    return [results.get() for _ in processes]


def test_processes_count_the_requests_of_an_owner_together() -> None:
    rates = Rates(Clock())

    assert sum(in_processes(3, lambda: passed(rates, owner(rate=500), 2000))) == 500 * BURST_SECONDS


def test_a_killed_process_locks_out_nobody() -> None:
    rates = Rates(Clock())

    def killed() -> None:
        with rates._locked():
            os.kill(os.getpid(), signal.SIGKILL)

    process = _FORK.Process(target=killed)
    process.start()
    process.join(60)

    assert (process.exitcode, passes(rates, owner())) == (-signal.SIGKILL, True)


def test_a_second_gives_as_many_requests_as_the_limit_says() -> None:
    clock = Clock()
    rates = Rates(clock)
    passed(rates, owner(rate=5))
    found = []

    for _ in range(3):
        clock.now += 1
        found.append(passed(rates, owner(rate=5)))

    assert found == [5, 5, 5]


def test_an_owner_that_never_pauses_still_has_its_limit() -> None:
    clock = Clock()
    rates = Rates(clock)
    passed(rates, owner(rate=4))
    found = 0

    # Sixteen requests a second, for four seconds; the fractions are exact in binary.
    for _ in range(64):
        clock.now += 1 / 16
        found += passes(rates, owner(rate=4))

    assert found == 16


def test_owners_do_not_count_for_each_other() -> None:
    rates = Rates(Clock())
    passed(rates, owner("alice"))

    assert passed(rates, owner("bob")) == 5 * BURST_SECONDS


def test_an_owner_without_a_limit_may_send_any_number() -> None:
    assert passed(Rates(Clock()), owner(rate=None)) == 100


def test_where_owners_need_the_same_place_the_one_that_paused_longest_makes_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(counted, "_SLOTS", 2)
    monkeypatch.setattr(counted, "_TRIED", 2)
    clock = Clock()
    rates = Rates(clock)
    for name in ("alice", "bob"):
        clock.now += 0.25
        passed(rates, owner(name, 1))

    clock.now += 0.25
    passed(rates, owner("carol", 1))

    assert [passes(rates, owner(name, 1)) for name in ("bob", "carol")] == [False, False]


@given(
    steps=st.lists(st.tuples(st.sampled_from(["alice", "bob"]), st.integers(0, 24)), max_size=60),
    rate=st.integers(1, 4),
)
def test_in_any_time_an_owner_sends_at_most_the_burst_and_what_the_time_allows(
    steps: list[tuple[str, int]], rate: int
) -> None:
    clock = Clock()
    rates = Rates(clock)
    times: dict[str, deque[float]] = {"alice": deque(), "bob": deque()}

    for name, pause in steps:
        clock.now += pause / 8
        if passes(rates, owner(name, rate)):
            times[name].append(clock.now)

    for sent in times.values():
        for first in range(len(sent)):
            for last in range(first, len(sent)):
                assert last - first + 1 <= rate * (BURST_SECONDS + sent[last] - sent[first])
