"""Tasks as people see them: created in batches, listed, restarted."""

from collections.abc import Mapping, Sequence

import structlog
from pydantic import ValidationError
from service_kit.database import MAX_ID, Database, epoch_now
from service_kit.problems import FieldError, Problem
from service_kit.request_body import invalid_fields
from sqlalchemy import insert, select, update

from image_processor.algorithms.registry import all_algorithms
from image_processor.models import Task
from image_processor.services.file_storage import FileStorage
from image_processor.services.queue import QueueUnavailableError, TaskQueue

log = structlog.get_logger()

NAMED_IDS = 100
"""How many unknown file ids a problem names one by one."""


class TaskService:
    """The rules of tasks over the database, the queue and file-storage."""

    def __init__(self, database: Database, queue: TaskQueue, storage: FileStorage, overdue_seconds: float) -> None:
        self._database = database
        self._queue = queue
        self._storage = storage
        self._overdue = overdue_seconds

    def create(self, file_ids: Sequence[int], algorithm: str, params: Mapping[str, object] | None) -> list[int]:
        """Makes one pending task for each file and gives their ids in the same order.

        :raises Problem: 404 unknown file ids, 422 unknown algorithm or wrong params, 503 file-storage does not
            answer; then no task is made.
        """
        _check_algorithm(algorithm, params)
        missing = self._storage.missing(file_ids)
        if missing:
            raise _unknown_files(missing)
        rows = [
            {"source_id": file_id, "algorithm": algorithm, "params": params, "due_at": epoch_now() + self._overdue}
            for file_id in file_ids
        ]
        with self._database.write() as session:
            task_ids = [session.execute(insert(Task).values(**row).returning(Task.id)).scalar_one() for row in rows]
        log.info("tasks created", count=len(task_ids), first=task_ids[0], algorithm=algorithm)
        self._publish(task_ids)
        return task_ids

    def get(self, task_id: int) -> Task:
        """:raises Problem: 404, there is no such task."""
        with self._database.read() as session:
            task = session.get(Task, task_id) if 0 < task_id <= MAX_ID else None
        if task is None:
            raise _not_found(task_id)
        return task

    def page(self, after: int, limit: int) -> Sequence[Task]:
        """At most ``limit`` tasks whose id is greater than ``after``, by id."""
        with self._database.read() as session:
            return session.scalars(select(Task).where(Task.id > after).order_by(Task.id).limit(limit)).all()

    def restart(self, task_id: int) -> Task:
        """Puts a task that ended in error back to pending.

        :raises Problem: 404, there is no such task; 409, its status is not ``error``.
        """
        with self._database.write() as session:
            task = session.get(Task, task_id, with_for_update=True) if 0 < task_id <= MAX_ID else None
            if task is None:
                raise _not_found(task_id)
            if task.status != "error":
                detail = f"Task {task_id} is {task.status}; only a task whose status is error can be restarted."
                raise Problem("task-not-restartable", 409, detail)
            task.status, task.error = "pending", None
            task.crashes, task.retry_since = 0, None
            session.flush()
            session.execute(update(Task).where(Task.id == task_id).values(due_at=epoch_now() + self._overdue))
            session.refresh(task)
        log.info("task restarted", task_id=task_id)
        self._publish([task_id])
        return task

    def _publish(self, task_ids: Sequence[int]) -> None:
        try:
            self._queue.publish(task_ids)
        except QueueUnavailableError as error:
            log.warning("broker unavailable, the relay will publish", count=len(task_ids), error=str(error))
            with self._database.write() as session:
                # A batch's ids are one unbroken series up to concurrent inserts; other pending tasks lose nothing.
                overdue = Task.id.between(task_ids[0], task_ids[-1]) & (Task.status == "pending")
                session.execute(update(Task).where(overdue).values(due_at=epoch_now()))


def _check_algorithm(name: str, params: Mapping[str, object] | None) -> None:
    algorithm = all_algorithms().get(name)
    if algorithm is None:
        detail = f"There is no algorithm '{name[:64]}'; there are: {', '.join(all_algorithms())}."
        raise Problem("unknown-algorithm", 422, detail, [FieldError(pointer="/algorithm", detail=detail)])
    try:
        algorithm.params.model_validate(params or {})
    except ValidationError as error:
        raise invalid_fields(error, prefix="/params") from error


def _unknown_files(missing: Sequence[int]) -> Problem:
    named = ", ".join(map(str, missing[:NAMED_IDS])) + (" and more" if len(missing) > NAMED_IDS else "")
    errors = [FieldError(pointer="/file_ids", detail=f"There is no file {file_id}.") for file_id in missing[:NAMED_IDS]]
    return Problem("file-not-found", 404, f"These file_ids are no files: {named}. No task was made.", errors)


def _not_found(task_id: int) -> Problem:
    return Problem("task-not-found", 404, f"There is no task {task_id}.")
