"""Cancels and restarts tasks that a transaction has locked."""

from collections.abc import Collection

from sqlalchemy import Connection, update

from image_processor.models import Task, TaskStatus
from image_processor.services.jobs.transitions import ENDS_NOW, discard_results


def cancel_tasks(connection: Connection, ids: Collection[int]) -> None:
    """Cancel tasks that have not ended; their workers will notice, and the results are discarded."""
    discard_results(connection, Task.id.in_(ids) & (Task.attempt > 0))
    values = {"status": TaskStatus.CANCELLED, "lease_until": None, **ENDS_NOW}
    connection.execute(update(Task).where(Task.id.in_(ids)).values(values))


def restart_tasks(connection: Connection, ids: Collection[int]) -> None:
    """Make tasks that failed or were cancelled pending again."""
    values = {
        "status": TaskStatus.PENDING,
        "error": None,
        "error_problem": None,
        "crashes": 0,
        "losses": 0,
        "retry_seconds": 0.0,
        "claimed_by": None,
        "process": None,
        # Yields a new idempotency key, because the old key may be revoked.
        "restarts": Task.restarts + 1,
        "due_at": 0.0,
        "started_at": None,
        "ended_at": None,
    }
    connection.execute(update(Task).where(Task.id.in_(ids)).values(values))
