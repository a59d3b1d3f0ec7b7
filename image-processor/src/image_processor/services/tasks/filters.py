"""Filters that select the tasks of a request."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from service_kit.access.principals import LOCAL_OWNER, Principal
from sqlalchemy import ColumnElement, literal_column, or_
from sqlalchemy.orm import InstrumentedAttribute

from image_processor.models import Task, TaskStatus

UNENDED = (TaskStatus.PENDING, TaskStatus.PROCESSING)
RESTARTABLE = (TaskStatus.ERROR, TaskStatus.CANCELLED)
ENDED = (TaskStatus.FINISHED, *RESTARTABLE)


@dataclass(frozen=True)
class TaskFilter:
    """A filter of tasks: every condition must match one of its values; empty and ``None`` match all.

    :ivar cause: the key of the cause for which the tasks failed;
        :func:`image_processor.services.tasks.failures.failures_of` finds them.
    """

    ids: Collection[int] = ()
    statuses: Collection[TaskStatus] = ()
    algorithms: Collection[str] = ()
    source_ids: Collection[int] = ()
    batch_id: int | None = None
    cause: str | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        conditions: list[ColumnElement[bool]] = []
        if self.ids:
            conditions.append(Task.id.in_(self.ids))
        if self.statuses:
            # For an OR PostgreSQL combines the indexes of several statuses; for an IN it would read all tasks.
            conditions.append(or_(*(Task.status == status for status in self.statuses)))
        if self.algorithms:
            conditions.append(Task.algorithm.in_(self.algorithms))
        if self.source_ids:
            conditions.append(Task.source_id.in_(self.source_ids))
        if self.batch_id is not None:
            conditions.append(Task.batch_id == self.batch_id)
        return conditions


def visible_to(principal: Principal, owner: InstrumentedAttribute[str]) -> Sequence[ColumnElement[bool]]:
    """Return the conditions for a row to be visible.

    :param owner: the row's owner column; the rows of all owners but ``local`` have an index.
    """
    if principal.sees_all or principal.owner == LOCAL_OWNER:
        return [principal.owns(owner)]
    # SQLite uses the partial index of owners only if the statement repeats the index's condition.
    return [principal.owns(owner), owner != literal_column("'local'")]
