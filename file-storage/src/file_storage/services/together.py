"""Do what several threads want at the same time together: while one group is being done, the next one gathers."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class _NotDoneError(Exception):
    """The group has failed, and its members have a try of their own."""


class Progress:
    """How far a group has come.

    :param release: lets the next group begin.
    """

    def __init__(self, release: Callable[[], None]) -> None:
        self.release = release
        self.is_final = False
        """From now on an error is that of all members, because nothing can be tried again."""


Work = Callable[[Sequence[T], Progress], Sequence[R]]


class Together(Generic[T, R]):
    """Groups of what concurrent threads want; nobody waits for a group to grow.

    :param work: does it for all members, or raises an error and has done nothing, unless it says otherwise.
    :param fits: whether an item can join a group.
    """

    def __init__(self, work: Work[T, R], fits: Callable[[T, Sequence[T]], bool]) -> None:
        self._work = work
        self._fits = fits
        self._turn = Lock()
        self._lock = Lock()
        self._waiting: dict[Future[R], T] = {}

    def do(self, item: T) -> R:
        """Return the result for this item, which another thread may have made.

        :raises Exception: as the work does for this item alone, or for the group from where its progress is final.
        """
        mine: Future[R] = Future()
        with self._lock:
            self._waiting[mine] = item
        with ExitStack() as turn:
            turn.enter_context(self._turn)
            if group := self._group_of(mine):
                self._do(group, Progress(turn.close))
        try:
            return mine.result()
        except _NotDoneError:
            # What is wrong with one member must not be the error of another.
            [result] = self._work([item], Progress(_nothing))
            return result

    def _group_of(self, mine: Future[R]) -> dict[Future[R], T]:
        """Take the members of this thread's group; none if another thread has done its item."""
        with self._lock:
            if mine not in self._waiting:
                return {}
            group = {mine: self._waiting.pop(mine)}
            for other, item in list(self._waiting.items()):
                if self._fits(item, list(group.values())):
                    group[other] = self._waiting.pop(other)
            return group

    def _do(self, group: dict[Future[R], T], progress: Progress) -> None:
        try:
            results = self._work(list(group.values()), progress)
        except Exception as error:  # noqa: BLE001 (each member's thread raises it)
            for future in group:
                future.set_exception(error if progress.is_final or len(group) == 1 else _NotDoneError())
            return
        for future, result in zip(group, results, strict=True):
            future.set_result(result)


def _nothing() -> None:
    """Do nothing: no other group waits."""
