"""Tasks: one algorithm on one file, and what their changes leave to be done."""

from enum import StrEnum
from uuid import uuid4

from service_kit.database import Id, epoch_now
from sqlalchemy import JSON, BigInteger, Boolean, Double, Enum, Index, Integer, SmallInteger, String, Text, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

_PENDING = text("status = 'pending'")
_PROCESSING = text("status = 'processing'")
_HELD = text("claimed_by IS NOT NULL")
_RESTARTABLE = text("status IN ('error', 'cancelled')")


PRIORITIES = range(10)


class TaskStatus(StrEnum):
    """The states of a task; the last three are its ends."""

    PENDING = "pending"
    PROCESSING = "processing"
    FINISHED = "finished"
    ERROR = "error"
    CANCELLED = "cancelled"


_STATUS = Enum(TaskStatus, native_enum=False, length=16, values_callable=list)


class Base(DeclarativeBase):
    pass


class Task(Base):
    """A task. Times are seconds since 1970 by the database's clock.

    ``attempt`` is the fencing token: it grows with each claim, and only the newest claim may finish the task.
    A pending task may be claimed from ``due_at`` on; 0 is at once, whatever becomes of the clock. ``lease_until`` is
    when a processing task's worker counts as dead. ``retry_seconds`` is how long it was tried and waited with after
    transient failures, a sum of spans, which no step of a clock changes.
    ``crashes`` counts the processes that died of the task, ``losses`` the workers that stopped answering while they
    held it.
    ``claimed_by`` is the worker and ``process`` the id of its process that holds the task; a cancelled task keeps them
    until its work has stopped. ``source_*`` tell the file as it was when the task was made; its bytes never change.
    """

    __tablename__ = "tasks"
    __table_args__ = (
        Index("tasks_pending", text("priority DESC"), "id", postgresql_where=_PENDING, sqlite_where=_PENDING),
        Index("tasks_leased", "lease_until", postgresql_where=_PROCESSING, sqlite_where=_PROCESSING),
        Index("tasks_held", "claimed_by", postgresql_where=_HELD, sqlite_where=_HELD),
        Index("tasks_restartable", "id", postgresql_where=_RESTARTABLE, sqlite_where=_RESTARTABLE),
        Index("tasks_source", "source_id", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
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
    updated_at: Mapped[float] = mapped_column(Double, default=epoch_now(), onupdate=epoch_now())


class TaskEvent(Base):
    """A change of a task's status, written by the database itself (a trigger) in the transaction of the change.

    Ordered by ``transaction_id`` (0 on SQLite, which writes one transaction at a time), then by ``id``.
    """

    __tablename__ = "task_events"
    __table_args__ = (Index("task_events_order", "transaction_id", "id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    transaction_id: Mapped[int] = mapped_column(BigInteger)
    task_id: Mapped[int] = mapped_column(BigInteger)
    status: Mapped[TaskStatus] = mapped_column(_STATUS)
    result_id: Mapped[int | None] = mapped_column(BigInteger)
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[float] = mapped_column(Double, index=True)


class Callback(Base):
    """A webhook that is still to be delivered, written by the same trigger when a task ends."""

    __tablename__ = "callbacks"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 (SQLAlchemy's own form)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    task_id: Mapped[int] = mapped_column(BigInteger)
    url: Mapped[str] = mapped_column(Text)
    status: Mapped[TaskStatus] = mapped_column(_STATUS)
    result_id: Mapped[int | None] = mapped_column(BigInteger)
    error: Mapped[str | None] = mapped_column(Text)
    tries: Mapped[int] = mapped_column(Integer, default=0)
    due_at: Mapped[float] = mapped_column(Double, index=True)
    created_at: Mapped[float] = mapped_column(Double)


class DiscardedResult(Base):
    """The idempotency key of a result that no task will have, to be revoked at file-storage."""

    __tablename__ = "discarded_results"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    due_at: Mapped[float] = mapped_column(Double, default=0.0, index=True)


class CachedResult(Base):
    """The result file of a content, an algorithm, its params and the engine's version, hashed to ``key``.

    ``extension`` is the result's where its format is not the source's.
    """

    __tablename__ = "cached_results"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    result_id: Mapped[int] = mapped_column(BigInteger)
    extension: Mapped[str | None] = mapped_column(String(16))
    created_at: Mapped[float] = mapped_column(Double, default=epoch_now(), index=True)
