"""Tasks: one algorithm on one file."""

from uuid import uuid4

from service_kit.database import Id, epoch_now
from sqlalchemy import JSON, BigInteger, Double, Index, Integer, String, Text, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

_PENDING = text("status = 'pending'")
_PROCESSING = text("status = 'processing'")


class Base(DeclarativeBase):
    pass


class Task(Base):
    """A task. Times are seconds since 1970 by the database's clock.

    ``attempt`` is the fencing token: it grows with each claim, and only the newest claim may finish the task.
    ``due_at`` is when a pending task's message counts as overdue, ``lease_until`` when a processing task's worker
    counts as dead, ``retry_since`` when the present row of transient failures began.
    """

    __tablename__ = "tasks"
    __table_args__ = (
        Index("tasks_pending", "due_at", postgresql_where=_PENDING, sqlite_where=_PENDING),
        Index("tasks_leased", "lease_until", postgresql_where=_PROCESSING, sqlite_where=_PROCESSING),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    source_id: Mapped[int] = mapped_column(BigInteger)
    result_id: Mapped[int | None] = mapped_column(BigInteger)
    status: Mapped[str] = mapped_column(String(16), default="pending")
    algorithm: Mapped[str] = mapped_column(String(64))
    params: Mapped[dict[str, object] | None] = mapped_column(JSON(none_as_null=True))
    error: Mapped[str | None] = mapped_column(Text)
    result_key: Mapped[str] = mapped_column(String(36), default=lambda: str(uuid4()))
    attempt: Mapped[int] = mapped_column(Integer, default=0)
    crashes: Mapped[int] = mapped_column(Integer, default=0)
    due_at: Mapped[float] = mapped_column(Double)
    lease_until: Mapped[float | None] = mapped_column(Double)
    claimed_by: Mapped[str | None] = mapped_column(String(255))
    retry_since: Mapped[float | None] = mapped_column(Double)
    created_at: Mapped[float] = mapped_column(Double, default=epoch_now())
    updated_at: Mapped[float] = mapped_column(Double, default=epoch_now(), onupdate=epoch_now())
