"""Filters that select the tasks of a request."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from service_kit.access.principals import LOCAL_OWNER, Principal
from sqlalchemy import ColumnElement, SQLColumnExpression, literal_column, or_, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from image_processor.models import Task, TaskStatus

UNENDED = (TaskStatus.PENDING, TaskStatus.PROCESSING)
RESTARTABLE = (TaskStatus.ERROR, TaskStatus.CANCELLED)
ENDED = (TaskStatus.FINISHED, *RESTARTABLE)
_LISTED = (Task.status != literal_column("'processing'"), Task.losses >= literal_column("0"))


@dataclass(frozen=True)
class TaskFilter:
    """A filter of tasks: every condition must match one of its values; empty and ``None`` match all.

    :ivar cause: the key of the cause for which the tasks failed;
        :func:`image_processor.services.tasks.pages.page_of_cause` finds them.
    """

    ids: Collection[int] = ()
    statuses: Collection[TaskStatus] = ()
    algorithms: Collection[str] = ()
    source_ids: Collection[int] = ()
    batch_id: int | None = None
    cause: str | None = None

    @property
    def is_of_statuses(self) -> bool:
        """Whether tasks must match nothing but their status."""
        named = self.ids or self.algorithms or self.source_ids
        return not named and self.batch_id is None and self.cause is None

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


def listed(principal: Principal) -> Sequence[ColumnElement[bool]]:
    """Return conditions that each task which is visible and not processing meets.

    The planner uses the partial indexes of these tasks only if a statement repeats the index's conditions as literals.
    """
    if principal.sees_all or principal.owner == LOCAL_OWNER:
        return _LISTED
    return [*_LISTED, Task.owner.concat(literal_column("''")) != literal_column("'local'")]


def index_range(
    principal: Principal, status: TaskStatus | None, after: int, *, newest_first: bool
) -> tuple[Sequence[ColumnElement[bool]], Sequence[ColumnElement[object]]]:
    """Return the conditions, and the order by id, of the visible tasks in a status: a range of one index.

    With equalities PostgreSQL would sort by id alone: it might read the tasks of all owners, or in all statuses, in the
    order of their ids. Only one index has the order of these rows of columns.

    :param status: ``None`` for all; not ``processing``.
    :param after: the id before the first one, or 0.
    """
    columns: list[SQLColumnExpression[object]] = []
    values: list[object] = []
    conditions: list[ColumnElement[bool]] = []
    if principal.sees_all or principal.owner == LOCAL_OWNER:
        conditions.append(principal.owns(Task.owner))
    else:
        columns.append(Task.owner)
        values.append(principal.owner)
    if status is None and columns:
        conditions.append(Task.owner != literal_column("'local'"))
    if status is not None:
        conditions += listed(principal)
        columns.append(Task.status)
        values.append(status.value)
    # Only one condition may bound each end: PostgreSQL would start at the looser one.
    keys, group = [*columns, Task.id], tuple_(*columns)
    position = (*values, after)
    if after:
        conditions.append(tuple_(*keys) < tuple_(*position) if newest_first else tuple_(*keys) > tuple_(*position))
    if columns and not (after and newest_first):
        conditions.append(group <= tuple_(*values))
    if columns and not (after and not newest_first):
        conditions.append(group >= tuple_(*values))
    return conditions, [key.desc() if newest_first else key.asc() for key in keys]
