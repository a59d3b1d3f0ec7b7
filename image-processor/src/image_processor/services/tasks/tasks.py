"""Creates, lists, cancels, restarts and deletes tasks for users."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from uuid import uuid4

import structlog
from service_kit.access.principals import Principal
from service_kit.database import MAX_ID, Database, each_of
from service_kit.errors import DomainError, FieldError
from service_kit.texts import sentence
from sqlalchemy import BigInteger, bindparam, cast, insert, select
from sqlalchemy.orm import Session

from image_processor.models import Batch, Task
from image_processor.services.codec.configured_presets import ConfiguredPresets
from image_processor.services.codec.plan import PIPELINE, plan_of
from image_processor.services.files.client import FileStorage, FileStorageUnavailableError, SourceFile
from image_processor.services.presets.presets import NamedPreset, find_preset
from image_processor.services.tasks.changes import cancel_tasks, restart_tasks
from image_processor.services.tasks.filters import ENDED, RESTARTABLE, TaskFilter, visible_to
from image_processor.services.tasks.forgetting import delete_tasks
from image_processor.services.tasks.idempotency import (
    CreatedBatch,
    KeyUse,
    conflict_as_in_use,
    created_earlier,
    fingerprint_of,
    record,
)
from image_processor.services.tasks.pages import page_of, page_of_cause
from image_processor.services.tasks.queue import Hints
from image_processor.services.tasks.unended import check_limit, take_turn

log = structlog.get_logger()

NAMED_IDS = 100
"""Maximum number of unknown file ids listed in a problem."""


@dataclass(frozen=True)
class NewBatch:
    """A request for one algorithm or one preset on several files.

    :param priority: 0 to 9; tasks of a higher priority run first.
    :param cache: whether cached results may be reused.
    :param callback_url: receives a webhook when a task ends.
    :param expires_in: seconds after which a result is deleted; ``None`` keeps it.
    """

    file_ids: Sequence[int]
    algorithm: str | None = None
    params: Mapping[str, object] | None = None
    preset: str | None = None
    priority: int = 0
    cache: bool = True
    callback_url: str | None = None
    expires_in: int | None = None


class TaskService:
    """Creates and changes tasks that a principal may see; tasks of other owners are invisible."""

    def __init__(self, database: Database, hints: Hints, storage: FileStorage, presets: ConfiguredPresets) -> None:
        self._database = database
        self._presets = presets
        self._storage = storage
        self._hints = hints

    def create(self, principal: Principal, batch: NewBatch, key: str | None = None) -> CreatedBatch:
        """Create a batch of the principal's owner, with a pending task for each file.

        :param key: an idempotency key; if the owner has sent the same request with it before, create nothing and return
            the first batch.
        :raises DomainError: ``file-not-found``, ``preset-not-found``, ``unknown-algorithm``, ``invalid-fields``,
            ``too-many-pending-tasks``, ``file-storage-unavailable``, or ``idempotency-key-reused`` or ``-in-use``; then
            no task is created.
        """
        use = None if key is None else KeyUse(principal.owner, key, fingerprint_of(asdict(batch)))
        if use is not None:
            with self._database.connect() as connection:
                earlier = created_earlier(connection, use)
            if earlier is not None:
                return earlier
        preset = self._preset(principal, batch)
        algorithm, params = (batch.algorithm or "", batch.params) if preset is None else (PIPELINE, preset.params)
        named = plan_of(algorithm, params).file_ids()
        sources = self._sources(principal, batch, named, for_everybody=preset is not None and preset.read_only)
        shared = {"owner": principal.owner, "algorithm": algorithm, "priority": batch.priority, "cache": batch.cache}
        row = {
            **shared,
            "key_id": principal.key_id,
            "params": params,
            "preset": batch.preset,
            "callback_url": batch.callback_url,
            "expires_in": batch.expires_in,
            "tasks": len(batch.file_ids),
        }
        rows = [
            {"source_id": file_id, "result_key": str(uuid4()), **sources[file_id]._asdict()}
            for file_id in batch.file_ids
        ]
        with conflict_as_in_use(use), self._database.begin() as connection:
            take_turn(connection, principal)
            # Look only now: the first request with this key may have ended during the wait, and counts in the limit.
            earlier = created_earlier(connection, use)
            if earlier is not None:
                return earlier
            batch_id = connection.execute(_INSERT_BATCH, row).scalar_one()
            inserted = connection.execute(_INSERT_TASKS, {**shared, "batch_id": batch_id, "rows": rows}).scalars()
            # Ids are assigned in row order, but may be returned in another order.
            created = CreatedBatch(batch_id, sorted(inserted))
            check_limit(connection, principal, len(created.task_ids))
            record(connection, use, created)
        log.info(
            "tasks created",
            batch_id=batch_id,
            count=len(created.task_ids),
            first=created.task_ids[0],
            algorithm=algorithm,
            preset=batch.preset,
        )
        self._hints.publish_for(len(created.task_ids))
        return created

    def _preset(self, principal: Principal, batch: NewBatch) -> NamedPreset | None:
        """Return the batch's preset; its params are stored in the batch, in case the preset changes."""
        if batch.preset is None:
            return None
        return find_preset(self._database, self._presets, principal, batch.preset)

    def _sources(
        self, principal: Principal, batch: NewBatch, named: Sequence[int], *, for_everybody: bool
    ) -> Mapping[int, SourceFile]:
        """Return the batch's sources after checking that they and the ``named`` files exist.

        :param for_everybody: whether the files are named by a preset of the settings: the operator's files, which all
            may use.
        """
        storage = self._storage.acting_for(principal.owner, sees_all=principal.sees_all)
        storage_of_named = self._storage.acting_for(principal.owner) if for_everybody else storage
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

    def page(
        self, principal: Principal, after: int, limit: int, wanted: TaskFilter, *, newest_first: bool = False
    ) -> Sequence[Task]:
        """Return at most ``limit`` matching tasks after the task with the id ``after``, if any, in the order wanted."""
        with self._database.read() as session:
            if wanted.cause is not None:
                return page_of_cause(session, wanted.cause, principal, wanted, after, limit, newest_first=newest_first)
            return session.scalars(page_of(principal, wanted, after, limit, newest_first=newest_first)).all()

    def cancel(self, principal: Principal, task_id: int) -> Task:
        """Cancel a pending or processing task: stop its process and discard its result.

        :raises DomainError: ``task-not-found``; ``task-not-cancellable`` if it has already ended.
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
            cancel_tasks(session.connection(), [task_id])
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
            delete_tasks(session.connection(), [task_id])
        log.info("task deleted", task_id=task_id)

    def restart(self, principal: Principal, task_id: int) -> Task:
        """Make a task that failed or was cancelled pending again.

        :raises DomainError: ``task-not-found``; ``task-not-restartable`` if it has another status;
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
            restart_tasks(session.connection(), [task_id])
            check_limit(session.connection(), principal, 1)
            session.refresh(task)
        log.info("task restarted", task_id=task_id)
        self._hints.publish_for(1)
        return task


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
    for name in ("owner", "batch_id", "algorithm", "priority", "cache")
}
_INSERT_BATCH = insert(Batch).returning(Batch.id)
_INSERT_TASKS = (
    insert(Task)
    .from_select([*_TASK_COLUMNS, *_BATCH_COLUMNS], select(*_TASK_COLUMNS.values(), *_BATCH_COLUMNS.values()))
    .returning(Task.id)
)


def _found(session: Session, principal: Principal, task_id: int, *, lock: bool = False) -> Task:
    statement = select(Task).where(Task.id == task_id, *visible_to(principal, Task.owner))
    task = session.scalar(statement.with_for_update() if lock else statement) if 0 < task_id <= MAX_ID else None
    if task is None:
        raise _not_found(task_id)
    return task


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
    return DomainError("file-not-found", detail, errors, context={"file_id": missing[0]})


def _not_found(task_id: int) -> DomainError:
    return DomainError("task-not-found", sentence("There is no task {task_id}.", task_id=task_id))
