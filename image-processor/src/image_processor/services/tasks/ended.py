"""Counts tasks by status and by the day of their end, from counters that triggers maintain."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from service_kit.database import Database, dialect_of, epoch_now
from sqlalchemy import BigInteger, Connection, Select, cast, delete, func, insert, select, tuple_
from sqlalchemy import Sequence as DatabaseSequence
from sqlalchemy.orm import Session

from image_processor.models import EndedTasks, Task, TaskStatus, UnendedTasks

DAYS = 30
"""Number of days that :func:`ends_by_day` returns; earlier counts are folded into rows without a day."""
MAX_ROWS = 200
"""Number of rows that an owner may have before they are folded; folding leaves three rows for each day."""
MAX_FOLDED = 100_000
"""Maximum number of rows folded in one transaction."""

MAX_PROCESSING = 100_000
"""Counting stops here. Each of these tasks has, or had within the time of a lease, a process that works on it."""

ENDS = (TaskStatus.FINISHED, TaskStatus.ERROR, TaskStatus.CANCELLED)

_TASKS = cast(func.coalesce(func.sum(EndedTasks.tasks), 0), BigInteger)
_KEY = tuple_(EndedTasks.owner, EndedTasks.status, EndedTasks.day, EndedTasks.part)


class DayOfEnds(NamedTuple):
    """Number of tasks that ended on a day, by status, including tasks restarted or deleted since.

    :param day: the UTC date, such as ``2026-11-29``.
    """

    day: str
    tasks: Mapping[TaskStatus, int]


def tasks_by_status(session: Session, owner: str | None) -> Mapping[TaskStatus, int]:
    """Return the number of tasks in each status, of an owner or of all."""
    unended = select(cast(func.coalesce(func.sum(UnendedTasks.tasks), 0), BigInteger))
    ended = select(EndedTasks.status, _TASKS).group_by(EndedTasks.status)
    if owner is not None:
        unended, ended = unended.where(UnendedTasks.owner == owner), ended.where(EndedTasks.owner == owner)
    # Pending tasks are the difference, so both numbers must come from one statement and one state of the database.
    one_state = select(unended.scalar_subquery(), processing(owner).scalar_subquery())
    [(unended_tasks, processing_tasks)] = session.execute(one_state)
    counts = {TaskStatus.PENDING: unended_tasks - processing_tasks, TaskStatus.PROCESSING: processing_tasks}
    found = {TaskStatus(status): tasks for status, tasks in session.execute(ended)}
    return {**counts, **{status: found.get(status, 0) for status in ENDS}}


def processing(owner: str | None) -> Select[int]:
    """Return the query for the number of tasks in processing, of an owner or of all."""
    held = select(Task.id).where(Task.status == TaskStatus.PROCESSING)
    if owner is not None:
        held = held.where(Task.owner == owner)
    # Ordered like the index, so that the planner uses it.
    return select(func.count()).select_from(held.order_by(Task.lease_until).limit(MAX_PROCESSING).subquery())


def ends_by_day(session: Session, owner: str | None) -> Sequence[DayOfEnds]:
    """Return the number of tasks that ended on each of the last :data:`DAYS` days, the earliest first."""
    days = _last_days(session.execute(select(epoch_now())).scalar_one(), DAYS)
    statement = select(EndedTasks.day, EndedTasks.status, _TASKS).where(EndedTasks.day >= days[0])
    if owner is not None:
        statement = statement.where(EndedTasks.owner == owner)
    found = {(day, status): tasks for day, status, tasks in session.execute(statement.group_by("day", "status"))}
    return [DayOfEnds(day, {status: found.get((day, status), 0) for status in ENDS}) for day in days]


def _last_days(now: float, days: int) -> Sequence[str]:
    today = datetime.fromtimestamp(now, UTC).date()
    return [(today - timedelta(days=back)).isoformat() for back in reversed(range(days))]


def fold(database: Database) -> int:
    """Fold the rows of owners with many rows into one for each status and day; return the number of these owners."""
    with database.connect() as connection:
        many = select(EndedTasks.owner).group_by(EndedTasks.owner).having(func.count() > MAX_ROWS)
        owners = connection.scalars(many).all()
        now = connection.execute(select(epoch_now())).scalar_one()
    # One more day than a page shows: a new day may begin before the page's request.
    [first, *_] = _last_days(now, DAYS + 1)
    for owner in owners:
        with database.begin() as connection:
            _fold(connection, owner, first)
    return len(owners)


def _fold(connection: Connection, owner: str, first_day: str) -> None:
    rows = select(EndedTasks.owner, EndedTasks.status, EndedTasks.day, EndedTasks.part)
    taken = rows.where(EndedTasks.owner == owner).limit(MAX_FOLDED).with_for_update(skip_locked=True)
    deleted = delete(EndedTasks).where(_KEY.in_(taken))
    sums = Counter[tuple[str, str]]()
    for status, day, tasks in connection.execute(
        deleted.returning(EndedTasks.status, EndedTasks.day, EndedTasks.tasks)
    ):
        sums[status, day if day >= first_day else ""] += tasks
    if not sums:
        return
    folded = [{"owner": owner, "status": status, "day": day, "tasks": sums[status, day]} for status, day in sums]
    if dialect_of(connection) == "postgresql":
        connection.execute(insert(EndedTasks).values(part=DatabaseSequence("ended_tasks_part").next_value()), folded)
    else:
        connection.execute(insert(EndedTasks), [{**row, "part": 0} for row in folded])
