"""Claims tasks with a lease, and lets only the newest attempt end a task.

``attempt`` grows with each claim and serves as a fencing token (M. Kleppmann, "How to do distributed locking", 2016).
"""

import random
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from itertools import groupby, takewhile
from typing import NamedTuple

import structlog
from service_kit.database import Database, epoch_now
from service_kit.texts import sentence
from sqlalchemy import Connection, Double, Integer, Row, bindparam, case, select, update

from image_processor.config import RetrySettings
from image_processor.models import Batch, Task, TaskStatus
from image_processor.services.causes import Cause, stored_problem
from image_processor.services.jobs.outcomes import Claim, Crashed, Ended, Failed, Finished, Holder, Outcome, Postponed
from image_processor.services.jobs.queue_front import QueueFront
from image_processor.services.jobs.transitions import (
    ENDS_NOW,
    PENDING,
    UNHELD,
    discard_results,
    has_status,
    values_after_crash,
)
from image_processor.services.jobs.turns import (
    CLAIMABLE,
    CLAIMABLE_BY_ID,
    DUE_TASK,
    LATER_OWNER,
    SUSPECT,
    URGENCY,
    DueTask,
    Turns,
)

log = structlog.get_logger()


class ClaimService:
    """Starts and ends attempts.

    :param lease_seconds: a task whose lease was not renewed for this time becomes pending again.
    :param processes: processes of this worker; each claims at most its share of the pending tasks.
    """

    def __init__(self, database: Database, retry: RetrySettings, lease_seconds: float, processes: int) -> None:
        self._database = database
        self._retry = retry
        self._longest_delay = {"longest_delay": retry.max_delay_seconds}
        self._turns = Turns(retry.max_delay_seconds)
        self._front = QueueFront(retry.max_delay_seconds)
        self._lease_seconds = lease_seconds
        self._processes = processes

    def claim(self, holder: Holder, count: int = 1, holds_others: bool = False) -> Sequence[Claim]:
        """Claim at most ``count`` pending tasks by priority; within a priority owners take turns, oldest task first.

        :param holds_others: whether the holder has other tasks; if so, it gets no suspect.
        """
        with self._database.begin() as connection:
            return self._claim(connection, holder, count, holds_others)

    def end(self, ended: Sequence[Ended]) -> Sequence[Claim]:
        """Record the outcomes of attempts; return the claims that were lost.

        A claim is lost if another attempt took over the task, or the task was cancelled.
        """
        with self._database.begin() as connection:
            return self._record(connection, ended)

    def end_and_claim(
        self, ended: Sequence[Ended], holder: Holder, count: int = 1, holds_others: bool = False
    ) -> tuple[Sequence[Claim], Sequence[Claim]]:
        """Do :meth:`end` and :meth:`claim` in one transaction; claim nothing if a claim was lost."""
        with self._database.begin() as connection:
            lost = self._record(connection, ended)
            return lost, [] if lost else self._claim(connection, holder, count, holds_others)

    def hand_back(self, claims: Sequence[Claim]) -> None:
        """Make claimed tasks that have not started pending again."""
        with self._database.begin() as connection:
            held = self._lock_held(connection, claims)
            if held:
                connection.execute(_HAND_BACK, [{"task_id": claim.task_id} for claim in held])

    def give_up(self, claim: Claim, holder: Holder) -> bool:
        """Give up a cancelled attempt; return ``False`` if the worker is about to kill its process for it."""
        with self._database.begin() as connection:
            attempt = (
                (Task.id == claim.task_id) & (Task.attempt == claim.attempt) & (Task.status == TaskStatus.CANCELLED)
            )
            state = connection.execute(select(Task.claimed_by).where(attempt).with_for_update()).first()
            connection.execute(update(Task).where(attempt).values(claimed_by=None, process=None))
        return state is None or state.claimed_by == holder.worker

    def claimable(self, limit: int) -> int:
        """Return the number of tasks that can be claimed now, at most ``limit``."""
        with self._database.connect() as connection:
            return len(self._front.look(connection, limit))

    def is_pending_above(self, priority: int) -> bool:
        """Return whether a claimable task has a higher priority."""
        with self._database.connect() as connection:
            found = connection.execute(_PENDING_ABOVE, {"priority": priority, **self._longest_delay})
            return found.first() is not None

    def _claim(self, connection: Connection, holder: Holder, count: int, holds_others: bool) -> Sequence[Claim]:
        due = self._lock_front(connection, count)
        # Stop before the first task whose priority a later owner shares, so that owners take turns.
        chosen: Sequence[DueTask] = list(takewhile(lambda row: row.later_owner is None, due))
        if due and not chosen:
            chosen = self._turns.lock(connection, due[0].priority, len(due)) or due
        ids = [row.id for row in _claimed_together(chosen, holds_others)]
        if not ids:
            return []
        self._turns.record_claim(chosen[len(ids) - 1].owner)
        values = {
            "ids": ids,
            "worker": holder.worker,
            "holding_process": holder.process,
            "lease_seconds": self._lease_seconds,
        }
        rows = {row.id: row for row in connection.execute(_CLAIM, values)}
        batches = _batches_of(connection, rows.values())
        return [_claim_of(rows[task_id], batches.get(rows[task_id].batch_id)) for task_id in ids]

    def _lock_front(self, connection: Connection, count: int) -> Sequence[DueTask]:
        """Lock this process's share of the first claimable tasks, skipping those that others have locked.

        :returns: the tasks, each with its ``later_owner``.
        """
        looked_at = count * self._processes
        while True:
            front = self._front.look(connection, looked_at)
            # Guided self-scheduling (C. D. Polychronopoulos and D. J. Kuck, 1987): shares shrink as the work runs out.
            share = min(count, -(-len(front) // self._processes))
            values = {"ids": [row.id for row in front], "share": share, **self._longest_delay}
            locked = connection.execute(_LOCK_FRONT, values).all() if front else []
            if locked or len(front) < looked_at:
                return locked
            looked_at *= 2

    def _record(self, connection: Connection, ended: Sequence[Ended]) -> Sequence[Claim]:
        if not ended:
            return []
        held = self._lock_held(connection, [claim for claim, _ in ended])
        lost = [attempt for attempt in ended if attempt.claim not in held]
        for claim, outcome in lost:
            _log_end("claim lost", claim, outcome)
        # Each statement locks the batches of its tasks until the commit: in any other order, two workers deadlock.
        in_order = sorted((attempt for attempt in ended if attempt.claim in held), key=_by_batch)
        for is_finished, group in groupby(in_order, key=_is_finished):
            if is_finished:
                self._record_finished(connection, list(group))
                continue
            for claim, outcome in group:
                if not isinstance(outcome, Finished):
                    self._record_unfinished(connection, claim, outcome)
        return [claim for claim, _ in lost]

    def _record_finished(self, connection: Connection, ended: Sequence[Ended]) -> None:
        rows = [
            {"task_id": claim.task_id, "result": outcome.result_id}
            for claim, outcome in ended
            if isinstance(outcome, Finished)
        ]
        connection.execute(_FINISH, rows)
        for claim, outcome in ended:
            _log_end("task ended", claim, outcome, status=TaskStatus.FINISHED)

    def _lock_held(self, connection: Connection, claims: Sequence[Claim]) -> Sequence[Claim]:
        rows = connection.execute(_LOCK_HELD, {"ids": [claim.task_id for claim in claims]})
        attempts = {row.id: row.attempt for row in rows}
        return [claim for claim in claims if attempts.get(claim.task_id) == claim.attempt]

    def _record_unfinished(self, connection: Connection, claim: Claim, outcome: Failed | Postponed | Crashed) -> None:
        match outcome:
            case Failed(reason, cause):
                problem = stored_problem(cause, reason)
                ended = {"status": TaskStatus.ERROR, "error": str(reason), "error_problem": problem}
                values: dict[str, object] = {**ended, **ENDS_NOW}
            case Postponed(reason):
                values = self._postponement(claim, reason)
            case Crashed(reason):
                values = values_after_crash(self._retry.max_crashes, reason)
        statement = update(Task).where(Task.id == claim.task_id).values(**UNHELD, **values)
        status = connection.execute(statement.returning(Task.status)).scalar_one()
        if status == TaskStatus.ERROR and not (claim.attempt == 1 and isinstance(outcome, Failed)):
            discard_results(connection, Task.id == claim.task_id)
        _log_end("task ended", claim, outcome, status=status)

    def _postponement(self, claim: Claim, reason: str) -> dict[str, object]:
        """Return the values that retry a task later, or end it in error when the retry budget is spent.

        The delay is exponential with full jitter (M. Brooker, "Exponential Backoff And Jitter", 2015).
        """
        ceiling = min(self._retry.max_delay_seconds, self._retry.base_delay_seconds * 2 ** min(claim.attempt - 1, 20))
        # Not security-relevant.
        delay = random.uniform(0, 1) * ceiling  # noqa: S311  # nosec B311
        tried = Task.retry_seconds + (time.monotonic() - claim.claimed_at)
        spent = tried > self._retry.max_seconds
        detail = sentence("Gave up after repeated failures: {reason}", reason=reason)
        return {
            "status": case((spent, TaskStatus.ERROR), else_=TaskStatus.PENDING),
            "error": case((spent, str(detail)), else_=None),
            "error_problem": case((spent, stored_problem(Cause.TOO_MANY_FAILURES, detail)), else_=None),
            "ended_at": case((spent, epoch_now()), else_=None),
            "due_at": epoch_now() + delay,
            "retry_seconds": tried + delay,
        }


def _claimed_together(due: Sequence[DueTask], holds_others: bool) -> Sequence[DueTask]:
    """Return the first tasks that one process may hold together: either a single suspect, or those before a suspect."""
    if due and due[0].suspect:
        return [] if holds_others else due[:1]
    return list(takewhile(lambda row: not row.suspect, due))


def _by_batch(ended: Ended) -> tuple[int, int]:
    """Sort by batch, as the trigger of a statement that ends many tasks does."""
    return ended.claim.batch_id or 0, ended.claim.task_id


def _is_finished(ended: Ended) -> bool:
    return isinstance(ended.outcome, Finished)


class _Shared(NamedTuple):
    """The values that all tasks of a batch share and their holder needs."""

    params: dict[str, object] | None
    expires_in: int | None


def _batches_of(connection: Connection, rows: Collection["Row[*tuple[object, ...]]"]) -> Mapping[int | None, _Shared]:
    ids = {row.batch_id for row in rows} - {None}
    found = connection.execute(_BATCHES, {"ids": sorted(ids)}) if ids else ()
    return {row.id: _Shared(row.params, row.expires_in) for row in found}


def _claim_of(row: "Row[*tuple[object, ...]]", batch: _Shared | None) -> Claim:
    # Tasks created before batches existed have params of their own.
    shared = batch or _Shared(row.params, None)
    return Claim(
        task_id=row.id,
        attempt=row.attempt,
        owner=row.owner,
        source_id=row.source_id,
        source_name=row.source_name,
        source_extension=row.source_extension,
        source_sha256=row.source_sha256,
        priority=row.priority,
        algorithm=row.algorithm,
        params=shared.params,
        cache=row.cache,
        result_key=f"{row.result_key}-{row.restarts}",
        expires_in=shared.expires_in,
        batch_id=row.batch_id,
        suspect=row.suspect,
    )


def _log_end(event: str, claim: Claim, outcome: Outcome, **state: str) -> None:
    log.info(event, task_id=claim.task_id, attempt=claim.attempt, **asdict(outcome), **state)


_LOCK_FRONT = (
    select(*DUE_TASK, LATER_OWNER)
    .where(Task.id.in_(bindparam("ids", expanding=True)), CLAIMABLE_BY_ID)
    .order_by(*URGENCY)
    .limit(bindparam("share", type_=Integer))
    .with_for_update(skip_locked=True)
)
_PENDING_ABOVE = select(Task.id).where(CLAIMABLE, Task.priority > bindparam("priority")).order_by(*URGENCY).limit(1)
_CLAIM = (
    update(Task)
    .where(Task.id.in_(bindparam("ids", expanding=True)))
    .values(
        status=TaskStatus.PROCESSING,
        attempt=Task.attempt + 1,
        started_at=epoch_now(),
        claimed_by=bindparam("worker"),
        process=bindparam("holding_process"),
        lease_until=epoch_now() + bindparam("lease_seconds", type_=Double),
    )
    .returning(
        Task.id,
        Task.attempt,
        Task.owner,
        Task.batch_id,
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
        SUSPECT,
    )
)
_BATCHES = select(Batch.id, Batch.params, Batch.expires_in).where(Batch.id.in_(bindparam("ids", expanding=True)))
_LOCK_HELD = (
    select(Task.id, Task.attempt)
    .where(Task.id.in_(bindparam("ids", expanding=True)), has_status(TaskStatus.PROCESSING))
    .order_by(Task.id)
    .with_for_update()
)
_THIS = Task.id == bindparam("task_id")
_FINISH = (
    update(Task).where(_THIS).values(status=TaskStatus.FINISHED, result_id=bindparam("result"), **UNHELD, **ENDS_NOW)
)
_HAND_BACK = update(Task).where(_THIS).values(**PENDING)
