"""A worker's heartbeat: renews leases, stops what was cancelled, puts back what a dead process held."""

import os
import signal
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import SQLAlchemyError

from image_processor.services.jobs.leases import LeaseService
from image_processor.services.jobs.outcomes import Holder
from image_processor.services.jobs.scratch import InWork

log = structlog.get_logger()

LOOK_SECONDS = 0.5
"""Between two looks for cancelled tasks."""


@dataclass
class _Death:
    """A process that is gone, until that is recorded."""

    holder: Holder
    reason: str
    overran: bool
    in_work: InWork | None = None


class Heartbeat:
    """A thread of the worker's main process.

    :param discard: removes what a process left that was killed, and gives what it was processing.
    :param on_put_back: called when a process is gone, and with it the hint it worked on.
    """

    def __init__(
        self,
        leases: LeaseService,
        worker: str,
        interval_seconds: float,
        discard: Callable[[Holder], InWork | None],
        on_put_back: Callable[[], None],
    ) -> None:
        self._leases = leases
        self._worker = worker
        self._looks = max(1, round(interval_seconds / LOOK_SECONDS))
        self._discard = discard
        self._on_put_back = on_put_back
        self._dead: deque[_Death] = deque()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="heartbeat", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()

    def process_died(self, process: int, reason: str, overran: bool = False) -> None:
        """Put back what a process held, as soon as the database takes it.

        :param overran: it died as what it was processing took too long.
        """
        self._dead.append(_Death(Holder(self._worker, process), reason, overran))

    def _loop(self) -> None:
        looks = 0
        while not self._stopped.wait(LOOK_SECONDS):
            looks += 1
            try:
                self._stop_cancelled()
                self._put_back_dead()
                if looks % self._looks == 0:
                    self._renew_leases()
            except SQLAlchemyError as error:
                log.warning("heartbeat missed", error=str(error))
            except Exception:  # a heart that stopped would hand over everything the worker does
                log.exception("heartbeat failed")

    def _renew_leases(self) -> None:
        # A process that is gone without a report gets no more time: its task comes back when the lease runs out.
        living = [process for process in self._leases.holding_processes(self._worker) if _lives(process)]
        if living:
            self._leases.heartbeat(self._worker, living)

    def _stop_cancelled(self) -> None:
        for task_id, process in self._leases.take_cancelled(self._worker):
            log.info("cancelled task stopped", task_id=task_id, process=process)
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
            self._discard(Holder(self._worker, process))
            # What else it held did nothing wrong: it is put back before its process counts as dead.
            self._leases.release(self._worker, process)
            self._on_put_back()

    def _put_back_dead(self) -> None:
        while self._dead:
            death = self._dead[0]
            # First what it left: who sees the task's end finds nothing of it any more.
            death.in_work = self._discard(death.holder) or death.in_work
            if death.overran and death.in_work is not None:
                self._leases.overran(death.holder, *death.in_work, death.reason)
            else:
                self._leases.crashed(death.holder, death.reason)
            self._dead.popleft()
            self._on_put_back()


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
