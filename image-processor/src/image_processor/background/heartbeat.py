"""The heartbeat of a worker: renews leases, kills processes of cancelled tasks, reports dead processes."""

import os
import signal
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import DataError, SQLAlchemyError

from image_processor.services.jobs.leases import LeaseService
from image_processor.services.jobs.outcomes import Holder
from image_processor.services.jobs.scratch import AttemptInProgress

log = structlog.get_logger()

POLL_SECONDS = 0.5
"""Interval between checks for cancelled tasks and dead processes."""


@dataclass
class _Death:
    """A dead process whose death is not yet recorded in the database."""

    holder: Holder
    reason: str
    overran: bool
    in_progress: AttemptInProgress | None = None


class Heartbeat:
    """Runs as a thread of the worker's main process.

    :param discard: deletes the files of a killed process and returns the attempt that was in progress.
    :param on_hint_lost: called when a process is gone and its hint with it.
    """

    def __init__(
        self,
        leases: LeaseService,
        worker: str,
        interval_seconds: float,
        discard: Callable[[Holder], AttemptInProgress | None],
        on_hint_lost: Callable[[], None],
    ) -> None:
        self._leases = leases
        self._worker = worker
        self._polls_per_renewal = max(1, round(interval_seconds / POLL_SECONDS))
        self._discard = discard
        self._on_hint_lost = on_hint_lost
        self._dead: deque[_Death] = deque()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="heartbeat", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()

    def process_died(self, process: int, reason: str, overran: bool = False) -> None:
        """Make the tasks of a dead process pending again as soon as the database is available.

        :param overran: the process was killed because its attempt exceeded the time limit.
        """
        self._dead.append(_Death(Holder(self._worker, process), reason, overran))

    def _loop(self) -> None:
        polls = 0
        while not self._stopped.wait(POLL_SECONDS):
            polls += 1
            _attempt(self._kill_cancelled)
            _attempt(self._record_deaths)
            if polls % self._polls_per_renewal == 0:
                _attempt(self._renew_leases)

    def _renew_leases(self) -> None:
        # If a process died without a report, its lease must expire to make the task pending again.
        living = [process for process in self._leases.holding_processes(self._worker) if _is_child(process)]
        if living:
            self._leases.heartbeat(self._worker, living)

    def _kill_cancelled(self) -> None:
        for task_id, process in self._leases.take_cancelled(self._worker):
            log.info("cancelled task stopped", task_id=task_id, process=process)
            if _is_child(process):
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            self._discard(Holder(self._worker, process))
            # Release its other tasks before reporting the death, so that they count no crash.
            self._leases.release(self._worker, process)
            self._on_hint_lost()

    def _record_deaths(self) -> None:
        while self._dead:
            death = self._dead[0]
            try:
                self._record(death)
            except (DataError, OverflowError, ValueError) as error:
                # No database will ever take it, and the next deaths must not wait for it.
                log.error("death not recorded", process=death.holder.process, error=type(error).__name__)
            self._dead.popleft()
            self._on_hint_lost()

    def _record(self, death: _Death) -> None:
        # Delete files first, so that none is left when the task has ended.
        death.in_progress = self._discard(death.holder) or death.in_progress
        if death.overran and death.in_progress is not None:
            self._leases.overran(death.holder, *death.in_progress, death.reason)
        else:
            self._leases.crashed(death.holder, death.reason)


def _attempt(duty: Callable[[], None]) -> None:
    """Fulfill a duty of the heartbeat; if it fails, the others go on, because otherwise all leases would expire."""
    try:
        duty()
    except SQLAlchemyError as error:
        log.warning("heartbeat missed", error=str(error))
    except Exception:
        log.exception("heartbeat failed")


def _is_child(process: int) -> bool:
    """Return whether this process has such a child, which may have ended a moment ago.

    A process that a picture has taken over can write any number into the row of a task.
    """
    try:
        os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except (OSError, OverflowError):
        return False
    return True
