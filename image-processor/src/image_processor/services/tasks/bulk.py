"""Cancels, restarts and deletes many tasks, selected by ids, batch or filter.

Each request is a series of transactions of at most :data:`STEP` tasks, so that none holds its locks for long. It ends
early if there are very many tasks, so that it answers before its timeout. Tasks created in the meantime are not
affected.
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple

import structlog
from service_kit.access.principals import Principal
from service_kit.database import MAX_ID, Database
from service_kit.errors import DomainError, FieldError
from service_kit.texts import sentence
from sqlalchemy import ColumnElement, Connection, func, select

from image_processor.models import Batch, Task, TaskStatus
from image_processor.services.jobs.turns import URGENCY
from image_processor.services.tasks.changes import cancel_tasks, restart_tasks
from image_processor.services.tasks.filters import ENDED, RESTARTABLE, UNENDED, TaskFilter, visible_to
from image_processor.services.tasks.forgetting import delete_tasks
from image_processor.services.tasks.queue import Hints
from image_processor.services.tasks.unended import check_limit, take_turn, too_many, unended_tasks

log = structlog.get_logger()

STEP = 1000
"""Maximum number of tasks changed in one transaction."""
MOST_TASKS = 10_000
"""Number of changed tasks after which a request starts no further step."""
MOST_SECONDS = 20.0
"""Seconds after which a request starts no further step: it must answer before its timeout (see ``wsgi.ini``)."""
NAMED_IDS = 100
"""Maximum number of unknown ids listed in a problem."""

_Change = Callable[[Connection, Sequence[int]], None]

# The index orders of these statuses. Tasks in other statuses are found by id.
_ORDERS: dict[TaskStatus, Sequence[ColumnElement[int] | ColumnElement[str] | ColumnElement[float | None]]] = {
    TaskStatus.PENDING: URGENCY,
    TaskStatus.PROCESSING: (Task.lease_until.asc(),),
}


class Changed(NamedTuple):
    """The result of a request.

    :ivar ids: the ids of the changed tasks, in ascending order.
    :ivar more: the request ended early; repeating it, without these ids, changes the rest.
    """

    ids: Sequence[int]
    more: bool


class ForgottenBatch(NamedTuple):
    """The result of deleting the ended tasks of a batch.

    :ivar left: the number of its tasks that are not deleted.
    :ivar more: the request ended early, as in :class:`Changed`.
    """

    forgotten: int
    left: int
    more: bool


class _Search(NamedTuple):
    """A search for the tasks of a request in one status.

    :ivar by_id: whether tasks are found in the order of their ids.
    """

    status: TaskStatus
    conditions: Sequence[ColumnElement[bool]]
    by_id: bool


class BulkService:
    """Changes many tasks that a principal may see; tasks and batches of other owners are invisible."""

    def __init__(self, database: Database, hints: Hints) -> None:
        self._database = database
        self._hints = hints

    def cancel(self, principal: Principal, wanted: TaskFilter) -> Changed:
        """Cancel the wanted tasks that have not ended.

        :raises DomainError: ``task-not-found`` or ``batch-not-found``; then no task is changed.
        """
        # Search pending tasks twice: a worker may have handed some back in the meantime.
        cancelled = self._change(principal, wanted, (*UNENDED, TaskStatus.PENDING), cancel_tasks)
        log.info("tasks cancelled", count=len(cancelled.ids), more=cancelled.more)
        return cancelled

    def restart(self, principal: Principal, wanted: TaskFilter) -> Changed:
        """Make wanted tasks that failed or were cancelled pending again.

        :raises DomainError: ``task-not-found``, ``batch-not-found`` or ``too-many-pending-tasks``; then no task is
            restarted, unless the owner created others in the meantime.
        """

        def change(connection: Connection, ids: Sequence[int]) -> None:
            restart_tasks(connection, ids)
            check_limit(connection, principal, len(ids))

        self._check_limit(principal, wanted)
        restarted = self._change(principal, wanted, RESTARTABLE, change, in_turn=True)
        log.info("tasks restarted", count=len(restarted.ids), more=restarted.more)
        if restarted.ids:
            self._hints.publish_for(len(restarted.ids))
        return restarted

    def forget(self, principal: Principal, wanted: TaskFilter) -> Changed:
        """Delete the wanted tasks that have ended, but not their result files.

        :raises DomainError: ``task-not-found`` or ``batch-not-found``; then no task is deleted.
        """
        forgotten = self._change(principal, wanted, ENDED, delete_tasks)
        log.info("tasks deleted", count=len(forgotten.ids), more=forgotten.more)
        return forgotten

    def forget_batch(self, principal: Principal, batch_id: int) -> ForgottenBatch:
        """Delete the tasks of a batch that have ended, but not their result files.

        :raises DomainError: ``batch-not-found``; then no task is deleted.
        """
        ids, more = self.forget(principal, TaskFilter(batch_id=batch_id))
        # Count the rows in any state: a task that ended after its step is left, too.
        rest = select(func.count()).select_from(Task).where(Task.batch_id == batch_id)
        with self._database.connect() as connection:
            return ForgottenBatch(len(ids), connection.execute(rest).scalar_one(), more)

    def _change(
        self,
        principal: Principal,
        wanted: TaskFilter,
        statuses: Collection[TaskStatus],
        change: _Change,
        *,
        in_turn: bool = False,
    ) -> Changed:
        """Change the wanted tasks in these statuses step by step.

        :param in_turn: if the owner has a limit, make the owner's other transactions wait for each step.
        """
        allowed = [status for status in statuses if not wanted.statuses or status in wanted.statuses]
        self._check_existence(principal, wanted)
        deadline = time.monotonic() + MOST_SECONDS
        changed: list[int] = []
        for found in self._found(principal, wanted, allowed):
            # Change at least one task, so that a repeated request, which first skips finished work, makes progress.
            if len(changed) >= MOST_TASKS or (changed and time.monotonic() >= deadline):
                return Changed(sorted(changed), more=True)
            with self._database.begin() as connection:
                if in_turn:
                    take_turn(connection, principal)
                # Lock in the order of the ids, so that two requests never deadlock.
                still = select(Task.id).where(Task.id.in_(found), Task.status.in_(allowed)).order_by(Task.id)
                ids = connection.scalars(still.with_for_update()).all()
                change(connection, ids)
            changed += ids
        return Changed(sorted(changed), more=False)

    def _check_existence(self, principal: Principal, wanted: TaskFilter) -> None:
        with self._database.connect() as connection:
            if wanted.batch_id is not None:
                of_batch = select(Batch.id).where(Batch.id == wanted.batch_id, *visible_to(principal, Batch.owner))
                if wanted.batch_id > MAX_ID or connection.execute(of_batch).first() is None:
                    raise DomainError(
                        "batch-not-found", sentence("There is no batch {batch_id}.", batch_id=wanted.batch_id)
                    )
            existing: set[int] = set()
            for ids in _parts(wanted.ids):
                visible = select(Task.id).where(Task.id.in_(ids), *visible_to(principal, Task.owner))
                existing.update(connection.scalars(visible))
        missing = [task_id for task_id in wanted.ids if task_id not in existing]
        if missing:
            raise _unknown(missing)

    def _found(
        self, principal: Principal, wanted: TaskFilter, statuses: Collection[TaskStatus]
    ) -> Iterator[Sequence[int]]:
        """Yield the ids of the wanted tasks in parts; the caller must change each part before it asks for the next."""
        if wanted.ids:
            yield from _parts(wanted.ids)
            return
        with self._database.connect() as connection:
            newest = connection.scalar(select(func.max(Task.id))) or 0
        conditions = [Task.id <= newest, *visible_to(principal, Task.owner), *wanted.conditions()]
        for status in statuses:
            by_id = wanted.batch_id is not None or status not in _ORDERS
            search = _Search(status, conditions, by_id)
            after = 0
            while ids := self._next(search, after):
                yield ids
                after = ids[-1] if by_id else 0

    def _next(self, search: _Search, after: int) -> Sequence[int]:
        order = (Task.id.asc(),) if search.by_id else _ORDERS[search.status]
        found = select(Task.id).where(Task.status == search.status, Task.id > after, *search.conditions)
        with self._database.connect() as connection:
            return connection.scalars(found.order_by(*order).limit(STEP)).all()

    def _check_limit(self, principal: Principal, wanted: TaskFilter) -> None:
        """Check before the first step that an owner with a limit may restart all wanted tasks."""
        limit = principal.limits.pending_tasks
        if limit is None:
            return
        with self._database.connect() as connection:
            statuses = [status for status in RESTARTABLE if not wanted.statuses or status in wanted.statuses]
            conditions = [Task.status.in_(statuses), *visible_to(principal, Task.owner), *wanted.conditions()]
            some = select(Task.id).where(*conditions).limit(limit + 1).subquery()
            more = connection.execute(select(func.count()).select_from(some)).scalar_one()
            unended = unended_tasks(connection, principal.owner)
        if unended + more > limit:
            raise too_many(principal, limit, unended, more)


def _parts(ids: Collection[int]) -> Iterator[Sequence[int]]:
    ordered = sorted(ids)
    for start in range(0, len(ordered), STEP):
        yield ordered[start : start + STEP]


def _unknown(missing: Sequence[int]) -> DomainError:
    named = ", ".join(map(str, missing[:NAMED_IDS]))
    if len(missing) > NAMED_IDS:
        named = sentence("{listed} and more", listed=named)
    errors = [
        FieldError(pointer="/ids", detail=sentence("There is no task {task_id}.", task_id=task_id))
        for task_id in missing[:NAMED_IDS]
    ]
    detail = sentence("These tasks do not exist: {named}. No task was changed.", named=named)
    return DomainError("task-not-found", detail, errors, context={"task_id": missing[0]})
