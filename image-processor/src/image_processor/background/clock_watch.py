"""Detects steps of the database's clock, on which leases and delays depend."""

import time
from collections.abc import Callable, Sequence

import structlog
from service_kit.database import Database, epoch_now
from sqlalchemy import select

log = structlog.get_logger()


class ClockWatch:
    """Compares the database's clock with this machine's monotonic clock, which cannot be set.

    A suspended machine looks like a step, too: its wall clock advanced, but its monotonic clock did not.

    :param tolerance_seconds: a smaller difference is not a step.
    :param on_step: functions to call in this order after a step.
    """

    def __init__(self, database: Database, tolerance_seconds: float, on_step: Sequence[Callable[[], None]]) -> None:
        self._database = database
        self._tolerance_seconds = tolerance_seconds
        self._on_step = on_step
        self._offset: float | None = None

    def check(self) -> float | None:
        """Call the ``on_step`` functions if the clock was set since the last check.

        :returns: seconds since the epoch by the database's clock; ``None`` if the response was too slow for a
            comparison.
        :raises SQLAlchemyError: the database is unavailable; the next check finds the step.
        """
        began = time.monotonic()
        with self._database.read() as session:
            now: float = session.execute(select(epoch_now())).scalar_one()
        elapsed = time.monotonic() - began
        if elapsed > self._tolerance_seconds:
            return None
        offset = now - began
        if self._offset is not None and abs(offset - self._offset) > self._tolerance_seconds + elapsed:
            log.warning("database clock was set", seconds=round(offset - self._offset, 3))
            for function in self._on_step:
                function()
        self._offset = offset
        return now
