"""A worker's hold on tasks: claimed with a lease, finished only by the newest attempt (a fencing token).

``attempt`` grows with each claim (M. Kleppmann, "How to do distributed locking", 2016, on fencing tokens).
"""

import random
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass

import structlog
from service_kit.database import Database, epoch_now, insert_or_ignore
from sqlalchemy import ColumnElement, Double, bindparam, case, func, select, update
from sqlalchemy.orm import Session

from image_processor.config import RetrySettings
from image_processor.models import DiscardedResult, Task

log = structlog.get_logger()

EXPIRED_AT_ONCE = 1000


@dataclass(frozen=True)
class Holder:
    """Who holds a task: a worker, and the id of its process."""

    worker: str
    process: int


@dataclass(frozen=True)
class Claim:
    """One attempt at a task, as its holder has it."""

    task_id: int
    attempt: int
    source_id: int
    source_name: str
    source_extension: str
    source_sha256: str | None
    algorithm: str
    params: dict[str, object] | None
    cache: bool
    result_key: str


@dataclass(frozen=True)
class Finished:
    """The attempt has made a result."""

    result_id: int


@dataclass(frozen=True)
class Failed:
    """The attempt cannot succeed, now or ever."""

    reason: str


@dataclass(frozen=True)
class Postponed:
    """The attempt met a transient failure."""

    reason: str


@dataclass(frozen=True)
class Crashed:
    """The attempt met an error that nobody foresaw; after too many the task ends in error."""

    reason: str


Outcome = Finished | Failed | Postponed | Crashed


class ClaimService:
    """Every change of a task's state that a worker makes."""

    def __init__(self, database: Database, retry: RetrySettings, lease_seconds: float) -> None:
        self._database = database
        self._retry = retry
        self._lease_seconds = lease_seconds

    def claim(self, holder: Holder) -> Claim | None:
        """Takes the most urgent pending task, the oldest first; ``None`` where there is none."""
        with self._database.write() as session:
            return self._claim_next(session, holder)

    def end(self, claim: Claim, outcome: Outcome) -> bool:
        """Records how the attempt ended; ``False`` where it does not count any more.

        It does not when another attempt has taken the task over, or somebody has cancelled it.
        """
        with self._database.write() as session:
            return self._record(session, claim, outcome)

    def end_and_claim(self, claim: Claim, holder: Holder, outcome: Outcome) -> tuple[bool, Claim | None]:
        """:meth:`end` and :meth:`claim` in one transaction; nothing is claimed where the attempt does not count."""
        with self._database.write() as session:
            counted = self._record(session, claim, outcome)
            return counted, self._claim_next(session, holder) if counted else None

    def let_go(self, claim: Claim, holder: Holder) -> bool:
        """Gives up a cancelled attempt; ``False`` where the worker has taken it to kill its process."""
        with self._database.write() as session:
            attempt = (Task.id == claim.task_id) & (Task.attempt == claim.attempt) & (Task.status == "cancelled")
            state = session.execute(select(Task.claimed_by).where(attempt).with_for_update()).first()
            session.execute(update(Task).where(attempt).values(claimed_by=None, process=None))
        return state is None or state.claimed_by == holder.worker

    def holding_processes(self, worker: str) -> Sequence[int]:
        """The ids of the worker's processes that hold a task."""
        held = (Task.claimed_by == worker) & (Task.status == "processing") & Task.process.is_not(None)
        with self._database.read() as session:
            return [process for process in session.scalars(select(Task.process).where(held)) if process is not None]

    def heartbeat(self, worker: str, processes: Collection[int]) -> None:
        """Renews the leases of all that these processes of the worker hold."""
        held = (Task.claimed_by == worker) & (Task.status == "processing") & Task.process.in_(processes)
        with self._database.write() as session:
            session.execute(update(Task).where(held).values(lease_until=epoch_now() + self._lease_seconds))

    def take_cancelled(self, worker: str) -> list[tuple[int, int]]:
        """The tasks that were cancelled while the worker held them, each with the process to be stopped."""
        held = (Task.claimed_by == worker) & (Task.status == "cancelled")
        with self._database.read() as session:
            rows = session.execute(select(Task.id, Task.process).where(held)).all()
        if not rows:
            return []
        with self._database.write() as session:
            # Only those not let go of meanwhile: their processes work on something else by now.
            taken = update(Task).where(held, Task.id.in_([row.id for row in rows])).values(claimed_by=None)
            stopped = session.execute(taken.returning(Task.id, Task.process)).all()
        return [(row.id, row.process) for row in stopped if row.process is not None]

    def crashed(self, holder: Holder, reason: str) -> None:
        """Records that a process died; after too many crashes the task it held ends in error."""
        held = (Task.status == "processing") & (Task.claimed_by == holder.worker) & (Task.process == holder.process)
        with self._database.write() as session:
            self._put_back_crashed(session, held, reason)

    def expire_leases(self) -> None:
        """Puts back the tasks whose worker has not come back in time."""
        with self._database.write() as session:
            expired = (
                select(Task.id)
                .where(Task.status == "processing", Task.lease_until < epoch_now())
                .limit(EXPIRED_AT_ONCE)
                .with_for_update(skip_locked=True)
            )
            ids = session.scalars(expired).all()
            if ids:
                self._put_back_crashed(session, Task.id.in_(ids), "its worker stopped answering")

    def release(self, worker: str, process: int | None = None) -> None:
        """Hands back everything that a worker, or one process of it, holds."""
        held = (Task.status == "processing") & (Task.claimed_by == worker)
        if process is not None:
            held &= Task.process == process
        values = {"status": "pending", "due_at": epoch_now(), "lease_until": None, "claimed_by": None, "process": None}
        with self._database.write() as session:
            session.execute(update(Task).where(held).values(**values))

    def claimable(self, limit: int) -> int:
        """How many tasks may be claimed now; counts no further than ``limit``."""
        with self._database.read() as session:
            found = select(Task.id).where(_claimable()).limit(limit).subquery()
            return session.scalar(select(func.count()).select_from(found)) or 0

    def _claim_next(self, session: Session, holder: Holder) -> Claim | None:
        values = {"worker": holder.worker, "holding_process": holder.process, "lease_seconds": self._lease_seconds}
        row = session.connection().execute(_CLAIM, values).first()
        if row is None:
            return None
        return Claim(
            task_id=row.id,
            attempt=row.attempt,
            source_id=row.source_id,
            source_name=row.source_name,
            source_extension=row.source_extension,
            source_sha256=row.source_sha256,
            algorithm=row.algorithm,
            params=row.params,
            cache=row.cache,
            result_key=f"{row.result_key}-{row.restarts}",
        )

    def _record(self, session: Session, claim: Claim, outcome: Outcome) -> bool:
        match outcome:
            case Finished(result_id):
                values: dict[str, object] = {"status": "finished", "result_id": result_id}
            case Failed(reason):
                values = {"status": "error", "error": reason}
            case Postponed(reason):
                values = self._postponement(claim, reason)
            case Crashed(reason):
                values = self._put_back(reason)
        held = (Task.id == claim.task_id) & (Task.attempt == claim.attempt) & (Task.status == "processing")
        statement = update(Task).where(held).values(lease_until=None, claimed_by=None, process=None, **values)
        status = session.connection().execute(statement.returning(Task.status)).scalar()
        if status == "error" and not (claim.attempt == 1 and isinstance(outcome, Failed)):
            discard_results(session, Task.id == claim.task_id)
        event = "claim lost" if status is None else "task ended"
        log.info(event, task_id=claim.task_id, attempt=claim.attempt, **asdict(outcome), status=status)
        return status is not None

    def _postponement(self, claim: Claim, reason: str) -> dict[str, object]:
        """Later again, or in error when the retry budget is spent.

        The delay is exponential with full jitter (M. Brooker, "Exponential Backoff And Jitter", 2015).
        """
        ceiling = min(self._retry.max_delay_seconds, self._retry.base_delay_seconds * 2 ** min(claim.attempt - 1, 20))
        delay = random.uniform(0, 1) * ceiling  # noqa: S311 (spread, not secrecy)
        since = func.coalesce(Task.retry_since, epoch_now())
        spent = epoch_now() - since > self._retry.max_seconds
        return {
            "status": case((spent, "error"), else_="pending"),
            "error": case((spent, f"Gave up after repeated failures: {reason}"), else_=None),
            "due_at": epoch_now() + delay,
            "retry_since": since,
        }

    def _put_back(self, reason: str) -> dict[str, object]:
        poison = Task.crashes + 1 >= self._retry.max_crashes
        detail = f"Gave up after {self._retry.max_crashes} attempts: {reason}."
        return {
            "crashes": Task.crashes + 1,
            "status": case((poison, "error"), else_="pending"),
            "error": case((poison, detail), else_=None),
            "due_at": epoch_now(),
        }

    def _put_back_crashed(self, session: Session, which: ColumnElement[bool], reason: str) -> None:
        changed = session.execute(
            update(Task)
            .where(which)
            .values(lease_until=None, claimed_by=None, process=None, **self._put_back(reason))
            .returning(Task.id, Task.status)
            .execution_options(synchronize_session=False)
        ).all()
        discard_results(session, Task.id.in_([row.id for row in changed if row.status == "error"]))
        for row in changed:
            log.warning("worker process lost", task_id=row.id, status=row.status, reason=reason)


def discard_results(session: Session, which: ColumnElement[bool]) -> None:
    """Has the results deleted that earlier attempts of these tasks may have uploaded, and no later one accepted."""
    for key in session.scalars(select(_RESULT_KEY).where(which)).all():
        session.execute(insert_or_ignore(session, DiscardedResult).values(key=key))


_RESULT_KEY = Task.result_key.concat("-").concat(Task.restarts)


def _claimable() -> ColumnElement[bool]:
    return (Task.status == "pending") & (Task.due_at <= epoch_now())


_MOST_URGENT = (
    select(Task.id)
    .where(_claimable())
    .order_by(Task.priority.desc(), Task.id)
    .limit(1)
    .with_for_update(skip_locked=True)
    .scalar_subquery()
)
_CLAIM = (
    update(Task)
    .where(Task.id == _MOST_URGENT)
    .values(
        status="processing",
        attempt=Task.attempt + 1,
        claimed_by=bindparam("worker"),
        process=bindparam("holding_process"),
        lease_until=epoch_now() + bindparam("lease_seconds", type_=Double),
    )
    .returning(
        Task.id,
        Task.attempt,
        Task.source_id,
        Task.source_name,
        Task.source_extension,
        Task.source_sha256,
        Task.algorithm,
        Task.params,
        Task.cache,
        Task.result_key,
        Task.restarts,
    )
)
