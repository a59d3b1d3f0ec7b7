"""Deletes ended tasks, and batches together with their last task. Files are kept."""

from collections.abc import Collection, Sequence

from service_kit.database import Database, epoch_now
from sqlalchemy import Connection, Double, bindparam, delete, func, select

from image_processor.models import Batch, Task
from image_processor.services.tasks.filters import ENDED

STEP = 1000
"""Maximum number of tasks examined in one transaction."""
MAX_STEPS = 50
"""Maximum number of steps per run, so that other chores get their turn."""

# Avoids NOT EXISTS, for which a planner may read all tasks to join them.
_HAS_NO_TASK = select(Task.id).where(Task.batch_id == Batch.id).limit(1).correlate(Batch).scalar_subquery().is_(None)


def delete_tasks(connection: Connection, ids: Collection[int]) -> None:
    """Delete tasks that this transaction has locked, and batches left without tasks."""
    deleted = delete(Task).where(Task.id.in_(ids)).returning(Task.batch_id)
    batches = sorted({batch_id for batch_id in connection.scalars(deleted) if batch_id is not None})
    if batches:
        # If two transactions delete the last tasks, the second to get the lock sees that no task is left.
        connection.execute(select(Batch.id).where(Batch.id.in_(batches)).order_by(Batch.id).with_for_update())
        connection.execute(delete(Batch).where(Batch.id.in_(batches), _HAS_NO_TASK))


class Retention:
    """Deletes tasks that ended long ago.

    It walks through the tasks by id and starts over at the first young ones, because ids grow with time. So it needs no
    index of the times, and reads few tasks that it does not delete.

    :param seconds: how long a task is kept after it has ended; 0 keeps all.
    """

    def __init__(self, database: Database, seconds: float) -> None:
        self._database = database
        self._seconds = seconds
        self._after = 0
        """The id after which the next step begins."""

    def run(self) -> int:
        """Delete due tasks in steps, and return their number; leave the rest to the next run."""
        deleted, goes_on, steps = 0, bool(self._seconds), 0
        while goes_on and steps < MAX_STEPS:
            count, goes_on = self._step()
            deleted += count
            steps += 1
        return deleted

    def _step(self) -> tuple[int, bool]:
        """Delete the due tasks among the next ones; return their number, and whether more old tasks may follow."""
        values = {"after": self._after, "seconds": self._seconds}
        with self._database.connect() as connection:
            rows = connection.execute(_NEXT, values).all()
        due = [row.id for row in rows if row.is_due]
        locked: Sequence[int] = []
        if due:
            with self._database.begin() as connection:
                locked = connection.scalars(_LOCK_DUE, {"ids": due, "seconds": self._seconds}).all()
                delete_tasks(connection, locked)
        goes_on = len(rows) == STEP and rows[-1].is_old
        self._after = rows[-1].id if goes_on else 0
        return len(locked), goes_on


_THEN = epoch_now() - bindparam("seconds", type_=Double)
# Rows without a recorded end were not changed after their end.
_IS_DUE = Task.status.in_(ENDED) & (func.coalesce(Task.ended_at, Task.updated_at) < _THEN)
_NEXT = (
    select(Task.id, _IS_DUE.label("is_due"), (Task.created_at < _THEN).label("is_old"))
    .where(Task.id > bindparam("after"))
    .order_by(Task.id)
    .limit(STEP)
)
_LOCK_DUE = (
    select(Task.id)
    .where(Task.id.in_(bindparam("ids", expanding=True)), _IS_DUE)
    .order_by(Task.id)
    .with_for_update(skip_locked=True)
)
