"""The relay of a worker: makes tasks of dead workers pending again and republishes lost hints."""

import threading
import time
from pathlib import Path

import structlog
from sqlalchemy.exc import SQLAlchemyError

from image_processor.background.clock_watch import ClockWatch
from image_processor.config import RelaySettings
from image_processor.services.jobs.claims import ClaimService
from image_processor.services.jobs.leases import LeaseService
from image_processor.services.tasks.queue import QueueUnavailableError, TaskQueue

log = structlog.get_logger()


class Relay:
    """Runs as a thread in every worker. Any number may run: each skips rows that another has locked.

    :param alive: a file touched while the database and the broker respond; a health check reads its age.
    :param clock: checked before leases expire, so that a step of the clock does not expire them.
    :param grace_seconds: time after a database outage for workers to renew their leases before any lease expires.
    """

    def __init__(
        self,
        claims: ClaimService,
        leases: LeaseService,
        queue: TaskQueue,
        settings: RelaySettings,
        alive: Path,
        clock: ClockWatch,
        grace_seconds: float,
    ) -> None:
        self._claims = claims
        self._leases = leases
        self._queue = queue
        self._settings = settings
        self._alive = alive
        self._clock = clock
        self._grace_seconds = grace_seconds
        self._expire_from = 0.0
        self._stopped = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="relay", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._wake.set()

    def wake(self) -> None:
        """Run now instead of at the next interval, for example after a process died and its hint was lost."""
        self._wake.set()

    def _loop(self) -> None:
        while not self._stopped.is_set():
            try:
                self._run_once()
            except SQLAlchemyError as error:
                self._expire_from = time.monotonic() + self._grace_seconds
                log.warning("relay waits for the database", error=str(error))
            except QueueUnavailableError as error:
                log.warning("relay waits for the broker", error=str(error))
            except Exception:  # without a relay, tasks would stay pending forever
                log.exception("relay failed")
            self._wake.wait(self._settings.interval_seconds)
            self._wake.clear()

    def _run_once(self) -> None:
        now = self._clock.check()
        if now is not None and time.monotonic() >= self._expire_from:
            self._leases.expire_leases(now)
        waiting = self._queue.length()
        self._alive.touch()
        # While hints wait, all processes are busy and will claim more tasks by themselves.
        if waiting == 0:
            claimable = self._claims.claimable(self._settings.hints)
            if claimable:
                self._queue.publish(claimable)
                log.info("hints published", count=claimable)
