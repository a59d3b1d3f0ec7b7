"""The run of tasks in a worker's process until none is left, through outages of the database."""

import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog
from sqlalchemy.exc import DBAPIError

from image_processor.services.jobs.attempts import AttemptService
from image_processor.services.jobs.claims import ClaimService
from image_processor.services.jobs.leases import LeaseService
from image_processor.services.jobs.outcomes import Holder
from image_processor.services.jobs.result_upload import ResultUpload
from image_processor.services.jobs.reuse import ReuseService
from image_processor.services.jobs.scratch import InWork, found_in_work
from image_processor.services.jobs.work_loop import WorkLoop

log = structlog.get_logger()

ABANDONED_AFTER_SECONDS = 3600
DATABASE_POLL_SECONDS = 0.5


class Runner:
    """Runs tasks in a worker's process.

    :param scratch: the folder of sources and results, while they are in work.
    :param max_seconds: that a task may take.
    """

    def __init__(
        self,
        claims: ClaimService,
        leases: LeaseService,
        attempts: AttemptService,
        reuse: ReuseService,
        delivery: ResultUpload,
        scratch: Path,
        max_seconds: float,
    ) -> None:
        self._claims = claims
        self._leases = leases
        self._attempts = attempts
        self._reuse = reuse
        self._delivery = delivery
        self._scratch = scratch
        self._max_seconds = max_seconds

    def drain(self, holder: Holder, stopping: Callable[[], bool]) -> bool:
        """Does tasks, the most urgent first, until none is pending or ``stopping()`` is true.

        Every outcome is recorded in the task's row. While the database is away it waits.

        :returns: ``False`` where the worker has decided to kill this process, which then must begin nothing more.
        """
        while not stopping():
            try:
                return self._drain(holder, stopping)
            except DBAPIError as error:
                log.warning("process waits for the database", error=str(error.orig))
                self._recover(holder, stopping)
        return True

    def _drain(self, holder: Holder, stopping: Callable[[], bool]) -> bool:
        with (
            TemporaryDirectory(dir=self._scratch, prefix=_prefix(holder)) as folder,
            self._attempts.working_in(Path(folder)) as attempt,
        ):
            return WorkLoop(self._claims, self._reuse, self._delivery, holder, stopping).run(attempt)

    def _recover(self, holder: Holder, stopping: Callable[[], bool]) -> None:
        """Waits until the database is back, and hands back what may have been claimed while it went away."""
        while not stopping():
            time.sleep(DATABASE_POLL_SECONDS)
            with suppress(DBAPIError):
                self._leases.release(holder.worker, holder.process)
                return

    def discard(self, holder: Holder) -> InWork | None:
        """Removes what a process left that was killed, and gives what it was processing then."""
        found = None
        for folder in self._scratch.glob(f"{_prefix(holder)}*"):
            found = found_in_work(folder) or found
            shutil.rmtree(folder, ignore_errors=True)
        return found

    def sweep(self) -> None:
        """Removes what workers left that were killed as a whole: too old for any task that still runs."""
        for left in self._scratch.iterdir():
            with suppress(FileNotFoundError):
                if time.time() - left.stat().st_mtime > self._max_seconds + ABANDONED_AFTER_SECONDS:
                    _remove(left)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink()


def _prefix(holder: Holder) -> str:
    return f"{holder.worker}-{holder.process}-"
