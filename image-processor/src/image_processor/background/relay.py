"""The relay: puts back what dead workers held, publishes lost hints again and clears away what nobody needs."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import structlog
from sqlalchemy.exc import SQLAlchemyError

from image_processor.background.clock_watch import ClockWatch
from image_processor.config import RelaySettings
from image_processor.services.jobs.claims import ClaimService
from image_processor.services.jobs.leases import LeaseService
from image_processor.services.tasks.queue import QueueUnavailableError, TaskQueue

log = structlog.get_logger()

HOUSEKEEPING_SECONDS = 60


class Relay:
    """A thread of every worker. Any number may run: the rows they work on are locked for the others.

    :param clock: what it sets right comes before any lease counts as expired.
    :param clear: deletes what is left of results that no task will have.
    :param keep_house: deletes old events and cached results.
    :param patience: seconds after an outage in which workers may renew their leases before any counts as expired.
    """

    def __init__(
        self,
        claims: ClaimService,
        leases: LeaseService,
        queue: TaskQueue,
        settings: RelaySettings,
        alive: Path,
        clock: ClockWatch,
        clear: Callable[[], None],
        keep_house: Callable[[], None],
        patience: float,
    ) -> None:
        self._claims = claims
        self._leases = leases
        self._queue = queue
        self._settings = settings
        self._alive = alive
        self._clock = clock
        self._clear = clear
        self._keep_house = keep_house
        self._patience = patience
        self._expire_from = 0.0
        self._keep_house_from = 0.0
        self._stopped = threading.Event()
        self._called = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="relay", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._called.set()

    def call(self) -> None:
        """Has it look at once: a process died, and its hint with it."""
        self._called.set()

    def _loop(self) -> None:
        while not self._stopped.is_set():
            try:
                self._run_once()
            except SQLAlchemyError as error:
                self._expire_from = time.monotonic() + self._patience
                log.warning("relay waits for the database", error=str(error))
            except QueueUnavailableError as error:
                log.warning("relay waits for the broker", error=str(error))
            except Exception:  # a relay that ended would leave tasks lying
                log.exception("relay failed")
            self._called.wait(self._settings.interval_seconds)
            self._called.clear()

    def _run_once(self) -> None:
        now = self._clock.look()
        if now is not None and time.monotonic() >= self._expire_from:
            self._leases.expire_leases(now)
        self._clear()
        if time.monotonic() >= self._keep_house_from:
            self._keep_house()
            self._keep_house_from = time.monotonic() + HOUSEKEEPING_SECONDS
        waiting = self._queue.length()
        # A health check looks at this file's age: the worker lives, and has its database and its broker.
        self._alive.touch()
        # While hints wait, every process that could take one is busy and will look for more tasks by itself.
        if waiting == 0:
            claimable = self._claims.claimable(self._settings.hints)
            if claimable:
                self._queue.publish(claimable)
                log.info("hints published", count=claimable)
