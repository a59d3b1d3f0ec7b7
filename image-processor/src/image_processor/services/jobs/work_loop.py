"""Two threads of a worker's process: one makes results, the other stores them, records them and claims what comes next.

A result is stored at once where nothing more is to be made, or where it is more urgent than what is. Otherwise it waits
a moment for others, so that a transfer and two transactions serve several.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from image_processor.services.jobs.attempts import Attempt, Made
from image_processor.services.jobs.claims import ClaimService
from image_processor.services.jobs.outcomes import Claim, Holder, Outcome
from image_processor.services.jobs.result_upload import ResultUpload
from image_processor.services.jobs.reuse import ReuseService

AHEAD_SECONDS = 1.0
"""Work that a process claims before it can begin it, at the pace of the last tasks."""
MAX_AHEAD = 31
HAND_BACK_SECONDS = 1.5
"""What waits behind a task that takes longer is handed back, for others to do."""
TOGETHER = 16
"""So many results are not kept waiting for more: half of what a process has in hand, so that it never runs dry."""
TOGETHER_SECONDS = 0.5
"""No result waits longer for others: half of the work in hand, as more is claimed only when results are stored."""
LOOK_SECONDS = 0.2
"""So often a process looks whether a task is pending that is more urgent than what it would do next."""


class _Step(NamedTuple):
    """What the recording thread does next, and when; taking it tells whether another may follow."""

    in_seconds: float
    take: Callable[[], bool]


class WorkLoop:
    """Does tasks until none is pending; used once.

    :param stopping: whether nothing more may be begun.
    """

    def __init__(
        self,
        claims: ClaimService,
        reuse: ReuseService,
        delivery: ResultUpload,
        holder: Holder,
        stopping: Callable[[], bool],
    ) -> None:
        self._claims = claims
        self._reuse = reuse
        self._delivery = delivery
        self._holder = holder
        self._stopping = stopping
        self._pace = Pace()
        self._changed = threading.Condition()
        self._ready: deque[Claim] = deque()
        """The most urgent first."""
        self._making: Claim | None = None
        self._went_on_at = 0.0
        self._looked_at = 0.0
        self._made: list[tuple[Claim, Made | Outcome]] = []
        self._waits_since = 0.0
        self._closed = False
        self._to_be_killed = False

    def run(self, attempt: Attempt) -> bool:
        """Calls ``attempt`` in this thread for one claimed task after another.

        :returns: ``False`` where the worker has decided to kill this process, which then must begin nothing more.
        :raises DBAPIError: the database is away; some tasks may be claimed and not ended.
        """
        with ThreadPoolExecutor(1, "recorder") as background:
            recorder = background.submit(self._record)
            try:
                while (claim := self._begin()) is not None:
                    self._pass_on(claim, attempt(claim, self._following()))
            finally:
                self._close()
            recorder.result()
        return not self._to_be_killed

    def _begin(self) -> Claim | None:
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._closed)
            if self._closed or self._stopping():
                return None
            self._making = self._ready.popleft()
            self._went_on_at = time.monotonic()
            return self._making

    def _following(self) -> Claim | None:
        with self._changed:
            return self._ready[0] if self._ready else None

    def _pass_on(self, claim: Claim, made: Made | Outcome) -> None:
        with self._changed:
            now = time.monotonic()
            self._pace.note(now - self._went_on_at)
            self._went_on_at = now
            self._keep([(claim, made)])
            self._making = None
            self._changed.notify_all()

    def _close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _record(self) -> None:
        try:
            while self._turn():
                pass
        finally:
            self._close()

    def _turn(self) -> bool:
        """Waits for the next step and takes it; ``False`` once there will be no other."""
        with self._changed:
            while (step := self._next_step()).in_seconds > 0:
                self._changed.wait(min(step.in_seconds, threading.TIMEOUT_MAX))
        return step.take()

    def _next_step(self) -> _Step:
        if self._closed or self._idle() or self._enough_made():
            return _Step(0, self._go_on)
        now = time.monotonic()
        steps = [_Step(math.inf, self._go_on)]
        if self._made:
            steps.append(_Step(self._waits_since + TOGETHER_SECONDS - now, self._go_on))
        if self._ready:
            steps.append(_Step(self._went_on_at + HAND_BACK_SECONDS - now, self._hand_back))
        if self._ready and self._making:
            steps.append(_Step(self._looked_at + LOOK_SECONDS - now, self._look_for_urgent))
        return min(steps, key=lambda step: step.in_seconds)

    def _go_on(self) -> bool:
        with self._changed:
            made, self._made = self._made, []
            closed, idle, wanted = self._closed or self._stopping(), self._idle(), self._wanted()
        if made or (idle and not closed):
            self._settle(made, idle, 0 if closed else wanted)
            return True
        self._hand_back()
        return not closed

    def _look_for_urgent(self) -> bool:
        with self._changed:
            self._looked_at = time.monotonic()
            following = self._ready[0] if self._ready else None
        if following is not None and self._claims.is_pending_above(following.priority):
            self._take_in(self._claims.claim(self._holder, beside_others=True))
        return True

    def _settle(self, made: list[tuple[Claim, Made | Outcome]], idle: bool, wanted: int) -> None:
        ended = self._delivery.deliver(made)
        if wanted:
            lost, claimed = self._claims.end_and_claim(ended, self._holder, wanted, beside_others=not idle)
        else:
            lost, claimed = self._claims.end(ended), []
        taken = [claim for claim in lost if not self._claims.let_go(claim, self._holder)]
        self._take_in(claimed)
        with self._changed:
            if idle:
                self._went_on_at = time.monotonic()
            self._to_be_killed |= bool(taken)
            self._closed |= bool(taken) or (idle and not claimed and not lost)
            self._changed.notify_all()

    def _take_in(self, claimed: Sequence[Claim]) -> None:
        """Has tasks done: by an earlier result, where there is one."""
        began = time.monotonic()
        reused = self._reuse.reuse(claimed) if claimed else []
        done = [claim for claim, _ in reused]
        with self._changed:
            now = time.monotonic()
            for _ in reused:
                self._pace.note((now - began) / len(reused))
            self._keep(reused)
            left = [claim for claim in claimed if claim not in done]
            self._ready = deque(sorted([*self._ready, *left], key=lambda claim: -claim.priority))
            self._looked_at = now
            self._changed.notify_all()

    def _keep(self, made: Sequence[tuple[Claim, Made | Outcome]]) -> None:
        if not self._made:
            self._waits_since = time.monotonic()
        self._made.extend(made)

    def _hand_back(self) -> bool:
        with self._changed:
            waiting = list(self._ready)
            self._ready.clear()
        if waiting and not self._to_be_killed:
            self._claims.hand_back(waiting)
        return True

    def _enough_made(self) -> bool:
        """Whether results are not to wait any longer; the process has more to do."""
        if len(self._made) >= TOGETHER:
            return True
        present = self._making or self._ready[0]
        return any(claim.priority > present.priority for claim, _ in self._made)

    def _idle(self) -> bool:
        return self._making is None and not self._ready

    def _wanted(self) -> int:
        """How many more tasks are claimed; none beside one whose process died before."""
        held = [claim for claim in (self._making, *self._ready) if claim is not None]
        if any(claim.suspect for claim in held):
            return 0
        return max(0, 1 + self._pace.ahead() - len(held))


class Pace:
    """How long tasks take of late, and so how many to have at hand."""

    def __init__(self) -> None:
        self._seconds: float | None = None

    def note(self, seconds: float) -> None:
        """Another task took so long."""
        self._seconds = seconds if self._seconds is None else 0.8 * self._seconds + 0.2 * seconds

    def ahead(self) -> int:
        """Tasks that are done in :data:`AHEAD_SECONDS`; none as long as nothing is known."""
        if self._seconds is None:
            return 0
        return min(MAX_AHEAD, int(AHEAD_SECONDS / max(self._seconds, 1e-6)))
