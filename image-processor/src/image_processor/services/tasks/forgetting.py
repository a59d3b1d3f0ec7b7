"""Deletes ended tasks, and batches together with their last task. Files are kept."""

import time
from collections.abc import Collection, Sequence

from service_kit.database import Database, epoch_now
from sqlalchemy import Connection, Double, bindparam, delete, func, select

from image_processor.models import Batch, Task
from image_processor.services.tasks.filters import ENDED

STEP = 1000
"""Maximum number of tasks examined in one transaction. A run that deletes as many may leave some to the next."""
MAX_SECONDS = 10.0
"""Seconds after which a run starts no further step, so that other chores get their turn."""

BEGIN_AGAIN_SECONDS = 3600.0
"""After this time a walk begins at the first id, so that it also finds tasks with unexpected ids, such as those that an
operator has copied from a backup."""

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

    It walks through the tasks by id up to the first young ones, because ids grow with time. So it needs no index of the
    times, and reads few tasks that it does not delete. The next walk begins at the first task that this one has kept:
    while an old snapshot is held, the index has an entry for each deleted task, and a walk from the first id would read
    all of them. Only one walk an hour does.

    :param seconds: how long a task is kept after it has ended; 0 keeps all.
    """

    def __init__(self, database: Database, seconds: float) -> None:
        self._database = database
        self._seconds = seconds
        self._after = 0
        """The id after which the next step begins."""
        self._first_kept: int | None = None
        """The first task that this walk has not deleted."""
        self._begin_again_at = time.monotonic() + BEGIN_AGAIN_SECONDS

    def run(self) -> int:
        """Delete due tasks and return their number: :data:`STEP` or a few more if as many are due."""
        if time.monotonic() >= self._begin_again_at:
            self._after, self._first_kept = 0, None
            self._begin_again_at = time.monotonic() + BEGIN_AGAIN_SECONDS
        deadline = time.monotonic() + MAX_SECONDS
        deleted, goes_on = 0, bool(self._seconds)
        while goes_on and deleted < STEP and time.monotonic() < deadline:
            count, goes_on = self._step()
            deleted += count
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
        if self._first_kept is None:
            gone = set(locked)
            self._first_kept = next((row.id for row in rows if row.id not in gone), None)
        if goes_on or self._first_kept is None:
            self._after = rows[-1].id if rows else self._after
        else:
            self._after, self._first_kept = self._first_kept - 1, None
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
