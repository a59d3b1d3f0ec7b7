"""A worker's leases: renewed by its heartbeat, and ended where a process dies or the worker falls silent."""

from collections.abc import Collection, Sequence

import structlog
from service_kit.database import Database, epoch_now
from sqlalchemy import ColumnElement, Double, bindparam, select, update

from image_processor.config import RetrySettings
from image_processor.models import Task, TaskStatus
from image_processor.services.jobs.outcomes import Holder
from image_processor.services.jobs.transitions import (
    PENDING,
    UNHELD,
    discard_results,
    in_order,
    pending_or_given_up,
    put_back,
)

log = structlog.get_logger()

EXPIRED_AT_ONCE = 1000

_HELD_CANCELLED = (Task.claimed_by == bindparam("worker")) & (Task.status == TaskStatus.CANCELLED)
_CANCELLED = select(Task.id).where(_HELD_CANCELLED)
_TAKE_CANCELLED = (
    update(Task)
    .where(_HELD_CANCELLED, Task.id.in_(bindparam("ids", expanding=True)))
    .values(claimed_by=None)
    .returning(Task.id, Task.process)
)
_EXPIRED = (
    select(Task.id)
    .where(Task.status == TaskStatus.PROCESSING, Task.lease_until < bindparam("now", type_=Double))
    .limit(EXPIRED_AT_ONCE)
    .with_for_update(skip_locked=True)
)


class LeaseService:
    """The leases of all workers, and what becomes of tasks whose process or worker is gone."""

    def __init__(self, database: Database, retry: RetrySettings, lease_seconds: float) -> None:
        self._database = database
        self._retry = retry
        self._lease_seconds = lease_seconds

    def holding_processes(self, worker: str) -> Sequence[int]:
        """Return the ids of the worker's processes that hold a task."""
        held = (Task.claimed_by == worker) & (Task.status == TaskStatus.PROCESSING) & Task.process.is_not(None)
        with self._database.connect() as connection:
            return [process for process in connection.scalars(select(Task.process).where(held)) if process is not None]

    def heartbeat(self, worker: str, processes: Collection[int]) -> None:
        """Renew the leases of all that these processes of the worker hold."""
        held = (Task.claimed_by == worker) & (Task.status == TaskStatus.PROCESSING) & Task.process.in_(processes)
        with self._database.begin() as connection:
            connection.execute(update(Task).where(in_order(held)).values(lease_until=epoch_now() + self._lease_seconds))

    def take_cancelled(self, worker: str) -> list[tuple[int, int]]:
        """Return the tasks that were cancelled while the worker held them, each with the process to be stopped."""
        with self._database.connect() as connection:
            rows = connection.execute(_CANCELLED, {"worker": worker}).all()
        if not rows:
            return []
        with self._database.begin() as connection:
            # Only those not let go of meanwhile: their processes work on something else by now.
            ids = [row.id for row in rows]
            stopped = connection.execute(_TAKE_CANCELLED, {"worker": worker, "ids": ids}).all()
        return [(row.id, row.process) for row in stopped if row.process is not None]

    def crashed(self, holder: Holder, reason: str) -> None:
        """Record that a process died; after too many crashes the task it held ends in error."""
        held = _held_by(holder)
        with self._database.begin() as connection:
            values = pending_or_given_up(Task.crashes, self._retry.max_crashes, reason)
            put_back(connection, in_order(held), values, reason)

    def overran(self, holder: Holder, task_id: int, attempt: int, reason: str) -> None:
        """End a task in error whose attempt took too long, and would again: its process was killed.

        What else the process held did nothing wrong, and is handed back.
        """
        held = _held_by(holder)
        at_fault = held & (Task.id == task_id) & (Task.attempt == attempt)
        detail = f"Gave up: {reason}. Make the image smaller first, or choose other parameters."
        with self._database.begin() as connection:
            ended = (
                update(Task).where(at_fault).values(**UNHELD, status=TaskStatus.ERROR, error=detail).returning(Task.id)
            )
            for ended_id in connection.scalars(ended).all():
                discard_results(connection, Task.id == ended_id)
                log.warning("worker process lost", task_id=ended_id, status=TaskStatus.ERROR, reason=reason)
            connection.execute(update(Task).where(in_order(held)).values(**PENDING))

    def expire_leases(self, now: float) -> None:
        """Put back the tasks whose worker has not come back in time.

        That counts as a loss, not as a crash: a machine that is lost says nothing of the tasks it held.

        :param now: seconds since the epoch by the database's clock, which was not set since the leases began; it may be
            set at any moment, so that it is not asked again.
        """
        with self._database.begin() as connection:
            ids = connection.execute(_EXPIRED, {"now": now}).scalars().all()
            if ids:
                reason = "its worker stopped answering"
                values = pending_or_given_up(Task.losses, self._retry.max_losses, reason)
                put_back(connection, Task.id.in_(ids), values, reason)

    def renew_all_leases(self) -> None:
        """Begin every lease again, as the database's clock has been set: no worker is late, and none ahead."""
        with self._database.begin() as connection:
            held = in_order(Task.status == TaskStatus.PROCESSING)
            connection.execute(update(Task).where(held).values(lease_until=epoch_now() + self._lease_seconds))

    def release(self, worker: str, process: int | None = None) -> None:
        """Hand back everything that a worker, or one process of it, holds."""
        held = (Task.status == TaskStatus.PROCESSING) & (Task.claimed_by == worker)
        if process is not None:
            held &= Task.process == process
        with self._database.begin() as connection:
            connection.execute(update(Task).where(in_order(held)).values(**PENDING))


def _held_by(holder: Holder) -> ColumnElement[bool]:
    held = (Task.status == TaskStatus.PROCESSING) & (Task.claimed_by == holder.worker)
    return held & (Task.process == holder.process)
