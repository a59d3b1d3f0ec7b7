"""Batching of work that threads request at the same time."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event

import pytest
from file_storage.services.group_commit import GroupCommit, GroupProgress

from tests.support.waiting import STATE_SECONDS, wait_until

THREADS = 8


class Doubling:
    """Doubles numbers and records its groups; fails for the numbers that a test names."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.fails_for: int | None = None
        self.fails_late = False

    def __call__(self, numbers: Sequence[int], progress: GroupProgress) -> Sequence[int]:
        self.groups.append(sorted(numbers))
        progress.is_final = self.fails_late
        if self.fails_for in numbers:
            raise ValueError(str(self.fails_for))
        return [2 * number for number in numbers]


@pytest.fixture
def doubling() -> Doubling:
    return Doubling()


def any_kind(_number: int) -> str:
    return "any"


def is_like(number: int, group: Sequence[int]) -> bool:
    return number % 2 == group[0] % 2


def at_once(
    group_commit: GroupCommit[int, int], numbers: Sequence[int], threads: ThreadPoolExecutor
) -> list[Future[int]]:
    """Let threads request the work for all numbers at the same time."""
    with group_commit._turn(any_kind(numbers[0])):
        wanted = [threads.submit(group_commit.do, number) for number in numbers]
        wait_until(lambda: len(group_commit._waiting) == len(numbers), "all of them wait")
    return wanted


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(THREADS) as executor:
        yield executor


def test_what_is_wanted_alone_is_done_at_once(doubling: Doubling) -> None:
    assert GroupCommit(doubling, any_kind, is_like).do(4) == 8


def test_what_is_wanted_at_the_same_time_is_done_together(doubling: Doubling, threads: ThreadPoolExecutor) -> None:
    wanted = at_once(GroupCommit(doubling, any_kind, is_like), [2, 4, 6, 8], threads)
    assert [future.result() for future in wanted] == [4, 8, 12, 16]
    assert doubling.groups == [[2, 4, 6, 8]]


def test_what_does_not_fit_is_done_apart(doubling: Doubling, threads: ThreadPoolExecutor) -> None:
    wanted = at_once(GroupCommit(doubling, any_kind, is_like), [2, 3, 4, 5], threads)
    assert [future.result() for future in wanted] == [4, 6, 8, 10]
    assert sorted(doubling.groups) == [[2, 4], [3, 5]]


def test_the_error_of_one_is_not_that_of_the_others(doubling: Doubling, threads: ThreadPoolExecutor) -> None:
    doubling.fails_for = 4
    wanted = at_once(GroupCommit(doubling, any_kind, is_like), [2, 4, 6], threads)
    assert [wanted[0].result(), wanted[2].result()] == [4, 12]
    with pytest.raises(ValueError, match="4"):
        wanted[1].result()


def test_an_error_after_which_nothing_can_be_tried_again_is_that_of_all(
    doubling: Doubling, threads: ThreadPoolExecutor
) -> None:
    doubling.fails_for, doubling.fails_late = 4, True
    wanted = at_once(GroupCommit(doubling, any_kind, is_like), [2, 4, 6], threads)
    assert [str(future.exception()) for future in wanted] == ["4", "4", "4"]
    assert doubling.groups == [[2, 4, 6]]


def test_the_next_group_begins_as_soon_as_the_last_one_lets_it(threads: ThreadPoolExecutor) -> None:
    done: list[int] = []

    def work(numbers: Sequence[int], progress: GroupProgress) -> Sequence[int]:
        progress.release()
        if 2 in numbers:
            wait_until(lambda: 3 in done, "the next group is done")
        done.extend(numbers)
        return numbers

    wanted = at_once(GroupCommit(work, any_kind, is_like), [2, 3], threads)

    assert [future.result() for future in wanted] == [2, 3]


def test_one_kind_does_not_wait_for_another(threads: ThreadPoolExecutor) -> None:
    even_has_begun, odd_is_done = Event(), Event()

    def work(numbers: Sequence[int], _progress: GroupProgress) -> Sequence[int]:
        if numbers[0] % 2:
            odd_is_done.set()
            return numbers
        even_has_begun.set()
        return numbers if odd_is_done.wait(STATE_SECONDS) else []

    group_commit = GroupCommit(work, lambda number: number % 2, is_like)
    even = threads.submit(group_commit.do, 2)
    assert even_has_begun.wait(STATE_SECONDS)

    assert (group_commit.do(3), even.result()) == (3, 2)


def test_turns_of_earlier_kinds_are_forgotten(doubling: Doubling) -> None:
    group_commit = GroupCommit(doubling, lambda number: number, is_like)
    for number in range(100):
        group_commit.do(number)
    assert len(group_commit._turns) == 0
