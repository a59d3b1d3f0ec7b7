"""Runs tasks in two threads of a worker's process: one makes results; the other uploads them and claims tasks.

A result is uploaded at once if no other task remains, or if its priority is higher than that of the next task.
Otherwise it briefly waits for others, so that one upload and two transactions serve several results.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from image_processor.services.jobs.attempts import Attempt, PlannedClaim, ResultFile
from image_processor.services.jobs.claims import ClaimService
from image_processor.services.jobs.outcomes import Claim, Holder, Outcome
from image_processor.services.jobs.result_upload import ResultUpload
from image_processor.services.jobs.reuse import ReuseService

PREFETCH_SECONDS = 1.0
"""Seconds of work to claim in advance, estimated from the duration of the last tasks."""
MAX_PREFETCH = 31
"""Maximum number of tasks claimed in advance."""
HAND_BACK_SECONDS = 1.5
"""If a task takes longer, the tasks claimed in advance are handed back for other processes."""
BATCH_SIZE = 16
"""Results uploaded without waiting for more: half of the claimed tasks, so that the process never runs out."""
BATCH_SECONDS = 0.5
"""Maximum time that a result waits for others.

Half of :data:`PREFETCH_SECONDS`, because tasks are claimed only after an upload.
"""
POLL_SECONDS = 0.2
"""Interval between checks for a pending task with a higher priority than the next task."""


class _NextStep(NamedTuple):
    """The recording thread's next step and its delay; ``take`` returns whether another step may follow."""

    in_seconds: float
    take: Callable[[], bool]


class WorkLoop:
    """Runs tasks until none is pending; an instance runs once.

    :param stopping: returns whether no further task may start.
    """

    def __init__(
        self,
        claims: ClaimService,
        reuse: ReuseService,
        upload: ResultUpload,
        holder: Holder,
        stopping: Callable[[], bool],
    ) -> None:
        self._claims = claims
        self._reuse = reuse
        self._upload = upload
        self._holder = holder
        self._stopping = stopping
        self._pace = Pace()
        self._changed = threading.Condition()
        self._ready: deque[PlannedClaim] = deque()
        """Claimed tasks that have not started, by priority."""
        self._running: PlannedClaim | None = None
        self._progressed_at = 0.0
        self._polled_at = 0.0
        self._results: list[tuple[Claim, ResultFile | Outcome]] = []
        self._oldest_result_at = 0.0
        self._closed = False
        self._to_be_killed = False

    def run(self, attempt: Attempt) -> bool:
        """Call ``attempt`` in this thread for each claimed task.

        :returns: ``False`` if the worker is about to kill this process, which then must not start another task.
        :raises DBAPIError: the database is unavailable; some claimed tasks may not have ended.
        """
        with ThreadPoolExecutor(1, "recorder") as background:
            recorder = background.submit(self._record)
            try:
                while (planned := self._start_next()) is not None:
                    self._add_result(planned.claim, attempt(planned, self._peek()))
            finally:
                self._close()
            recorder.result()
        return not self._to_be_killed

    def _start_next(self) -> PlannedClaim | None:
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._closed)
            if self._closed or self._stopping():
                return None
            self._running = self._ready.popleft()
            self._progressed_at = time.monotonic()
            return self._running

    def _peek(self) -> Claim | None:
        with self._changed:
            return self._ready[0].claim if self._ready else None

    def _add_result(self, claim: Claim, result: ResultFile | Outcome) -> None:
        with self._changed:
            now = time.monotonic()
            self._pace.add(now - self._progressed_at)
            self._progressed_at = now
            self._append([(claim, result)])
            self._running = None
            self._changed.notify_all()

    def _close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _record(self) -> None:
        try:
            while self._take_step():
                pass
        finally:
            self._close()

    def _take_step(self) -> bool:
        """Wait for the next step and take it; return ``False`` after the last."""
        with self._changed:
            while (step := self._next_step()).in_seconds > 0:
                self._changed.wait(min(step.in_seconds, threading.TIMEOUT_MAX))
        return step.take()

    def _next_step(self) -> _NextStep:
        if self._closed or self._idle() or self._has_batch():
            return _NextStep(0, self._flush)
        now = time.monotonic()
        steps = [_NextStep(math.inf, self._flush)]
        if self._results:
            steps.append(_NextStep(self._oldest_result_at + BATCH_SECONDS - now, self._flush))
        if self._ready:
            steps.append(_NextStep(self._progressed_at + HAND_BACK_SECONDS - now, self._hand_back))
        if self._ready and self._running:
            steps.append(_NextStep(self._polled_at + POLL_SECONDS - now, self._claim_urgent))
        return min(steps, key=lambda step: step.in_seconds)

    def _flush(self) -> bool:
        with self._changed:
            results, self._results = self._results, []
            closed, idle, wanted = self._closed or self._stopping(), self._idle(), self._wanted()
        if results or (idle and not closed):
            self._record_and_claim(results, idle, 0 if closed else wanted)
            return True
        self._hand_back()
        return not closed

    def _claim_urgent(self) -> bool:
        with self._changed:
            self._polled_at = time.monotonic()
            next_claim = self._ready[0].claim if self._ready else None
        if next_claim is not None and self._claims.is_pending_above(next_claim.priority):
            self._add_claims(self._claims.claim(self._holder, holds_others=True))
        return True

    def _record_and_claim(self, results: list[tuple[Claim, ResultFile | Outcome]], idle: bool, wanted: int) -> None:
        ended = self._upload.store(results)
        if wanted:
            lost, claimed = self._claims.end_and_claim(ended, self._holder, wanted, holds_others=not idle)
        else:
            lost, claimed = self._claims.end(ended), []
        taken_by_worker = [claim for claim in lost if not self._claims.give_up(claim, self._holder)]
        self._add_claims(claimed)
        with self._changed:
            if idle:
                self._progressed_at = time.monotonic()
            self._to_be_killed |= bool(taken_by_worker)
            self._closed |= bool(taken_by_worker) or (idle and not claimed and not lost)
            self._changed.notify_all()

    def _add_claims(self, claimed: Sequence[Claim]) -> None:
        """Finish claimed tasks that have cached results, and queue the others."""
        began = time.monotonic()
        ended, missed = self._reuse.reuse(claimed)
        with self._changed:
            now = time.monotonic()
            for _ in ended:
                self._pace.add((now - began) / len(ended))
            self._append(ended)
            self._ready = deque(sorted([*self._ready, *missed], key=lambda planned: -planned.claim.priority))
            self._polled_at = now
            self._changed.notify_all()

    def _append(self, results: Sequence[tuple[Claim, ResultFile | Outcome]]) -> None:
        if not self._results:
            self._oldest_result_at = time.monotonic()
        self._results.extend(results)

    def _hand_back(self) -> bool:
        with self._changed:
            waiting = [planned.claim for planned in self._ready]
            self._ready.clear()
        if waiting and not self._to_be_killed:
            self._claims.hand_back(waiting)
        return True

    def _has_batch(self) -> bool:
        """Return whether to upload the results now, although another task is running or ready."""
        if len(self._results) >= BATCH_SIZE:
            return True
        current = (self._running or self._ready[0]).claim
        return any(claim.priority > current.priority for claim, _ in self._results)

    def _idle(self) -> bool:
        return self._running is None and not self._ready

    def _wanted(self) -> int:
        """Return the number of further tasks to claim; 0 while a suspect is held."""
        held = [planned.claim for planned in (self._running, *self._ready) if planned is not None]
        if any(claim.suspect for claim in held):
            return 0
        return max(0, 1 + self._pace.prefetch_count() - len(held))


class Pace:
    """Measures recent tasks to decide how many to claim in advance."""

    def __init__(self) -> None:
        self._seconds: float | None = None

    def add(self, seconds: float) -> None:
        """Add the duration of a task."""
        self._seconds = seconds if self._seconds is None else 0.8 * self._seconds + 0.2 * seconds

    def prefetch_count(self) -> int:
        """Return the number of tasks that take :data:`PREFETCH_SECONDS`; 0 before the first task."""
        if self._seconds is None:
            return 0
        return min(MAX_PREFETCH, int(PREFETCH_SECONDS / max(self._seconds, 1e-6)))
