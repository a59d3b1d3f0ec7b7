"""The events of tasks that a listener chose."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement

from image_processor.models import TaskEvent


@dataclass(frozen=True)
class TaskChoice:
    """Events of some tasks.

    :param task_ids: only of these; empty for all.
    """

    task_ids: Collection[int] = ()

    def conditions(self) -> Sequence[ColumnElement[bool]]:
        """Return the conditions on rows of events."""
        return [TaskEvent.task_id.in_(self.task_ids)] if self.task_ids else []

    def has(self, event: TaskEvent) -> bool:
        """Return whether the event is one of these."""
        return not self.task_ids or event.task_id in self.task_ids
