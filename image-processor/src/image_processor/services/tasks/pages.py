"""Queries for a page of a list of tasks; regardless of its estimates, PostgreSQL reads few other tasks."""

from collections.abc import Sequence

from service_kit.access.principals import Principal
from sqlalchemy import ColumnElement, Select, literal_column, select, union_all
from sqlalchemy.orm import Session, aliased

from image_processor.models import Task, TaskStatus
from image_processor.services.tasks.failures import batch_of, cause_key
from image_processor.services.tasks.filters import TaskFilter, index_range, listed, visible_to

STEP = 1000
"""Number of failed tasks read at once to find those of one cause."""


def page_of(
    principal: Principal, wanted: TaskFilter, after: int, limit: int, *, newest_first: bool = False
) -> Select[Task]:
    """Return the query for at most ``limit`` matching tasks after the id ``after``, in the order of their ids."""
    if not wanted.is_of_statuses:
        return _filtered(principal, wanted, after, limit, newest_first=newest_first)
    parts = [
        _in_status(principal, status, after, limit, newest_first=newest_first)
        for status in dict.fromkeys(wanted.statuses) or [None]
    ]
    if len(parts) == 1:
        return parts[0]
    # For an OR or an IN, PostgreSQL would read the tasks in all statuses in the order of their ids.
    task = aliased(Task, union_all(*(select(part.subquery()) for part in parts)).subquery())
    return select(task).order_by(task.id.desc() if newest_first else task.id.asc()).limit(limit)


def page_of_cause(
    session: Session,
    cause: str,
    principal: Principal,
    wanted: TaskFilter,
    after: int,
    limit: int,
    *,
    newest_first: bool = False,
) -> Sequence[Task]:
    """Return the tasks of :func:`page_of` that failed for one cause.

    Only the error of a task says its cause, so read the failed tasks of the batch in steps.

    :param cause: the key of the cause; an unknown one has no tasks.
    """
    found: list[Task] = []
    batch_id = batch_of(cause)
    while batch_id is not None and len(found) < limit:
        # An expression makes the planner sort the tasks of the batch instead of reading all tasks in id order.
        key = Task.id + literal_column("0")
        conditions = _conditions(principal, wanted, after, newest_first=newest_first)
        failed = select(Task).where(*conditions, Task.batch_id == batch_id, Task.status == TaskStatus.ERROR)
        rows = session.scalars(failed.order_by(key.desc() if newest_first else key.asc()).limit(STEP)).all()
        found += [task for task in rows if cause_key(batch_id, task.error or "", task.error_problem) == cause]
        if len(rows) < STEP:
            break
        after = rows[-1].id
    return found[:limit]


def _in_status(
    principal: Principal, status: TaskStatus | None, after: int, limit: int, *, newest_first: bool
) -> Select[Task]:
    if status == TaskStatus.PROCESSING:
        return _filtered(principal, TaskFilter(statuses=[status]), after, limit, newest_first=newest_first)
    conditions, order = index_range(principal, status, after, newest_first=newest_first)
    return select(Task).where(*conditions).order_by(*order).limit(limit)


def _filtered(principal: Principal, wanted: TaskFilter, after: int, limit: int, *, newest_first: bool) -> Select[Task]:
    conditions = _conditions(principal, wanted, after, newest_first=newest_first)
    if wanted.statuses and TaskStatus.PROCESSING not in wanted.statuses:
        conditions += listed(principal)
    # An expression makes the planner sort the tasks of a batch, or those that workers hold, instead of reading all
    # tasks in the order of their ids.
    is_small = wanted.batch_id is not None or tuple(wanted.statuses) == (TaskStatus.PROCESSING,)
    key = Task.id + literal_column("0") if is_small else Task.id
    return select(Task).where(*conditions).order_by(key.desc() if newest_first else key.asc()).limit(limit)


def _conditions(
    principal: Principal, wanted: TaskFilter, after: int, *, newest_first: bool
) -> list[ColumnElement[bool]]:
    conditions = [*visible_to(principal, Task.owner), *wanted.conditions()]
    if after:
        conditions.append(Task.id < after if newest_first else Task.id > after)
    return conditions
