"""Groups requests of concurrent threads: while one group is being processed, the next one gathers."""

from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from threading import Lock
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

T = TypeVar("T")
R = TypeVar("R")


class _NotDoneError(Exception):
    """The group has failed, so each member is retried alone."""


class GroupProgress:
    """The progress of a group.

    :param release: lets the next group begin.
    """

    def __init__(self, release: Callable[[], None]) -> None:
        self.release = release
        self.is_final = False
        """If true, an error applies to all members, because a retry is no longer possible."""


Work = Callable[[Sequence[T], GroupProgress], Sequence[R]]


class GroupCommit(Generic[T, R]):
    """Groups the items of concurrent threads; no thread waits for a group to grow.

    :param work: processes all members, or raises an error without effect unless its progress is final.
    :param kind: items of different kinds neither share a group nor wait for each other.
    :param fits: whether an item can join a group of its kind.
    """

    def __init__(self, work: Work[T, R], kind: Callable[[T], Hashable], fits: Callable[[T, Sequence[T]], bool]) -> None:
        self._work = work
        self._kind = kind
        self._fits = fits
        # A lock disappears when no thread needs it any more.
        self._turns: WeakValueDictionary[Hashable, Lock] = WeakValueDictionary()
        self._lock = Lock()
        self._waiting: dict[Future[R], T] = {}

    def do(self, item: T) -> R:
        """Return the result for this item, which another thread may have produced.

        :raises Exception: the error of the work for this item alone, or for the group once its progress is final.
        """
        mine: Future[R] = Future()
        turn_of_kind = self._turn(self._kind(item))
        with self._lock:
            self._waiting[mine] = item
        with ExitStack() as turn:
            turn.enter_context(turn_of_kind)
            if group := self._group_of(mine):
                self._do(group, GroupProgress(turn.close))
        try:
            return mine.result()
        except _NotDoneError:
            # Retry alone, so that one member's error does not affect another.
            [result] = self._work([item], GroupProgress(_nothing))
            return result

    def _turn(self, kind: Hashable) -> Lock:
        with self._lock:
            return self._turns.setdefault(kind, Lock())

    def _group_of(self, mine: Future[R]) -> dict[Future[R], T]:
        """Take the members of this thread's group; none if another thread has processed its item."""
        with self._lock:
            if mine not in self._waiting:
                return {}
            group = {mine: self._waiting.pop(mine)}
            kind = self._kind(group[mine])
            for other, item in list(self._waiting.items()):
                if self._kind(item) == kind and self._fits(item, list(group.values())):
                    group[other] = self._waiting.pop(other)
            return group

    def _do(self, group: dict[Future[R], T], progress: GroupProgress) -> None:
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
