"""A worker's hold on tasks: claimed with a lease, finished only by the newest attempt (a fencing token).

``attempt`` grows with each claim (M. Kleppmann, "How to do distributed locking", 2016, on fencing tokens).
"""

import random
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import takewhile
from typing import NamedTuple

import structlog
from service_kit.database import Database, dialect_of, epoch_now, insert_or_ignore
from sqlalchemy import ColumnElement, Connection, Double, Integer, Row, bindparam, case, func, select, update
from sqlalchemy.orm import InstrumentedAttribute

from image_processor.config import RetrySettings
from image_processor.models import DiscardedResult, Task

log = structlog.get_logger()

EXPIRED_AT_ONCE = 1000

SUSPECT_LOSSES = 3
"""A task that has lost this many workers may be what brings them down."""


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
    priority: int
    algorithm: str
    params: dict[str, object] | None
    cache: bool
    result_key: str
    suspect: bool
    """Its process died before, or its workers were lost repeatedly. Until it has ended, its process holds no other
    task, which would be counted as having crashed too."""
    claimed_at: float = field(default_factory=time.monotonic, compare=False)
    """When, by this machine's monotonic clock."""


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


class Ended(NamedTuple):
    """An attempt, and how it ended."""

    claim: Claim
    outcome: Outcome


class ClaimService:
    """Every change of a task's state that a worker makes.

    :param processes: of this worker: none claims more than its part of what is pending.
    """

    def __init__(self, database: Database, retry: RetrySettings, lease_seconds: float, processes: int) -> None:
        self._database = database
        self._retry = retry
        self._longest_delay = {"longest_delay": retry.max_delay_seconds}
        self._lease_seconds = lease_seconds
        self._processes = processes

    def claim(self, holder: Holder, count: int = 1, beside_others: bool = False) -> Sequence[Claim]:
        """Takes at most ``count`` pending tasks, the most urgent first, the oldest among equals.

        :param beside_others: the holder has more tasks in hand; then it is given no suspect.
        """
        with self._database.begin() as connection:
            return self._claim(connection, holder, count, beside_others)

    def end(self, ended: Sequence[Ended]) -> Sequence[Claim]:
        """Records how attempts ended, and gives those that do not count any more.

        One does not when another attempt has taken the task over, or somebody has cancelled it.
        """
        with self._database.begin() as connection:
            return self._record(connection, ended)

    def end_and_claim(
        self, ended: Sequence[Ended], holder: Holder, count: int = 1, beside_others: bool = False
    ) -> tuple[Sequence[Claim], Sequence[Claim]]:
        """:meth:`end` and :meth:`claim` in one transaction; nothing is claimed where an attempt does not count."""
        with self._database.begin() as connection:
            lost = self._record(connection, ended)
            return lost, [] if lost else self._claim(connection, holder, count, beside_others)

    def hand_back(self, claims: Sequence[Claim]) -> None:
        """Puts tasks back that were not begun."""
        with self._database.begin() as connection:
            held = self._lock_held(connection, claims)
            if held:
                connection.execute(_HAND_BACK, [{"task_id": claim.task_id} for claim in held])

    def let_go(self, claim: Claim, holder: Holder) -> bool:
        """Gives up a cancelled attempt; ``False`` where the worker has taken it to kill its process."""
        with self._database.begin() as connection:
            attempt = (Task.id == claim.task_id) & (Task.attempt == claim.attempt) & (Task.status == "cancelled")
            state = connection.execute(select(Task.claimed_by).where(attempt).with_for_update()).first()
            connection.execute(update(Task).where(attempt).values(claimed_by=None, process=None))
        return state is None or state.claimed_by == holder.worker

    def holding_processes(self, worker: str) -> Sequence[int]:
        """The ids of the worker's processes that hold a task."""
        held = (Task.claimed_by == worker) & (Task.status == "processing") & Task.process.is_not(None)
        with self._database.connect() as connection:
            return [process for process in connection.scalars(select(Task.process).where(held)) if process is not None]

    def heartbeat(self, worker: str, processes: Collection[int]) -> None:
        """Renews the leases of all that these processes of the worker hold."""
        held = (Task.claimed_by == worker) & (Task.status == "processing") & Task.process.in_(processes)
        with self._database.begin() as connection:
            connection.execute(
                update(Task).where(_in_order(held)).values(lease_until=epoch_now() + self._lease_seconds)
            )

    def take_cancelled(self, worker: str) -> list[tuple[int, int]]:
        """The tasks that were cancelled while the worker held them, each with the process to be stopped."""
        with self._database.connect() as connection:
            rows = connection.execute(_CANCELLED, {"worker": worker}).all()
        if not rows:
            return []
        with self._database.begin() as connection:
            # Only those not let go of meanwhile: their processes work on something else by now.
            ids = [row.id for row in rows]
            stopped = connection.execute(_TAKE_CANCELLED, {"worker": worker, "ids": ids}).all()
        return [(row.id, row.process) for row in stopped if row.process is not None]

    def crashed(self, holder: Holder, reason: str) -> None:
        """Records that a process died; after too many crashes the task it held ends in error."""
        held = (Task.status == "processing") & (Task.claimed_by == holder.worker) & (Task.process == holder.process)
        with self._database.begin() as connection:
            _put_back(connection, _in_order(held), self._after_a_crash(reason), reason)

    def overran(self, holder: Holder, task_id: int, attempt: int, reason: str) -> None:
        """Records that a process died as this attempt took too long: it would again, so the task ends in error.

        What else the process held did nothing wrong, and is handed back.
        """
        held = (Task.status == "processing") & (Task.claimed_by == holder.worker) & (Task.process == holder.process)
        at_fault = held & (Task.id == task_id) & (Task.attempt == attempt)
        detail = f"Gave up: {reason}. Make the image smaller first, or choose other parameters."
        with self._database.begin() as connection:
            ended = update(Task).where(at_fault).values(**_UNHELD, status="error", error=detail).returning(Task.id)
            for ended_id in connection.scalars(ended).all():
                discard_results(connection, Task.id == ended_id)
                log.warning("worker process lost", task_id=ended_id, status="error", reason=reason)
            connection.execute(update(Task).where(_in_order(held)).values(**_PENDING))

    def expire_leases(self, now: float) -> None:
        """Put back the tasks whose worker has not come back in time.

        That counts as a loss, not as a crash: a machine that is lost says nothing of the tasks it held.

        :param now: seconds since the epoch by the database's clock, which was not set since the leases began; it may be
            set at any moment, so that it is not asked again.
        """
        with self._database.begin() as connection:
            ids = connection.execute(_EXPIRED, {"now": now}).scalars().all()
            if ids:
                reason = "its worker stopped answering"
                _put_back(connection, Task.id.in_(ids), self._after_a_loss(reason), reason)

    def renew_all_leases(self) -> None:
        """Lets every lease begin anew, as the database's clock has been set: no worker is late, and none ahead."""
        with self._database.begin() as connection:
            held = _in_order(Task.status == "processing")
            connection.execute(update(Task).where(held).values(lease_until=epoch_now() + self._lease_seconds))

    def release(self, worker: str, process: int | None = None) -> None:
        """Hands back everything that a worker, or one process of it, holds."""
        held = (Task.status == "processing") & (Task.claimed_by == worker)
        if process is not None:
            held &= Task.process == process
        with self._database.begin() as connection:
            connection.execute(update(Task).where(_in_order(held)).values(**_PENDING))

    def claimable(self, limit: int) -> int:
        """How many tasks may be claimed now; counts no further than ``limit``."""
        with self._database.connect() as connection:
            found = select(Task.id).where(_CLAIMABLE).order_by(*_URGENCY).limit(limit).subquery()
            return connection.scalar(select(func.count()).select_from(found), self._longest_delay) or 0

    def is_pending_above(self, priority: int) -> bool:
        """Whether a task that may be claimed is more urgent."""
        with self._database.connect() as connection:
            found = connection.execute(_PENDING_ABOVE, {"priority": priority, **self._longest_delay})
            return found.first() is not None

    def _claim(self, connection: Connection, holder: Holder, count: int, beside_others: bool) -> Sequence[Claim]:
        shared = {"shared_count": count * self._processes, "processes": self._processes}
        due = connection.execute(_MOST_URGENT, {**shared, **self._longest_delay}).all()
        ids = [row.id for row in _held_together(due, beside_others)]
        if not ids:
            return []
        values = {
            "ids": ids,
            "worker": holder.worker,
            "holding_process": holder.process,
            "lease_seconds": self._lease_seconds,
        }
        rows = {row.id: row for row in connection.execute(_CLAIM, values)}
        return [_claim_of(rows[task_id]) for task_id in ids]

    def _record(self, connection: Connection, ended: Sequence[Ended]) -> Sequence[Claim]:
        if not ended:
            return []
        held = self._lock_held(connection, [claim for claim, _ in ended])
        finished = [
            {"task_id": claim.task_id, "result": outcome.result_id}
            for claim, outcome in ended
            if claim in held and isinstance(outcome, Finished)
        ]
        if finished:
            connection.execute(_FINISH, finished)
        for claim, outcome in ended:
            if claim not in held:
                _log_end("claim lost", claim, outcome)
            elif isinstance(outcome, Finished):
                _log_end("task ended", claim, outcome, status="finished")
            else:
                self._record_unfinished(connection, claim, outcome)
        return [claim for claim, _ in ended if claim not in held]

    def _lock_held(self, connection: Connection, claims: Sequence[Claim]) -> Sequence[Claim]:
        rows = connection.execute(_LOCK_HELD, {"ids": [claim.task_id for claim in claims]})
        attempts = {row.id: row.attempt for row in rows}
        return [claim for claim in claims if attempts.get(claim.task_id) == claim.attempt]

    def _record_unfinished(self, connection: Connection, claim: Claim, outcome: Failed | Postponed | Crashed) -> None:
        match outcome:
            case Failed(reason):
                values: dict[str, object] = {"status": "error", "error": reason}
            case Postponed(reason):
                values = self._postponement(claim, reason)
            case Crashed(reason):
                values = self._after_a_crash(reason)
        statement = update(Task).where(Task.id == claim.task_id).values(**_UNHELD, **values)
        status = connection.execute(statement.returning(Task.status)).scalar_one()
        if status == "error" and not (claim.attempt == 1 and isinstance(outcome, Failed)):
            discard_results(connection, Task.id == claim.task_id)
        _log_end("task ended", claim, outcome, status=status)

    def _postponement(self, claim: Claim, reason: str) -> dict[str, object]:
        """Later again, or in error when the retry budget is spent.

        The delay is exponential with full jitter (M. Brooker, "Exponential Backoff And Jitter", 2015).
        """
        ceiling = min(self._retry.max_delay_seconds, self._retry.base_delay_seconds * 2 ** min(claim.attempt - 1, 20))
        delay = random.uniform(0, 1) * ceiling  # noqa: S311 (spread, not secrecy)
        tried = Task.retry_seconds + (time.monotonic() - claim.claimed_at)
        spent = tried > self._retry.max_seconds
        return {
            "status": case((spent, "error"), else_="pending"),
            "error": case((spent, f"Gave up after repeated failures: {reason}"), else_=None),
            "due_at": epoch_now() + delay,
            "retry_seconds": tried + delay,
        }

    def _after_a_crash(self, reason: str) -> dict[str, object]:
        return {"crashes": Task.crashes + 1, **_pending_or_given_up(Task.crashes, self._retry.max_crashes, reason)}

    def _after_a_loss(self, reason: str) -> dict[str, object]:
        return {"losses": Task.losses + 1, **_pending_or_given_up(Task.losses, self._retry.max_losses, reason)}


def _pending_or_given_up(counter: InstrumentedAttribute[int], most: int, reason: str) -> dict[str, object]:
    given_up = counter + 1 >= most
    return {
        "status": case((given_up, "error"), else_="pending"),
        "error": case((given_up, f"Gave up after {most} attempts: {reason}."), else_=None),
        "due_at": 0.0,
    }


def _put_back(connection: Connection, which: ColumnElement[bool], values: Mapping[str, object], reason: str) -> None:
    changed = connection.execute(
        update(Task).where(which).values(**_UNHELD, **values).returning(Task.id, Task.status)
    ).all()
    discard_results(connection, Task.id.in_([row.id for row in changed if row.status == "error"]))
    for row in changed:
        log.warning("worker process lost", task_id=row.id, status=row.status, reason=reason)


def discard_results(connection: Connection, which: ColumnElement[bool]) -> None:
    """Has the results deleted that earlier attempts of these tasks may have uploaded, and no later one accepted."""
    for key in connection.scalars(select(_RESULT_KEY).where(which)).all():
        connection.execute(insert_or_ignore(dialect_of(connection), DiscardedResult).values(key=key))


_RESULT_KEY = Task.result_key.concat("-").concat(Task.restarts)


def _held_together(due: Sequence[Row[int, bool]], beside_others: bool) -> Sequence[Row[int, bool]]:
    """Return those of the most urgent that one process may hold: a suspect alone, or what comes before one."""
    if due and due[0].suspect:
        return [] if beside_others else due[:1]
    return list(takewhile(lambda row: not row.suspect, due))


def _claim_of(row: "Row[*tuple[object, ...]]") -> Claim:
    return Claim(
        task_id=row.id,
        attempt=row.attempt,
        source_id=row.source_id,
        source_name=row.source_name,
        source_extension=row.source_extension,
        source_sha256=row.source_sha256,
        priority=row.priority,
        algorithm=row.algorithm,
        params=row.params,
        cache=row.cache,
        result_key=f"{row.result_key}-{row.restarts}",
        suspect=row.suspect,
    )


def _log_end(event: str, claim: Claim, outcome: Outcome, **state: str) -> None:
    log.info(event, task_id=claim.task_id, attempt=claim.attempt, **asdict(outcome), **state)


def _in_order(which: ColumnElement[bool]) -> ColumnElement[bool]:
    """The same tasks, locked by ascending id: two that change several at once never wait for each other."""
    return Task.id.in_(select(Task.id).where(which).order_by(Task.id).with_for_update())


_UNHELD = {"lease_until": None, "claimed_by": None, "process": None}
_PENDING = {"status": "pending", "due_at": 0.0, **_UNHELD}

# What is due later than any delay lasts was postponed before the database's clock was set back.
_NOT_YET_DUE = Task.due_at.between(epoch_now(), epoch_now() + bindparam("longest_delay", type_=Double))
_CLAIMABLE = (Task.status == "pending") & ~_NOT_YET_DUE

# The order of the index of pending tasks. Without it the planner may look for "any" pending task through all that have
# ended.
_URGENCY = (Task.priority.desc(), Task.id)

# Guided self-scheduling (C. D. Polychronopoulos and D. J. Kuck, 1987): towards the end of the work each takes less.
_SHARED = (
    select(Task.id).where(_CLAIMABLE).order_by(*_URGENCY).limit(bindparam("shared_count", type_=Integer)).subquery()
)
_PROCESSES = bindparam("processes", type_=Integer)
_PART = select((func.count() + _PROCESSES - 1) // _PROCESSES).select_from(_SHARED).scalar_subquery()

_SUSPECT = ((Task.crashes > 0) | (Task.losses >= SUSPECT_LOSSES)).label("suspect")

_MOST_URGENT = (
    select(Task.id, _SUSPECT).where(_CLAIMABLE).order_by(*_URGENCY).limit(_PART).with_for_update(skip_locked=True)
)
_HELD_CANCELLED = (Task.claimed_by == bindparam("worker")) & (Task.status == "cancelled")
_CANCELLED = select(Task.id).where(_HELD_CANCELLED)
_TAKE_CANCELLED = (
    update(Task)
    .where(_HELD_CANCELLED, Task.id.in_(bindparam("ids", expanding=True)))
    .values(claimed_by=None)
    .returning(Task.id, Task.process)
)
_EXPIRED = (
    select(Task.id)
    .where(Task.status == "processing", Task.lease_until < bindparam("now", type_=Double))
    .limit(EXPIRED_AT_ONCE)
    .with_for_update(skip_locked=True)
)
_PENDING_ABOVE = select(Task.id).where(_CLAIMABLE, Task.priority > bindparam("priority")).order_by(*_URGENCY).limit(1)
_CLAIM = (
    update(Task)
    .where(Task.id.in_(bindparam("ids", expanding=True)))
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
        Task.priority,
        Task.algorithm,
        Task.params,
        Task.cache,
        Task.result_key,
        Task.restarts,
        _SUSPECT,
    )
)
_LOCK_HELD = (
    select(Task.id, Task.attempt)
    .where(Task.id.in_(bindparam("ids", expanding=True)), Task.status == "processing")
    .order_by(Task.id)
    .with_for_update()
)
_THIS = Task.id == bindparam("task_id")
_FINISH = update(Task).where(_THIS).values(status="finished", result_id=bindparam("result"), **_UNHELD)
_HAND_BACK = update(Task).where(_THIS).values(**_PENDING)
