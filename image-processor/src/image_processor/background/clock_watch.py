"""A look at the database's clock: leases and delays rest on it, and somebody may set it."""

import time
from collections.abc import Callable

import structlog
from service_kit.database import Database, epoch_now
from sqlalchemy import select

log = structlog.get_logger()


class ClockWatch:
    """Compares the database's clock with this machine's monotonic one, which nobody sets.

    A machine that slept is noticed as well: its time of day went on, its monotonic clock did not.

    :param tolerance_seconds: a smaller difference is no step.
    :param on_step: what is to be done after one.
    """

    def __init__(self, database: Database, tolerance_seconds: float, on_step: Callable[[], None]) -> None:
        self._database = database
        self._tolerance_seconds = tolerance_seconds
        self._on_step = on_step
        self._ahead: float | None = None

    def look(self) -> float | None:
        """Does what is to be done, if the clock was set since the last look.

        :returns: seconds since the epoch by that clock; ``None`` where the answer came too late to compare it.
        :raises SQLAlchemyError: the database is away; the next look finds the step.
        """
        began = time.monotonic()
        with self._database.read() as session:
            now: float = session.scalars(select(epoch_now())).one()
        seconds = time.monotonic() - began
        if seconds > self._tolerance_seconds:
            return None
        ahead = now - began
        if self._ahead is not None and abs(ahead - self._ahead) > self._tolerance_seconds + seconds:
            log.warning("database clock was set", seconds=round(ahead - self._ahead, 3))
            self._on_step()
        self._ahead = ahead
        return now
