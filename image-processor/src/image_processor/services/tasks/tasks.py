"""Tasks as users see them: created in batches, listed, cancelled, restarted, deleted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import uuid4

import structlog
from service_kit.access.principals import LOCAL_OWNER, Principal
from service_kit.database import MAX_ID, Database, each_of
from service_kit.errors import DomainError, FieldError
from service_kit.texts import sentence
from sqlalchemy import BigInteger, ColumnElement, bindparam, cast, delete, insert, literal_column, select, update
from sqlalchemy.orm import Session

from image_processor.models import Task, TaskStatus
from image_processor.services.codec.plan import PIPELINE, plan_of
from image_processor.services.codec.presets import Presets
from image_processor.services.files.client import FileStorage, FileStorageUnavailableError, SourceFile
from image_processor.services.jobs.transitions import discard_results
from image_processor.services.tasks.queue import QueueUnavailableError, TaskQueue
from image_processor.services.tasks.unended import check_limit, take_turn

log = structlog.get_logger()

NAMED_IDS = 100
"""Unknown file ids that a problem lists, at most."""

RESTARTABLE = (TaskStatus.ERROR, TaskStatus.CANCELLED)
ENDED = (TaskStatus.FINISHED, *RESTARTABLE)


@dataclass(frozen=True)
class Batch:
    """The same algorithm, or the same preset, for each of the files.

    :param priority: 0 to 9; tasks of a higher priority run first.
    :param cache: whether an earlier result may be reused.
    :param callback_url: gets a webhook when a task ends.
    """

    file_ids: Sequence[int]
    algorithm: str | None = None
    params: Mapping[str, object] | None = None
    preset: str | None = None
    priority: int = 0
    cache: bool = True
    callback_url: str | None = None


@dataclass(frozen=True)
class TaskFilter:
    """A filter of tasks; empty and ``None`` match all."""

    ids: Sequence[int] = ()
    status: TaskStatus | None = None
    algorithm: str | None = None
    source_id: int | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        conditions: list[ColumnElement[bool]] = []
        if self.ids:
            conditions.append(Task.id.in_(self.ids))
        if self.status is not None:
            conditions.append(Task.status == self.status)
        if self.algorithm is not None:
            conditions.append(Task.algorithm == self.algorithm)
        if self.source_id is not None:
            conditions.append(Task.source_id == self.source_id)
        return conditions


class TaskService:
    """Creates and changes tasks, as far as a principal may: tasks of other owners do not exist for it.

    :param hints: hints published for a batch, at most: as many as processes can start at once.
    """

    def __init__(
        self, database: Database, queue: TaskQueue, storage: FileStorage, presets: Presets, hints: int
    ) -> None:
        self._database = database
        self._presets = presets
        self._queue = queue
        self._storage = storage
        self._hints = hints

    def create(self, principal: Principal, batch: Batch) -> Sequence[int]:
        """Create a pending task of the principal's owner for each file; return their ids in the same order.

        :raises DomainError: ``file-not-found``, ``preset-not-found``, ``unknown-algorithm``, ``invalid-fields``,
            ``too-many-pending-tasks`` or ``file-storage-unavailable``; then no task is created.
        """
        algorithm, params = self._chosen(batch)
        sources = self._sources(principal, batch, plan_of(algorithm, params).file_ids())
        shared = {
            "owner": principal.owner,
            "algorithm": algorithm,
            "params": params,
            "priority": batch.priority,
            "cache": batch.cache,
            "callback_url": batch.callback_url,
        }
        rows = [
            {"source_id": file_id, "result_key": str(uuid4()), **sources[file_id]._asdict()}
            for file_id in batch.file_ids
        ]
        with self._database.begin() as connection:
            take_turn(connection, principal)
            # Ids are assigned in the order of the rows, but may be returned in another.
            task_ids = sorted(connection.execute(_INSERT_TASKS, {**shared, "rows": rows}).scalars())
            check_limit(connection, principal, len(task_ids))
        log.info("tasks created", count=len(task_ids), first=task_ids[0], algorithm=algorithm, preset=batch.preset)
        self._publish(len(task_ids))
        return task_ids

    def _chosen(self, batch: Batch) -> tuple[str, Mapping[str, object] | None]:
        """Return the algorithm and its params; those of a preset are stored in the task, in case the preset changes."""
        if batch.preset is not None:
            return PIPELINE, self._presets[batch.preset]
        return batch.algorithm or "", batch.params

    def _sources(self, principal: Principal, batch: Batch, named: Sequence[int]) -> Mapping[int, SourceFile]:
        """Return the batch's sources, after a check that they and the ``named`` files exist.

        The files that a preset names are the operator's, and for everybody's use.
        """
        storage = self._storage.acting_for(principal.owner, sees_all=principal.sees_all)
        storage_of_named = storage if batch.preset is None else self._storage.acting_for(principal.owner)
        try:
            found = storage.find(batch.file_ids)
            found_named = storage_of_named.find(named) if named else {}
        except FileStorageUnavailableError as error:
            detail = sentence("The file server does not answer; try again.")
            raise DomainError("file-storage-unavailable", detail, retry_after=5) from error
        for file_ids, known, pointer in ((batch.file_ids, found, "/file_ids"), (named, found_named, "/params")):
            missing = [file_id for file_id in file_ids if file_id not in known]
            if missing:
                raise _unknown_files(missing, pointer)
        return found

    def get(self, principal: Principal, task_id: int) -> Task:
        """Return a task.

        :raises DomainError: ``task-not-found``.
        """
        with self._database.read() as session:
            return _found(session, principal, task_id)

    def page(self, principal: Principal, after: int, limit: int, wanted: TaskFilter) -> Sequence[Task]:
        """Return at most ``limit`` matching tasks whose id is greater than ``after``, by id."""
        conditions = [Task.id > after, *_visible_to(principal), *wanted.conditions()]
        statement = select(Task).where(*conditions).order_by(Task.id).limit(limit)
        with self._database.read() as session:
            return session.scalars(statement).all()

    def cancel(self, principal: Principal, task_id: int) -> Task:
        """Cancel a task that is pending or processing; its process is stopped and its result discarded.

        :raises DomainError: ``task-not-found``; ``task-not-cancellable``: it has already ended.
        """
        with self._database.write() as session:
            task = _found(session, principal, task_id, lock=True)
            if task.status in ENDED:
                detail = sentence(
                    "Task {task_id} is {status}; only a pending or processing task can be cancelled.",
                    task_id=task_id,
                    status=sentence(str(task.status)),
                )
                raise DomainError("task-not-cancellable", detail)
            task.status, task.lease_until = TaskStatus.CANCELLED, None
            if task.attempt:
                discard_results(session.connection(), Task.id == task_id)
            session.flush()
            session.refresh(task)
        log.info("task cancelled", task_id=task_id)
        return task

    def delete(self, principal: Principal, task_id: int) -> None:
        """Delete a task that has ended, but not its result file.

        :raises DomainError: ``task-not-found``; ``task-not-ended``.
        """
        with self._database.write() as session:
            task = _found(session, principal, task_id, lock=True)
            if task.status not in ENDED:
                detail = sentence(
                    "Task {task_id} is {status}; cancel it first.", task_id=task_id, status=sentence(str(task.status))
                )
                raise DomainError("task-not-ended", detail)
            session.execute(delete(Task).where(Task.id == task_id))
        log.info("task deleted", task_id=task_id)

    def restart(self, principal: Principal, task_id: int) -> Task:
        """Make a task pending again that ended in error or was cancelled.

        :raises DomainError: ``task-not-found``; ``task-not-restartable``: it has another status;
            ``too-many-pending-tasks``.
        """
        with self._database.write() as session:
            take_turn(session.connection(), principal)
            task = _found(session, principal, task_id, lock=True)
            if task.status not in RESTARTABLE:
                detail = sentence(
                    "Task {task_id} is {status}; only a task in error or cancelled can be restarted.",
                    task_id=task_id,
                    status=sentence(str(task.status)),
                )
                raise DomainError("task-not-restartable", detail)
            _restart(session, Task.id == task_id)
            check_limit(session.connection(), principal, 1)
            session.refresh(task)
        log.info("task restarted", task_id=task_id)
        self._publish(1)
        return task

    def restart_all(self, principal: Principal, wanted: TaskFilter) -> Sequence[int]:
        """Make all matching tasks pending again that are in error or cancelled; return their ids in order.

        :raises DomainError: ``too-many-pending-tasks``; then no task is restarted.
        """
        with self._database.write() as session:
            take_turn(session.connection(), principal)
            restarted = _restart(session, *_visible_to(principal), *wanted.conditions())
            check_limit(session.connection(), principal, len(restarted))
        log.info("tasks restarted", count=len(restarted))
        if restarted:
            self._publish(len(restarted))
        return restarted

    def _publish(self, tasks: int) -> None:
        try:
            self._queue.publish(min(tasks, self._hints))
        except QueueUnavailableError as error:
            log.warning("broker unavailable; the relay will publish", error=str(error))


_ROW = each_of("rows")
_TASK_COLUMNS = {
    "source_id": cast(_ROW["source_id"].as_string(), BigInteger),
    "source_name": _ROW["name"].as_string(),
    "source_extension": _ROW["extension"].as_string(),
    "source_sha256": _ROW["sha256"].as_string(),
    "result_key": _ROW["result_key"].as_string(),
}
_BATCH_COLUMNS = {
    name: bindparam(name, type_=Task.__table__.columns[name].type)
    for name in ("owner", "algorithm", "params", "priority", "cache", "callback_url")
}
_INSERT_TASKS = (
    insert(Task)
    .from_select([*_TASK_COLUMNS, *_BATCH_COLUMNS], select(*_TASK_COLUMNS.values(), *_BATCH_COLUMNS.values()))
    .returning(Task.id)
)


def _visible_to(principal: Principal) -> Sequence[ColumnElement[bool]]:
    if principal.sees_all or principal.owner == LOCAL_OWNER:
        return [principal.owns(Task.owner)]
    # SQLite uses the index of owners only where the statement repeats the index's condition.
    return [principal.owns(Task.owner), Task.owner != literal_column("'local'")]


def _found(session: Session, principal: Principal, task_id: int, *, lock: bool = False) -> Task:
    statement = select(Task).where(Task.id == task_id, *_visible_to(principal))
    task = session.scalar(statement.with_for_update() if lock else statement) if 0 < task_id <= MAX_ID else None
    if task is None:
        raise _not_found(task_id)
    return task


def _restart(session: Session, *conditions: ColumnElement[bool]) -> Sequence[int]:
    statement = (
        update(Task)
        .where(Task.status.in_(RESTARTABLE), *conditions)
        .values(
            status=TaskStatus.PENDING,
            error=None,
            error_problem=None,
            crashes=0,
            losses=0,
            retry_seconds=0.0,
            claimed_by=None,
            process=None,
            # For a new idempotency key: the old one may be revoked.
            restarts=Task.restarts + 1,
            due_at=0.0,
        )
        .returning(Task.id)
        .execution_options(synchronize_session=False)
    )
    return sorted(session.scalars(statement))


def _unknown_files(missing: Sequence[int], pointer: str) -> DomainError:
    listed = ", ".join(map(str, missing[:NAMED_IDS]))
    named = sentence("{listed} and more", listed=listed) if len(missing) > NAMED_IDS else listed
    errors = [
        FieldError(pointer=pointer, detail=sentence("There is no file {file_id}.", file_id=file_id))
        for file_id in missing[:NAMED_IDS]
    ]
    detail = sentence(
        "These {pointer} do not exist: {named}. No task was created.", pointer=pointer.removeprefix("/"), named=named
    )
    return DomainError("file-not-found", detail, errors)


def _not_found(task_id: int) -> DomainError:
    return DomainError("task-not-found", sentence("There is no task {task_id}.", task_id=task_id))
