"""Housekeeping: runs chores at intervals, such as deleting old events."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import structlog
from sqlalchemy.exc import SQLAlchemyError

log = structlog.get_logger()


class Chore(NamedTuple):
    """A function to call periodically; the interval starts when a call has returned or failed."""

    interval_seconds: float
    run: Callable[[], None]


class Housekeeping:
    """A thread that runs chores, first at the start and then at their intervals.

    :param chores: run one at a time. A chore that fails runs again after its interval.
    """

    def __init__(self, chores: Sequence[Chore]) -> None:
        self._chores = chores
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="housekeeping", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()

    def _loop(self) -> None:
        due_at = [0.0] * len(self._chores)
        while not self._stopped.is_set():
            for index, chore in enumerate(self._chores):
                if time.monotonic() >= due_at[index]:
                    _run(chore)
                    due_at[index] = time.monotonic() + chore.interval_seconds
            self._stopped.wait(min(due_at) - time.monotonic())


def _run(chore: Chore) -> None:
    try:
        chore.run()
    except SQLAlchemyError as error:
        log.warning("housekeeping waits for the database", error=str(error))
    except Exception:  # a chore that fails must not end the thread, and with it the other chores
        log.exception("housekeeping failed")
