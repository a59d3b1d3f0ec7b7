"""Statistics of tasks for the web page: of an owner, or of all owners for an administrator."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service_kit.access.principals import Principal
from service_kit.database import Database, epoch_now
from service_kit.remembered import Remembered
from sqlalchemy import ColumnElement, Select, func, literal, select, union_all
from sqlalchemy.orm import Session

from image_processor.models import Task, TaskEvent, TaskStatus
from image_processor.models.task import PRIORITIES
from image_processor.services.tasks.ended import ENDS, MAX_PROCESSING, DayOfEnds, ends_by_day, tasks_by_status
from image_processor.services.tasks.metrics import OLDEST_PENDING_SECONDS

REMEMBERED_SECONDS = 1.0
"""Time for which numbers are cached, regardless of how many pages request them."""
MAX_EVENTS = 50_000
"""Maximum number of events of the last minute to count; the newest are counted."""
MAX_WORKERS = 100


@dataclass(frozen=True)
class BusyWorker:
    """A worker that holds tasks.

    :param processes: number of its processes that hold tasks.
    """

    name: str
    processes: int
    tasks: int


@dataclass(frozen=True)
class TaskNumbers:
    """Numbers of tasks.

    :param tasks: tasks by status.
    :param ended: tasks that ended within the last minute, by status; less than a minute if there are very many.
    :param workers: ``None`` unless the numbers are those of all owners.
    :param days: the last days, the earliest first.
    """

    tasks: Mapping[TaskStatus, int]
    oldest_pending_seconds: float | None
    ended: Mapping[TaskStatus, int]
    workers: Sequence[BusyWorker] | None
    days: Sequence[DayOfEnds]


class TaskStats:
    """Reads counters, and counts tasks with queries of limited cost."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._remembered = Remembered[TaskNumbers](REMEMBERED_SECONDS)

    def of(self, principal: Principal) -> TaskNumbers:
        """Return the numbers of the tasks that a principal can see, at most :data:`REMEMBERED_SECONDS` old."""
        owner = None if principal.sees_all else principal.owner
        return self._remembered.get(owner, lambda: self._read(owner))

    def _read(self, owner: str | None) -> TaskNumbers:
        with self._database.read() as session:
            oldest = session.execute(OLDEST_PENDING_SECONDS if owner is None else _oldest_of_owner(owner)).scalar_one()
            return TaskNumbers(
                tasks=tasks_by_status(session, owner),
                # A clock that was set back would make the age negative.
                oldest_pending_seconds=None if oldest is None else max(0.0, oldest),
                ended=_ended(session, owner),
                workers=_workers(session) if owner is None else None,
                days=ends_by_day(session, owner),
            )


def _oldest_of_owner(owner: str) -> Select[float | None]:
    priorities = union_all(*(select(literal(priority).label("priority")) for priority in PRIORITIES)).subquery()
    first = (
        select(Task.created_at)
        # With an equality, PostgreSQL sorts by id alone and may read the primary key through all ended tasks.
        .where(
            Task.status == TaskStatus.PENDING,
            Task.priority == priorities.c.priority,
            Task.owner.between(owner, owner),
        )
        .order_by(Task.priority.desc(), Task.owner, Task.id)
        .limit(1)
        .correlate(priorities)
        .scalar_subquery()
    )
    oldest = select(first.label("created_at")).select_from(priorities).subquery()
    return select(epoch_now() - func.min(oldest.c.created_at))


def _ended(session: Session, owner: str | None) -> Mapping[TaskStatus, int]:
    newest = (
        select(TaskEvent.status, TaskEvent.owner)
        .where(TaskEvent.created_at > epoch_now() - 60, TaskEvent.task_id > 0)
        .order_by(TaskEvent.created_at.desc())
        .limit(MAX_EVENTS)
        .subquery()
    )
    conditions: list[ColumnElement[bool]] = [newest.c.status.in_(ENDS)]
    if owner is not None:
        conditions.append(newest.c.owner == owner)
    statement = select(newest.c.status, func.count()).where(*conditions).group_by(newest.c.status)
    counts = dict.fromkeys(ENDS, 0)
    for status, count in session.execute(statement):
        counts[status] = count
    return counts


def _workers(session: Session) -> Sequence[BusyWorker]:
    held = (
        select(Task.claimed_by, Task.process)
        .where(Task.status == TaskStatus.PROCESSING)
        .order_by(Task.lease_until)
        .limit(MAX_PROCESSING)
        .subquery()
    )
    statement = (
        select(held.c.claimed_by, func.count(held.c.process.distinct()), func.count())
        .where(held.c.claimed_by.is_not(None))
        .group_by(held.c.claimed_by)
        .order_by(held.c.claimed_by)
        .limit(MAX_WORKERS)
    )
    return [BusyWorker(name, processes, tasks) for name, processes, tasks in session.execute(statement)]
