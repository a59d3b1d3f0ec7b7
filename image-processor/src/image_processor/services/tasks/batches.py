"""Reads batches for users: their tasks by status, their progress, and the causes of errors."""

import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from service_kit.access.principals import Principal
from service_kit.database import MAX_ID, Database, epoch_now
from service_kit.errors import DomainError
from service_kit.texts import sentence
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from image_processor.models import Batch, Task, TaskStatus
from image_processor.services.causes import kind_of_problem
from image_processor.services.tasks.failures import cause_key, kind_of, numberless
from image_processor.services.tasks.filters import UNENDED, visible_to

RECENT_SECONDS = 60
"""Time over which the rate of a running batch is measured."""
MAX_CAUSES = 50
"""Maximum number of causes of errors in an answer; the most frequent are listed."""

Counts = Mapping[TaskStatus, int]
"""The number of tasks in each status."""


class BatchRow(NamedTuple):
    """A batch, and its tasks by status."""

    batch: Batch
    counts: Counts

    @property
    def unended(self) -> int:
        return sum(self.counts[status] for status in UNENDED)

    @property
    def forgotten(self) -> int:
        """Return the number of tasks that were deleted."""
        return self.batch.tasks - sum(self.counts.values())


@dataclass(frozen=True)
class StatusPart:
    """The tasks of a batch in one status.

    :param recent: number of these tasks that ended within :data:`RECENT_SECONDS`.
    :param started_at: start of the first of these tasks.
    :param ended_at: end of the last of these tasks.
    """

    status: TaskStatus
    tasks: int
    recent: int = 0
    started_at: float | None = None
    ended_at: float | None = None


@dataclass(frozen=True)
class Progress:
    """The progress of a batch.

    :param ended_at: ``None`` while a task has not ended.
    :param rate: tasks finished or failed per second: recently, or over the whole time of an ended batch; 0 if the time
        of an ended batch is unknown, because some of its tasks were deleted.
    :param seconds_left: estimate at this rate; ``None`` if no task ended recently.
    """

    started_at: float | None
    ended_at: float | None
    rate: float
    seconds_left: int | None


class Failure(NamedTuple):
    """Tasks that ended in the same error.

    :ivar error: the error's text; ``problem`` is the stored problem, or ``None`` if rows did not store problems yet.
    :ivar tasks: number of these tasks.
    :ivar task_id: the oldest of these tasks.
    """

    error: str
    problem: str | None
    tasks: int
    task_id: int


class ErrorGroup(NamedTuple):
    """Errors with the same problem type and the same sentence, regardless of its values.

    :ivar cause: the sentence with ``…`` for each value; without a problem, the text with ``…`` for each number.
    :ivar type: the type of the problems, if there are any.
    :ivar tasks: number of tasks that ended with this cause.
    :ivar example: the failure with the oldest of these tasks.
    """

    cause: str
    type: str | None
    tasks: int
    example: Failure

    def key_in(self, batch_id: int) -> str:
        """Return the key that selects these tasks in a list."""
        return cause_key(batch_id, self.example.error, self.example.problem)


class BatchDetail(NamedTuple):
    """A batch with its progress and the causes of its errors, the most frequent first."""

    row: BatchRow
    progress: Progress
    causes: Sequence[ErrorGroup]


class BatchService:
    """Reads batches that a principal may see; batches of other owners are invisible.

    A request limits the number of files, and so the tasks of a batch. Counting them in an index is cheap, and avoids a
    counter that every worker would have to lock.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, principal: Principal, after: int, limit: int, *, newest_first: bool) -> Sequence[BatchRow]:
        """Return at most ``limit`` batches after the batch with the id ``after``, if any, in the order wanted."""
        conditions = list(visible_to(principal, Batch.owner))
        if after:
            conditions.append(Batch.id < after if newest_first else Batch.id > after)
        order = Batch.id.desc() if newest_first else Batch.id.asc()
        with self._database.read() as session:
            batches = session.scalars(select(Batch).where(*conditions).order_by(order).limit(limit)).all()
            counts = _counts(session, [batch.id for batch in batches])
        return [BatchRow(batch, counts[batch.id]) for batch in batches]

    def get(self, principal: Principal, batch_id: int) -> BatchDetail:
        """Return a batch.

        :raises DomainError: ``batch-not-found``.
        """
        with self._database.read() as session:
            wanted = select(Batch).where(Batch.id == batch_id, *visible_to(principal, Batch.owner))
            batch = session.scalar(wanted) if 0 < batch_id <= MAX_ID else None
            if batch is None:
                raise DomainError("batch-not-found", sentence("There is no batch {batch_id}.", batch_id=batch_id))
            now, parts = _parts(session, batch_id)
            counts = dict.fromkeys(TaskStatus, 0) | {part.status: part.tasks for part in parts}
            causes = _causes(session, batch_id) if counts[TaskStatus.ERROR] else []
        return BatchDetail(BatchRow(batch, counts), progress_of(parts, now, batch.tasks), causes)


def progress_of(parts: Sequence[StatusPart], now: float, created: int) -> Progress:
    """Return the progress of a batch with these tasks, by the database's clock.

    :param created: number of tasks that were created, including deleted ones.
    """
    begun = [part.started_at for part in parts if part.started_at is not None]
    started_at = min(begun) if begun else None
    worked = [part for part in parts if part.status in (TaskStatus.FINISHED, TaskStatus.ERROR)]
    unended = sum(part.tasks for part in parts if part.status in UNENDED)
    if unended:
        rate = _rate(sum(part.recent for part in worked), now - max(started_at or now, now - RECENT_SECONDS))
        return Progress(started_at, None, rate, math.ceil(unended / rate) if rate else None)
    ends = [part.ended_at for part in parts if part.ended_at is not None]
    ended_at = max(ends) if ends else None
    seconds = ended_at - started_at if ended_at is not None and started_at is not None else 0.0
    # The tasks that are left may have run in a small part of the time: their rate would be far too high.
    whole = sum(part.tasks for part in parts) == created
    return Progress(started_at, ended_at, _rate(sum(part.tasks for part in worked), seconds) if whole else 0.0, 0)


def causes_of(failures: Sequence[Failure]) -> Sequence[ErrorGroup]:
    """Group failures by cause, the most frequent first."""
    counts: Counter[Hashable] = Counter()
    examples: dict[Hashable, Failure] = {}
    for failure in failures:
        key = kind_of(failure.error, failure.problem)
        counts[key] += failure.tasks
        examples[key] = min(examples.get(key, failure), failure, key=lambda known: known.task_id)
    return [_cause(tasks, examples[key]) for key, tasks in counts.most_common(MAX_CAUSES)]


def _cause(tasks: int, example: Failure) -> ErrorGroup:
    kind = kind_of_problem(example.problem)
    if kind is None:
        return ErrorGroup(numberless(example.error), None, tasks, example)
    return ErrorGroup(kind.sentence, kind.type, tasks, example)


def _rate(tasks: int, seconds: float) -> float:
    return tasks / seconds if seconds > 0 else 0.0


def _counts(session: Session, ids: Sequence[int]) -> Mapping[int, Counts]:
    counts = {batch_id: dict.fromkeys(TaskStatus, 0) for batch_id in ids}
    counted = (
        select(Task.batch_id, Task.status, func.count())
        .where(Task.batch_id.in_(ids))
        .group_by(Task.batch_id, Task.status)
    )
    for batch_id, status, tasks in session.execute(counted) if ids else ():
        if batch_id is not None:
            counts[batch_id][status] = tasks
    return counts


def _parts(session: Session, batch_id: int) -> tuple[float, Sequence[StatusPart]]:
    """Return the time by the database's clock, and the batch's tasks by status."""
    rows = session.execute(
        select(
            epoch_now(),
            Task.status,
            func.count(),
            func.count().filter(Task.ended_at > epoch_now() - RECENT_SECONDS),
            func.min(Task.started_at),
            func.max(Task.ended_at),
        )
        .where(Task.batch_id == batch_id)
        .group_by(Task.status)
    ).all()
    return max((row[0] for row in rows), default=0.0), [StatusPart(*row[1:]) for row in rows]


def _causes(session: Session, batch_id: int) -> Sequence[ErrorGroup]:
    grouped = (
        select(func.coalesce(Task.error, ""), Task.error_problem, func.count(), func.min(Task.id))
        .where(Task.batch_id == batch_id, Task.status == TaskStatus.ERROR)
        .group_by(Task.error, Task.error_problem)
    )
    return causes_of([Failure(*row) for row in session.execute(grouped)])
