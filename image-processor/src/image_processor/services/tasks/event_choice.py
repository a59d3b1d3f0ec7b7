"""Selects the task events that a listener wants."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from service_kit.events.rows import Key
from sqlalchemy import ColumnElement

from image_processor.models import TaskEvent


@dataclass(frozen=True)
class TaskChoice:
    """A choice of task events.

    :param task_ids: only events of these tasks; empty for all.
    :param batch_id: only events of the tasks of this batch; ``None`` for all.
    """

    task_ids: Collection[int] = ()
    batch_id: int | None = None

    def conditions(self) -> Sequence[ColumnElement[bool]]:
        """Return the conditions on event rows."""
        conditions: list[ColumnElement[bool]] = []
        if self.task_ids:
            conditions.append(TaskEvent.task_id.in_(self.task_ids))
        if self.batch_id is not None:
            conditions.append(TaskEvent.batch_id == self.batch_id)
        return conditions

    def keys(self) -> Collection[Key]:
        """Return the keys of the tasks, or else of the batch."""
        if self.task_ids or self.batch_id is None:
            return [("task", task_id) for task_id in self.task_ids]
        return [("batch", self.batch_id)]

    def has(self, event: TaskEvent) -> bool:
        """Return whether the choice includes the event."""
        is_of_batch = self.batch_id is None or event.batch_id == self.batch_id
        return is_of_batch and (not self.task_ids or event.task_id in self.task_ids)
