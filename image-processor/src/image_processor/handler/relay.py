"""The relay: puts back what dead workers held and publishes again what is overdue, as a thread of every worker."""

import threading
from collections.abc import Sequence
from pathlib import Path

import structlog
from sqlalchemy.exc import SQLAlchemyError

from image_processor.config import RelaySettings
from image_processor.services.claims import ClaimService
from image_processor.services.queue import QueueUnavailableError, TaskQueue

log = structlog.get_logger()


class Relay:
    """Any number of relays may run: the rows they work on are locked for the others."""

    def __init__(self, claims: ClaimService, queue: TaskQueue, settings: RelaySettings, alive: Path) -> None:
        self._alive = alive
        self._claims = claims
        self._queue = queue
        self._settings = settings
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="relay", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()

    def _loop(self) -> None:
        while not self._stopped.wait(self._settings.interval_seconds):
            try:
                self._run_once()
            except (SQLAlchemyError, QueueUnavailableError) as error:
                log.warning("relay waits", error=str(error))
            except Exception:  # a relay that ended would leave tasks lying
                log.exception("relay failed")

    def _run_once(self) -> None:
        self._claims.expire_leases()
        waiting = self._queue.length()
        # A health check looks at this file's age: the worker lives, and has its database and its broker.
        self._alive.touch()
        # While messages wait, an overdue one is late but not lost: sending it again would only lengthen the queue.
        if waiting < self._settings.batch:
            overdue = self._claims.take_overdue(self._settings.batch, self._settings.overdue_seconds)
            if overdue:
                self._publish(overdue)

    def _publish(self, task_ids: Sequence[int]) -> None:
        try:
            self._queue.publish(task_ids)
        except QueueUnavailableError:
            self._claims.call_overdue(task_ids)
            raise
        log.info("overdue tasks published", count=len(task_ids))
