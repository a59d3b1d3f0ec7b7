"""Batches, tasks, their events, webhooks, discarded results, the result cache and chores."""

from collections.abc import Collection
from enum import StrEnum
from uuid import uuid4

from service_kit.access.principals import LOCAL_OWNER
from service_kit.database import Id, epoch_now
from service_kit.events.rows import Event, Key
from service_kit.housekeeping import ChoreRow
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Double,
    Enum,
    FetchedValue,
    Index,
    Integer,
    SmallInteger,
    String,
    Text,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, foreign, mapped_column, relationship

_PENDING = text("status = 'pending'")
_RETURNED = text("status = 'pending' AND (attempt > 0 OR restarts > 0)")
_PROCESSING = text("status = 'processing'")
_HELD = text("claimed_by IS NOT NULL")
_TAKEN = text("taken_until IS NOT NULL")
_NOT_LOCAL = text("owner <> 'local'")
# The condition on losses is always true, but only lists repeat it, so the planner cannot choose these indexes for a
# claim: while an old snapshot is held, they have an entry for each task that was ever pending.
_LISTED = text("status <> 'processing' AND losses >= 0")
# The owner is in an expression, so that a list of tasks in one status cannot use the index of all tasks of the owner.
_LISTED_NOT_LOCAL = text("status <> 'processing' AND losses >= 0 AND owner || '' <> 'local'")
_IN_BATCH = text("batch_id IS NOT NULL")


PRIORITIES = range(10)
"""A greater number is more urgent."""


class TaskStatus(StrEnum):
    """The states of a task; ``finished`` is final, ``error`` and ``cancelled`` can be restarted."""

    PENDING = "pending"
    PROCESSING = "processing"
    FINISHED = "finished"
    ERROR = "error"
    CANCELLED = "cancelled"


_STATUS = Enum(TaskStatus, native_enum=False, length=16, values_callable=list)


class Base(DeclarativeBase):
    pass


class Batch(Base):
    """The values shared by the tasks of one request; the row is deleted with the last of them.

    - ``params`` and ``callback_url`` are here and not in each task: 10,000 copies of a pipeline would take 25 MB.
    - ``preset``: its name; ``params`` are a copy from when the batch was created.
    - ``tasks``: number of tasks created; some may be deleted since.
    - ``expires_in``: seconds after which a result is deleted; ``None`` keeps it.
    - ``key_id``: the key of the request, if it had one; webhooks are signed with its secret.
    """

    __tablename__ = "batches"
    __table_args__ = (
        Index("batches_owner", "owner", "id", postgresql_where=_NOT_LOCAL, sqlite_where=_NOT_LOCAL),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    owner: Mapped[str] = mapped_column(String(64), default=LOCAL_OWNER)
    key_id: Mapped[str | None] = mapped_column(String(16))
    algorithm: Mapped[str] = mapped_column(String(64))
    params: Mapped[dict[str, object] | None] = mapped_column(JSON(none_as_null=True))
    preset: Mapped[str | None] = mapped_column(String(64))
    priority: Mapped[int] = mapped_column(SmallInteger, default=0)
    cache: Mapped[bool] = mapped_column(Boolean, default=True)
    callback_url: Mapped[str | None] = mapped_column(Text)
    expires_in: Mapped[int | None] = mapped_column(BigInteger)
    tasks: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[float] = mapped_column(Double, default=epoch_now())


class Task(Base):
    """A task: one algorithm on one file. Times are seconds since 1970 by the database's clock.

    - ``attempt`` is the fencing token: it grows with each claim, and only the newest claim may end the task.
    - ``due_at``: when a pending task may be claimed; 0 means at once, even if the clock is set.
    - ``lease_until``: when a processing task becomes pending again unless its lease is renewed.
    - ``retry_seconds``: the time spent on attempts and delays after transient failures; a sum of durations, so that
      steps of the clock do not change it.
    - ``crashes`` counts the processes that the task crashed, ``losses`` the workers that were lost while they held it.
    - ``claimed_by`` is the worker and ``process`` the id of its process that holds the task. A cancelled task keeps
      them until its process has stopped.
    - ``error_problem``: the stored problem as JSON, see :mod:`image_processor.services.causes`.
    - ``source_*``: the source when the task was created; its bytes never change.
    - ``batch_id``: the batch with the params and the callback URL. Tasks created before batches existed have none, but
      ``params`` and ``callback_url`` of their own.
    - ``started_at``: when the newest attempt began. ``ended_at`` is set while the task is in a state that ends it.

    Most installations have one owner, ``local``. The index of owners excludes its tasks and so costs them nothing.
    """

    __tablename__ = "tasks"
    __table_args__ = (
        Index("tasks_pending", text("priority DESC"), "owner", "id", postgresql_where=_PENDING, sqlite_where=_PENDING),
        Index(
            "tasks_returned",
            text("priority DESC"),
            "owner",
            "id",
            postgresql_where=_RETURNED,
            sqlite_where=_RETURNED,
        ),
        Index("tasks_leased", "lease_until", postgresql_where=_PROCESSING, sqlite_where=_PROCESSING),
        Index("tasks_held", "claimed_by", postgresql_where=_HELD, sqlite_where=_HELD),
        Index("tasks_status", "status", "id", postgresql_where=_LISTED, sqlite_where=_LISTED),
        Index(
            "tasks_owner_status",
            "owner",
            "status",
            "id",
            postgresql_where=_LISTED_NOT_LOCAL,
            sqlite_where=_LISTED_NOT_LOCAL,
        ),
        Index("tasks_source", "source_id", "id"),
        Index("tasks_algorithm", "algorithm", "id"),
        Index("tasks_owner", "owner", "id", postgresql_where=_NOT_LOCAL, sqlite_where=_NOT_LOCAL),
        Index("tasks_batch", "batch_id", "status", "id", postgresql_where=_IN_BATCH, sqlite_where=_IN_BATCH),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    owner: Mapped[str] = mapped_column(String(64), default=LOCAL_OWNER)
    batch_id: Mapped[int | None] = mapped_column(BigInteger)
    source_id: Mapped[int] = mapped_column(BigInteger)
    source_name: Mapped[str] = mapped_column(String(255), default="")
    source_extension: Mapped[str] = mapped_column(String(255), default="")
    source_sha256: Mapped[str | None] = mapped_column(String(64))
    result_id: Mapped[int | None] = mapped_column(BigInteger)
    status: Mapped[TaskStatus] = mapped_column(_STATUS, default=TaskStatus.PENDING)
    algorithm: Mapped[str] = mapped_column(String(64))
    params: Mapped[dict[str, object] | None] = mapped_column(JSON(none_as_null=True))
    priority: Mapped[int] = mapped_column(SmallInteger, default=0)
    cache: Mapped[bool] = mapped_column(Boolean, default=True)
    callback_url: Mapped[str | None] = mapped_column(Text)
    error: Mapped[str | None] = mapped_column(Text)
    error_problem: Mapped[str | None] = mapped_column(Text)
    result_key: Mapped[str] = mapped_column(String(36), default=lambda: str(uuid4()))
    restarts: Mapped[int] = mapped_column(Integer, default=0)
    attempt: Mapped[int] = mapped_column(Integer, default=0)
    crashes: Mapped[int] = mapped_column(Integer, default=0)
    losses: Mapped[int] = mapped_column(Integer, default=0)
    due_at: Mapped[float] = mapped_column(Double, default=0.0)
    lease_until: Mapped[float | None] = mapped_column(Double)
    claimed_by: Mapped[str | None] = mapped_column(String(255))
    process: Mapped[int | None] = mapped_column(Integer)
    retry_seconds: Mapped[float] = mapped_column(Double, default=0.0)
    created_at: Mapped[float] = mapped_column(Double, default=epoch_now())
    started_at: Mapped[float | None] = mapped_column(Double)
    ended_at: Mapped[float | None] = mapped_column(Double)
    updated_at: Mapped[float] = mapped_column(Double, default=epoch_now(), onupdate=epoch_now())

    batch: Mapped[Batch | None] = relationship(
        Batch, primaryjoin=lambda: Batch.id == foreign(Task.batch_id), lazy="selectin", viewonly=True
    )
    """Loaded by one additional statement for all tasks of a page."""


class TaskEvent(Event, Base):
    """A change of a task's status or, with ``task_id`` 0, the end of a batch's last task."""

    __tablename__ = "task_events"
    __table_args__ = (
        Index("task_events_order", "transaction_id", "id"),
        Index("task_events_task", "task_id"),
        Index("task_events_owner", "owner", "transaction_id", "id"),
        Index("task_events_batch", "batch_id", postgresql_where=_IN_BATCH, sqlite_where=_IN_BATCH),
        {"sqlite_autoincrement": True},
    )

    task_id: Mapped[int] = mapped_column(BigInteger)
    batch_id: Mapped[int | None] = mapped_column(BigInteger)
    status: Mapped[TaskStatus] = mapped_column(_STATUS)
    result_id: Mapped[int | None] = mapped_column(BigInteger)
    error: Mapped[str | None] = mapped_column(Text)
    error_problem: Mapped[str | None] = mapped_column(Text)

    @property
    def is_of_batch(self) -> bool:
        """Whether the event is the end of a batch."""
        return self.task_id == 0

    def keys(self) -> Collection[Key]:
        task: Key = ("task", self.task_id)
        return [task] if self.batch_id is None else [task, ("batch", self.batch_id)]


class Callback(Base):
    """An undelivered webhook, written by the same trigger when a task ends.

    - ``host``: the host and port of ``url``, computed by the database.
    - ``key_id``: the key of the task's batch, added by a trigger.
    - ``attempt``: the task's attempt when it ended.
    - ``taken_until``: during a delivery, the time after which its sender is considered dead.
    """

    __tablename__ = "callbacks"
    __table_args__ = (
        Index("callbacks_host", "host", "due_at"),
        Index("callbacks_owner", "owner", "due_at"),
        Index("callbacks_owner_host", "owner", "host", "due_at"),
        Index("callbacks_taken", "host", postgresql_where=_TAKEN, sqlite_where=_TAKEN),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    task_id: Mapped[int] = mapped_column(BigInteger)
    owner: Mapped[str] = mapped_column(String(64))
    key_id: Mapped[str | None] = mapped_column(String(16))
    attempt: Mapped[int] = mapped_column(Integer)
    url: Mapped[str] = mapped_column(Text)
    host: Mapped[str] = mapped_column(Text, FetchedValue())
    status: Mapped[TaskStatus] = mapped_column(_STATUS)
    result_id: Mapped[int | None] = mapped_column(BigInteger)
    error: Mapped[str | None] = mapped_column(Text)
    error_problem: Mapped[str | None] = mapped_column(Text)
    tries: Mapped[int] = mapped_column(Integer, default=0)
    due_at: Mapped[float] = mapped_column(Double, index=True)
    taken_until: Mapped[float | None] = mapped_column(Double)
    created_at: Mapped[float] = mapped_column(Double)


class CallbackHost(Base):
    """The delivery state of a host that webhooks were sent to.

    - ``failures``: number of failed deliveries since the last accepted one; ``failing_since`` is the first of them.
    - ``due_at``: the host receives no webhook before this time.
    - ``answered_at``: the last recorded answer of any status.
    """

    __tablename__ = "callback_hosts"

    host: Mapped[str] = mapped_column(Text, primary_key=True)
    failures: Mapped[int] = mapped_column(Integer, default=0)
    failing_since: Mapped[float | None] = mapped_column(Double)
    due_at: Mapped[float] = mapped_column(Double, default=0.0)
    answered_at: Mapped[float | None] = mapped_column(Double)
    changed_at: Mapped[float] = mapped_column(Double, index=True)


class BatchKey(Base):
    """The batch that a request with this idempotency key created, and a fingerprint of the request.

    Each owner has keys of its own. ``task_ids`` are ranges, ``[[first, last], …]``, because the ids of a batch are
    mostly consecutive.
    """

    __tablename__ = "batch_keys"

    owner: Mapped[str] = mapped_column(String(64), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    batch_id: Mapped[int] = mapped_column(BigInteger)
    task_ids: Mapped[list[list[int]]] = mapped_column(JSON)
    created_at: Mapped[float] = mapped_column(Double, default=epoch_now(), index=True)


class DiscardedResult(Base):
    """The idempotency key of a result that no task needs; file-storage must revoke it."""

    __tablename__ = "discarded_results"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    owner: Mapped[str] = mapped_column(String(64))
    due_at: Mapped[float] = mapped_column(Double, default=0.0, index=True)


class CachedResult(Base):
    """A cached result file. ``key`` hashes the source's content, algorithm, params, engine version and owner.

    ``extension`` is set if the result's format is not the source's.
    """

    __tablename__ = "cached_results"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    result_id: Mapped[int] = mapped_column(BigInteger)
    extension: Mapped[str | None] = mapped_column(String(16))
    created_at: Mapped[float] = mapped_column(Double, default=epoch_now(), index=True)


class UnendedTasks(Base):
    """A part of an owner's count of tasks that have not ended; the count is the sum of the owner's rows.

    Triggers write the rows. On PostgreSQL, each change adds a row, so that no transaction waits for another, and a
    transaction with many changes does not create many versions of one row, whose cost is quadratic. On SQLite, an owner
    has one row.
    """

    __tablename__ = "unended_tasks"

    owner: Mapped[str] = mapped_column(String(64), primary_key=True)
    part: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    tasks: Mapped[int] = mapped_column(BigInteger)


class EndedTasks(Base):
    """A part of an owner's count of tasks in a final status; the count is the sum of the rows.

    Rows with a ``day``, such as ``2026-11-29``, count all tasks that ended on it (in UTC). A row without a day
    subtracts tasks that were restarted or deleted, and contains tasks that ended before the displayed days. Triggers
    write the rows, as for :class:`UnendedTasks`.
    """

    __tablename__ = "ended_tasks"

    owner: Mapped[str] = mapped_column(String(64), primary_key=True)
    status: Mapped[str] = mapped_column(String(16), primary_key=True)
    day: Mapped[str] = mapped_column(String(10), primary_key=True)
    part: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    tasks: Mapped[int] = mapped_column(BigInteger)


class TaskChore(ChoreRow, Base):
    """A chore of the workers or of the processes that send webhooks."""

    __tablename__ = "task_chores"
