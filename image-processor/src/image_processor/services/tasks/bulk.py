"""Cancels, restarts and deletes many tasks, selected by ids, batch or filter.

Each request is a series of transactions of at most :data:`STEP` tasks, so that none holds its locks for long. It ends
early if there are very many tasks, so that it answers before its timeout; the next request continues where it ended.
Tasks created after the first request are not affected.
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple

import structlog
from service_kit.access.principals import Principal
from service_kit.database import MAX_ID, Database
from service_kit.errors import DomainError, FieldError
from service_kit.texts import sentence
from sqlalchemy import ColumnElement, Connection, Select, func, select

from image_processor.models import Batch, Task, TaskStatus
from image_processor.services.jobs.turns import URGENCY
from image_processor.services.tasks.changes import cancel_tasks, restart_tasks
from image_processor.services.tasks.filters import (
    ENDED,
    RESTARTABLE,
    UNENDED,
    TaskFilter,
    index_range,
    listed,
    visible_to,
)
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


class SearchPosition(NamedTuple):
    """Where a search with a filter continues.

    Without it, tasks that were restarted and failed again would be found first by each repeated request.

    :ivar search: the index of the search; there is one for each state that the request changes.
    :ivar after: the last id that this search has found, if it finds tasks in the order of their ids.
    :ivar newest: the highest id when the first request began.
    """

    search: int
    after: int
    newest: int

    @classmethod
    def of(cls, cursor: str) -> "SearchPosition":
        """Return the position that a cursor names."""
        search, after, newest = cursor.split("-")
        return cls(int(search), int(after), int(newest))

    @property
    def cursor(self) -> str:
        return f"{self.search}-{self.after}-{self.newest}"


class Changed(NamedTuple):
    """The result of a request.

    :ivar ids: the ids of the changed tasks, in ascending order.
    :ivar more: the request ended early.
    :ivar position: where the next request with the same filter continues. A request with ids is repeated without those
        that were changed.
    """

    ids: Sequence[int]
    more: bool
    position: SearchPosition | None = None


class ForgottenBatch(NamedTuple):
    """The result of deleting the ended tasks of a batch.

    :ivar left: the number of its tasks that are not deleted.
    :ivar more: the request ended early, as in :class:`Changed`.
    """

    forgotten: int
    left: int
    more: bool


class _Part(NamedTuple):
    """Tasks to change in one step.

    :ivar position: where a search finds these tasks again; ``None`` if the request has ids.
    """

    ids: Sequence[int]
    position: SearchPosition | None


class BulkService:
    """Changes many tasks that a principal may see; tasks and batches of other owners are invisible."""

    def __init__(self, database: Database, hints: Hints) -> None:
        self._database = database
        self._hints = hints

    def cancel(self, principal: Principal, wanted: TaskFilter, position: SearchPosition | None = None) -> Changed:
        """Cancel the wanted tasks that have not ended.

        :param position: where the previous request ended.
        :raises DomainError: ``task-not-found`` or ``batch-not-found``; then no task is changed.
        """
        # Search pending tasks twice: a worker may have handed some back in the meantime.
        cancelled = self._change(principal, wanted, (*UNENDED, TaskStatus.PENDING), cancel_tasks, position)
        log.info("tasks cancelled", count=len(cancelled.ids), more=cancelled.more)
        return cancelled

    def restart(self, principal: Principal, wanted: TaskFilter, position: SearchPosition | None = None) -> Changed:
        """Make wanted tasks that failed or were cancelled pending again.

        :param position: where the previous request ended.
        :raises DomainError: ``task-not-found``, ``batch-not-found`` or ``too-many-pending-tasks``; then no task is
            restarted. If the limit is reached in a later step, because the owner created tasks in the meantime, the
            request ends early.
        """

        def change(connection: Connection, ids: Sequence[int]) -> None:
            restart_tasks(connection, ids)
            check_limit(connection, principal, len(ids))

        self._check_limit(principal, wanted, position)
        restarted = self._change(principal, wanted, RESTARTABLE, change, position, in_turn=True)
        log.info("tasks restarted", count=len(restarted.ids), more=restarted.more)
        if restarted.ids:
            self._hints.publish_for(len(restarted.ids))
        return restarted

    def forget(self, principal: Principal, wanted: TaskFilter, position: SearchPosition | None = None) -> Changed:
        """Delete the wanted tasks that have ended, but not their result files.

        :param position: where the previous request ended.
        :raises DomainError: ``task-not-found`` or ``batch-not-found``; then no task is deleted.
        """
        forgotten = self._change(principal, wanted, ENDED, delete_tasks, position)
        log.info("tasks deleted", count=len(forgotten.ids), more=forgotten.more)
        return forgotten

    def forget_batch(self, principal: Principal, batch_id: int) -> ForgottenBatch:
        """Delete the tasks of a batch that have ended, but not their result files.

        :raises DomainError: ``batch-not-found``; then no task is deleted.
        """
        ids, more, _ = self.forget(principal, TaskFilter(batch_id=batch_id))
        # Count the rows in any state: a task that ended after its step is left, too.
        rest = select(func.count()).select_from(Task).where(Task.batch_id == batch_id)
        with self._database.connect() as connection:
            return ForgottenBatch(len(ids), connection.execute(rest).scalar_one(), more)

    def _change(
        self,
        principal: Principal,
        wanted: TaskFilter,
        statuses: Sequence[TaskStatus],
        change: _Change,
        position: SearchPosition | None,
        *,
        in_turn: bool = False,
    ) -> Changed:
        """Change the wanted tasks in these statuses step by step.

        :param in_turn: if the owner has a limit, make the owner's other transactions wait for each step.
        """
        allowed = _allowed(statuses, wanted)
        self._check_existence(principal, wanted)
        deadline = time.monotonic() + MOST_SECONDS
        changed: list[int] = []
        for found in self._found(principal, wanted, allowed, position):
            # Change at least one task, so that a repeated request, which first skips finished work, makes progress.
            if len(changed) >= MOST_TASKS or (changed and time.monotonic() >= deadline):
                return Changed(sorted(changed), more=True, position=found.position)
            try:
                with self._database.begin() as connection:
                    if in_turn:
                        take_turn(connection, principal)
                    # Lock in the order of the ids, so that two requests never deadlock.
                    still = select(Task.id).where(Task.id.in_(found.ids), Task.status.in_(allowed)).order_by(Task.id)
                    ids = connection.scalars(still.with_for_update()).all()
                    change(connection, ids)
            except DomainError:
                # Earlier steps are committed: a refusal would hide what they changed.
                if not changed:
                    raise
                return Changed(sorted(changed), more=True, position=found.position)
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
        self, principal: Principal, wanted: TaskFilter, statuses: Sequence[TaskStatus], position: SearchPosition | None
    ) -> Iterator[_Part]:
        """Yield the wanted tasks in parts; the caller must change each part before it asks for the next."""
        if wanted.ids:
            yield from (_Part(ids, None) for ids in _parts(wanted.ids))
            return
        place = position or self._start()
        while place.search < len(statuses):
            status = statuses[place.search]
            by_id = wanted.batch_id is not None or status not in _ORDERS
            with self._database.connect() as connection:
                ids = connection.scalars(_step(principal, wanted, status, place, by_id=by_id)).all()
            if ids:
                yield _Part(ids, place)
            if not ids:
                place = place._replace(search=place.search + 1, after=0)
            elif by_id:
                place = place._replace(after=ids[-1])

    def _start(self) -> SearchPosition:
        with self._database.connect() as connection:
            return SearchPosition(search=0, after=0, newest=connection.scalar(select(func.max(Task.id))) or 0)

    def _check_limit(self, principal: Principal, wanted: TaskFilter, position: SearchPosition | None) -> None:
        """Check before the first step that an owner with a limit may restart all wanted tasks.

        Later requests are not checked in advance: it would count the tasks that they do not visit again.
        """
        limit = principal.limits.pending_tasks
        if limit is None or position is not None:
            return
        with self._database.connect() as connection:
            conditions = [
                Task.status.in_(_allowed(RESTARTABLE, wanted)),
                *listed(principal),
                *visible_to(principal, Task.owner),
                *wanted.conditions(),
            ]
            some = select(Task.id).where(*conditions).limit(limit + 1).subquery()
            more = connection.execute(select(func.count()).select_from(some)).scalar_one()
            unended = unended_tasks(connection, principal.owner)
        if unended + more > limit:
            raise too_many(principal, limit, unended, more)


def _step(
    principal: Principal, wanted: TaskFilter, status: TaskStatus, place: SearchPosition, *, by_id: bool
) -> Select[int]:
    """Return the query for the next wanted tasks in a status.

    :param by_id: whether it finds them in the order of their ids.
    """
    found = select(Task.id).where(Task.id <= place.newest).limit(STEP)
    if by_id and wanted.is_of_statuses:
        conditions, order = index_range(principal, status, place.after, newest_first=False)
        return found.where(*conditions).order_by(*order)
    found = found.where(Task.status == status, *visible_to(principal, Task.owner), *wanted.conditions())
    if not by_id:
        return found.order_by(*_ORDERS[status])
    if status != TaskStatus.PROCESSING:
        found = found.where(*listed(principal))
    return found.where(Task.id > place.after).order_by(Task.id)


def _allowed(statuses: Sequence[TaskStatus], wanted: TaskFilter) -> Sequence[TaskStatus]:
    return [status for status in statuses if not wanted.statuses or status in wanted.statuses]


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
