"""The events of tasks, in the order of their commits."""

from collections.abc import Collection, Sequence
from typing import NamedTuple, Self

from service_kit.database import MAX_ID, Database, epoch_now, oldest_running_transaction
from sqlalchemy import delete, select, tuple_

from image_processor.models import TaskEvent


class Position(NamedTuple):
    """The position of an event; its text form is the event's id in the stream."""

    transaction_id: int
    id: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse the text form.

        :raises ValueError: the text is not a position.
        """
        transaction_id, event_id = (int(part) for part in text.split("-"))
        if not (0 <= transaction_id <= MAX_ID and 0 <= event_id <= MAX_ID):
            raise ValueError("out of range")
        return cls(transaction_id, event_id)

    def __str__(self) -> str:
        return f"{self.transaction_id}-{self.id}"


class TaskEvents:
    """Reads and deletes events; a database trigger writes them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def latest(self) -> Position:
        """Return the position of the newest event."""
        newest = (
            select(TaskEvent.transaction_id, TaskEvent.id)
            .where(TaskEvent.transaction_id < oldest_running_transaction())
            .order_by(TaskEvent.transaction_id.desc(), TaskEvent.id.desc())
            .limit(1)
        )
        with self._database.read() as session:
            row = session.execute(newest).first()
        return Position(0, 0) if row is None else Position(row.transaction_id, row.id)

    def after(
        self,
        position: Position,
        limit: int,
        task_ids: Collection[int] = (),
        owner: str | None = None,
        batch_id: int | None = None,
    ) -> Sequence[TaskEvent]:
        """Return at most ``limit`` events after ``position``.

        :param task_ids: only of these tasks; empty for all.
        :param owner: only of this owner's tasks.
        :param batch_id: only of the tasks of this batch.
        """
        order = tuple_(TaskEvent.transaction_id, TaskEvent.id)
        statement = (
            select(TaskEvent)
            .where(order > position, TaskEvent.transaction_id < oldest_running_transaction())
            .order_by(TaskEvent.transaction_id, TaskEvent.id)
            .limit(limit)
        )
        if task_ids:
            statement = statement.where(TaskEvent.task_id.in_(task_ids))
        if owner is not None:
            statement = statement.where(TaskEvent.owner == owner)
        if batch_id is not None:
            statement = statement.where(TaskEvent.batch_id == batch_id)
        with self._database.read() as session:
            return session.scalars(statement).all()

    def forget_older_than(self, seconds: float) -> None:
        with self._database.write() as session:
            session.execute(delete(TaskEvent).where(TaskEvent.created_at < epoch_now() - seconds))


def position_of(event: TaskEvent) -> Position:
    return Position(event.transaction_id, event.id)
