"""Manages task leases: renews them by a worker's heartbeat, ends those of dead processes and silent workers."""

from collections.abc import Collection, Sequence

import structlog
from service_kit.database import Database, epoch_now
from service_kit.texts import sentence
from sqlalchemy import ColumnElement, Double, bindparam, select, update

from image_processor.config import RetrySettings
from image_processor.models import Task, TaskStatus
from image_processor.services.causes import Cause, stored_problem
from image_processor.services.jobs.outcomes import Holder
from image_processor.services.jobs.transitions import (
    ENDS_NOW,
    PENDING,
    in_order,
    put_back,
    values_after_crash,
    values_after_loss,
)

log = structlog.get_logger()

MAX_EXPIRED = 1000
"""Maximum number of leases expired in one transaction."""

_HELD_CANCELLED = (Task.claimed_by == bindparam("worker")) & (Task.status == TaskStatus.CANCELLED)
_CANCELLED = select(Task.id).where(_HELD_CANCELLED)
_TAKE_CANCELLED = (
    update(Task)
    .where(in_order(_HELD_CANCELLED & Task.id.in_(bindparam("ids", expanding=True))))
    .values(claimed_by=None)
    .returning(Task.id, Task.process)
)
_EXPIRED = (
    select(Task.id)
    .where(Task.status == TaskStatus.PROCESSING, Task.lease_until < bindparam("now", type_=Double))
    .limit(MAX_EXPIRED)
    .with_for_update(skip_locked=True)
)


class LeaseService:
    """Changes leases, and the tasks of dead processes and lost workers."""

    def __init__(self, database: Database, retry: RetrySettings, lease_seconds: float) -> None:
        self._database = database
        self._retry = retry
        self._lease_seconds = lease_seconds

    def holding_processes(self, worker: str) -> Sequence[int]:
        """Return the ids of the worker's processes that hold a task."""
        held = _held_by(worker) & Task.process.is_not(None)
        with self._database.connect() as connection:
            return [process for process in connection.scalars(select(Task.process).where(held)) if process is not None]

    def heartbeat(self, worker: str, processes: Collection[int]) -> None:
        """Renew the leases of all tasks that these processes of the worker hold."""
        held = _held_by(worker) & Task.process.in_(processes)
        with self._database.begin() as connection:
            connection.execute(update(Task).where(in_order(held)).values(lease_until=epoch_now() + self._lease_seconds))

    def take_cancelled(self, worker: str) -> list[tuple[int, int]]:
        """Take the cancelled tasks that the worker still holds; return each with its process, which must be killed."""
        with self._database.connect() as connection:
            rows = connection.execute(_CANCELLED, {"worker": worker}).all()
        if not rows:
            return []
        with self._database.begin() as connection:
            # Skip tasks given up in the meantime: their processes work on other tasks by now.
            ids = [row.id for row in rows]
            taken = connection.execute(_TAKE_CANCELLED, {"worker": worker, "ids": ids}).all()
        return [(row.id, row.process) for row in taken if row.process is not None]

    def crashed(self, holder: Holder, reason: str) -> None:
        """Record that a process died; after too many crashes, a task that it held ends in error."""
        held = _held_by(holder.worker) & (Task.process == holder.process)
        with self._database.begin() as connection:
            values = values_after_crash(self._retry.max_crashes, reason)
            put_back(connection, in_order(held), values, reason)

    def overran(self, holder: Holder, task_id: int, attempt: int, reason: str) -> None:
        """End a task in error whose attempt exceeded the time limit; a retry would exceed it, too.

        The other tasks of the killed process become pending again without counting a crash.
        """
        held = _held_by(holder.worker) & (Task.process == holder.process)
        at_fault = held & (Task.id == task_id) & (Task.attempt == attempt)
        detail = sentence("Gave up: {reason}. Make the image smaller first, or choose other parameters.", reason=reason)
        with self._database.begin() as connection:
            # The first statement locks the batch of its task: a request that cancels the batch
            # locks all tasks before it locks the batch.
            connection.execute(select(Task.id).where(held).order_by(Task.id).with_for_update())
            problem = stored_problem(Cause.TASK_TOO_SLOW, detail)
            values = {"status": TaskStatus.ERROR, "error": str(detail), "error_problem": problem, **ENDS_NOW}
            put_back(connection, at_fault, values, reason)
            connection.execute(update(Task).where(in_order(held)).values(**PENDING))

    def expire_leases(self, now: float) -> None:
        """Make tasks with an expired lease pending again.

        Each counts a loss, not a crash: a machine may be lost for reasons unrelated to its tasks.

        :param now: seconds since the epoch by the database's clock, which was not set since the leases began. The clock
            is not read again here, because it may have been set since.
        """
        with self._database.begin() as connection:
            ids = connection.execute(_EXPIRED, {"now": now}).scalars().all()
            if ids:
                reason = sentence("its worker stopped answering")
                values = values_after_loss(self._retry.max_losses, reason)
                put_back(connection, Task.id.in_(ids), values, reason)

    def renew_all_leases(self) -> None:
        """Renew every lease after the database's clock was set."""
        with self._database.begin() as connection:
            held = in_order(Task.status == TaskStatus.PROCESSING)
            connection.execute(update(Task).where(held).values(lease_until=epoch_now() + self._lease_seconds))

    def release(self, worker: str, process: int | None = None) -> None:
        """Make all tasks that a worker or one of its processes holds pending again, without counting a crash."""
        held = _held_by(worker)
        if process is not None:
            held &= Task.process == process
        with self._database.begin() as connection:
            connection.execute(update(Task).where(in_order(held)).values(**PENDING))


def _held_by(worker: str) -> ColumnElement[bool]:
    return (Task.claimed_by == worker) & (Task.status == TaskStatus.PROCESSING)
