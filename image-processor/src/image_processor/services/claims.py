"""A worker's hold on tasks: claimed with a lease, finished only by the newest attempt (a fencing token).

``attempt`` grows with each claim (M. Kleppmann, "How to do distributed locking", 2016, on fencing tokens).
"""

import random
from collections.abc import Collection
from dataclasses import dataclass

import structlog
from service_kit.database import Database, epoch_now
from sqlalchemy import ColumnElement, case, func, select, update
from sqlalchemy.orm import Session

from image_processor.config import RetrySettings
from image_processor.models import Task

log = structlog.get_logger()


@dataclass(frozen=True)
class Claim:
    """One attempt at a task, as its worker holds it."""

    task_id: int
    attempt: int
    source_id: int
    algorithm: str
    params: dict[str, object] | None
    result_key: str


class ClaimService:
    """Every change of a task's state that a worker makes."""

    def __init__(self, database: Database, retry: RetrySettings) -> None:
        self._database = database
        self._retry = retry

    def claim(self, task_id: int, worker: str, lease_seconds: float) -> Claim | None:
        """Takes a pending task; ``None`` where there is nothing to take (a duplicate or stale message)."""
        statement = (
            update(Task)
            .where(Task.id == task_id, Task.status == "pending")
            .values(
                status="processing",
                attempt=Task.attempt + 1,
                claimed_by=worker,
                lease_until=epoch_now() + lease_seconds,
            )
            .returning(Task)
        )
        with self._database.write() as session:
            task = session.scalar(statement)
            if task is None:
                return None
            return Claim(task.id, task.attempt, task.source_id, task.algorithm, task.params, task.result_key)

    def finish(self, claim: Claim, result_id: int) -> bool:
        """Records the result; ``False`` where another attempt has taken the task over."""
        return self._end(claim, status="finished", result_id=result_id)

    def fail(self, claim: Claim, reason: str) -> bool:
        """Ends the task in error, for good; ``False`` where another attempt has taken the task over."""
        return self._end(claim, status="error", error=reason)

    def retry_later(self, claim: Claim, reason: str) -> None:
        """Puts the task back after a transient failure, or ends it in error when its retry budget is spent.

        The delay is exponential with full jitter (M. Brooker, "Exponential Backoff And Jitter", 2015).
        """
        ceiling = min(self._retry.max_delay_seconds, self._retry.base_delay_seconds * 2 ** min(claim.attempt - 1, 20))
        # Not under a tenth: the relay has to see the task once before it is due again.
        delay = random.uniform(0.1, 1.0) * ceiling  # noqa: S311 (spread, not secrecy)
        since = func.coalesce(Task.retry_since, epoch_now())
        spent = epoch_now() - since > self._retry.max_seconds
        with self._database.write() as session:
            session.execute(
                update(Task)
                .where(_held(claim))
                .values(
                    status=case((spent, "error"), else_="pending"),
                    error=case((spent, f"Gave up after repeated failures: {reason}"), else_=None),
                    due_at=epoch_now() + delay,
                    retry_since=since,
                    lease_until=None,
                    claimed_by=None,
                )
            )
        log.warning("task put back", task_id=claim.task_id, reason=reason, delay_seconds=round(delay, 1))

    def crashed(self, worker: str, task_id: int, reason: str) -> None:
        """Records that the process working on a task died; after too many crashes the task ends in error."""
        held = (Task.id == task_id) & (Task.status == "processing") & (Task.claimed_by == worker)
        with self._database.write() as session:
            self._put_back_crashed(session, held, reason)

    def expire_leases(self) -> None:
        """Puts back the tasks whose worker has not come back in time."""
        with self._database.write() as session:
            expired = (
                select(Task.id)
                .where(Task.status == "processing", Task.lease_until < epoch_now())
                .limit(1000)
                .with_for_update(skip_locked=True)
            )
            ids = session.scalars(expired).all()
            if ids:
                self._put_back_crashed(session, Task.id.in_(ids), "its worker stopped answering")

    def release(self, worker: str) -> None:
        """Hands back everything a worker holds, when it shuts down."""
        with self._database.write() as session:
            session.execute(
                update(Task)
                .where(Task.status == "processing", Task.claimed_by == worker)
                .values(status="pending", due_at=epoch_now(), lease_until=None, claimed_by=None)
            )

    def call_overdue(self, task_ids: Collection[int]) -> None:
        """Has the relay publish those of the tasks that are pending at its next look: their messages are lost."""
        with self._database.write() as session:
            lost = (Task.status == "pending") & Task.id.in_(task_ids)
            session.execute(update(Task).where(lost).values(due_at=epoch_now()))

    def take_overdue(self, limit: int, overdue_seconds: float) -> list[int]:
        """Pending tasks whose message is overdue; they count as published from now on."""
        with self._database.write() as session:
            ids = session.scalars(
                select(Task.id)
                .where(Task.status == "pending", Task.due_at <= epoch_now())
                .order_by(Task.due_at)
                .limit(limit)
                .with_for_update(skip_locked=True)
            ).all()
            if ids:
                session.execute(update(Task).where(Task.id.in_(ids)).values(due_at=epoch_now() + overdue_seconds))
        return list(ids)

    def _end(self, claim: Claim, **values: object) -> bool:
        with self._database.write() as session:
            ended = session.execute(
                update(Task).where(_held(claim)).values(lease_until=None, claimed_by=None, **values).returning(Task.id)
            ).first()
        log.info("task ended" if ended else "claim lost", task_id=claim.task_id, attempt=claim.attempt, **values)
        return ended is not None

    def _put_back_crashed(self, session: Session, which: ColumnElement[bool], reason: str) -> None:
        poison = Task.crashes + 1 >= self._retry.max_crashes
        detail = f"Gave up after {self._retry.max_crashes} attempts: {reason}."
        session.execute(
            update(Task)
            .where(which)
            .values(
                crashes=Task.crashes + 1,
                status=case((poison, "error"), else_="pending"),
                error=case((poison, detail), else_=None),
                due_at=epoch_now(),
                lease_until=None,
                claimed_by=None,
            )
        )
        log.warning("worker process lost", reason=reason)


def _held(claim: Claim) -> ColumnElement[bool]:
    return (Task.id == claim.task_id) & (Task.attempt == claim.attempt) & (Task.status == "processing")
