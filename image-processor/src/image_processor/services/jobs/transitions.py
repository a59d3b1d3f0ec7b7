"""Values and statements for status changes of tasks, shared by claims and leases."""

from collections.abc import Mapping

import structlog
from service_kit.database import dialect_of, epoch_now, insert_or_ignore
from service_kit.texts import counted
from sqlalchemy import ColumnElement, Connection, case, select, update
from sqlalchemy.orm import InstrumentedAttribute

from image_processor.models import DiscardedResult, Task, TaskStatus
from image_processor.services.causes import Cause, stored_problem

log = structlog.get_logger()

UNHELD = {"lease_until": None, "claimed_by": None, "process": None}
ENDS_NOW = {"ended_at": epoch_now()}
PENDING = {"status": TaskStatus.PENDING, "due_at": 0.0, **UNHELD}
_RESULT_KEY = Task.result_key.concat("-").concat(Task.restarts)


def has_status(status: TaskStatus) -> ColumnElement[bool]:
    """Return a status condition for tasks selected by id, which the planner does not look up in a status index.

    While an old snapshot is held, such an index has an entry for each task that ever had the status. The planner
    ignores these dead entries and would prefer the index to finding a few tasks by id.
    """
    return Task.status.concat("") == status.value


def in_order(which: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return the condition for the same tasks, locked by ascending id so that two transactions never deadlock."""
    return Task.id.in_(select(Task.id).where(which).order_by(Task.id).with_for_update())


def values_after_crash(max_crashes: int, reason: str) -> dict[str, object]:
    """Return values that count a crash and make a task pending again, or end it in error after ``max_crashes``."""
    detail = counted(
        "Gave up after {crashes} crash: {reason}.",
        "Gave up after {crashes} crashes: {reason}.",
        "crashes",
        crashes=max_crashes,
        reason=reason,
    )
    return _pending_or_given_up(Task.crashes, max_crashes, Cause.TOO_MANY_CRASHES, detail)


def values_after_loss(max_losses: int, reason: str) -> dict[str, object]:
    """Return values that count a lost worker and make a task pending again, or end it in error after ``max_losses``."""
    detail = counted(
        "Gave up after {losses} lost worker: {reason}.",
        "Gave up after {losses} lost workers: {reason}.",
        "losses",
        losses=max_losses,
        reason=reason,
    )
    return _pending_or_given_up(Task.losses, max_losses, Cause.TOO_MANY_LOSSES, detail)


def _pending_or_given_up(
    counter: InstrumentedAttribute[int], most: int, cause: Cause, detail: str
) -> dict[str, object]:
    given_up = counter + 1 >= most
    return {
        counter.key: counter + 1,
        "status": case((given_up, TaskStatus.ERROR), else_=TaskStatus.PENDING),
        "error": case((given_up, str(detail)), else_=None),
        "error_problem": case((given_up, stored_problem(cause, detail)), else_=None),
        "ended_at": case((given_up, epoch_now()), else_=None),
        "due_at": 0.0,
    }


def put_back(connection: Connection, which: ColumnElement[bool], values: Mapping[str, object], reason: str) -> None:
    """Take tasks away from a dead process.

    :param values: the new values of the rows, for example from :func:`values_after_crash`.
    """
    changed = connection.execute(
        update(Task).where(which).values(**UNHELD, **values).returning(Task.id, Task.status)
    ).all()
    discard_results(connection, Task.id.in_([row.id for row in changed if row.status == TaskStatus.ERROR]))
    for row in changed:
        log.warning("worker process lost", task_id=row.id, status=row.status, reason=reason)


def discard_results(connection: Connection, which: ColumnElement[bool]) -> None:
    """Mark results for deletion that earlier attempts at these tasks may have uploaded."""
    found = connection.execute(select(_RESULT_KEY, Task.owner).where(which)).all()
    if found:
        rows = [{"key": key, "owner": owner} for key, owner in found]
        connection.execute(insert_or_ignore(dialect_of(connection), DiscardedResult), rows)
