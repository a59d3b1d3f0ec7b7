"""Runs tasks in a worker's process until none is pending, and waits during database outages."""

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
from image_processor.services.jobs.scratch import AttemptInProgress, find_attempt_in_progress
from image_processor.services.jobs.work_loop import WorkLoop

log = structlog.get_logger()

ABANDONED_AFTER_SECONDS = 3600
"""Seconds beyond a task's time limit after which scratch files count as abandoned and are deleted at the start."""
DATABASE_POLL_SECONDS = 0.5
"""Delay between two attempts to reach the database."""


class Runner:
    """Runs tasks in a worker's process.

    :param scratch: the folder for sources and results of running tasks.
    :param max_seconds: the time limit of a task.
    """

    def __init__(
        self,
        claims: ClaimService,
        leases: LeaseService,
        attempts: AttemptService,
        reuse: ReuseService,
        upload: ResultUpload,
        scratch: Path,
        max_seconds: float,
    ) -> None:
        self._claims = claims
        self._leases = leases
        self._attempts = attempts
        self._reuse = reuse
        self._upload = upload
        self._scratch = scratch
        self._max_seconds = max_seconds

    def drain(self, holder: Holder, stopping: Callable[[], bool]) -> bool:
        """Run tasks by priority until none is pending or ``stopping()`` is true.

        Every outcome is recorded in the task's row. During a database outage this method waits.

        :returns: ``False`` if the worker is about to kill this process, which then must not start another task.
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
            return WorkLoop(self._claims, self._reuse, self._upload, holder, stopping).run(attempt)

    def _recover(self, holder: Holder, stopping: Callable[[], bool]) -> None:
        """Wait for the database, then release tasks that this process may have claimed when the outage began."""
        while not stopping():
            time.sleep(DATABASE_POLL_SECONDS)
            with suppress(DBAPIError):
                self._leases.release(holder.worker, holder.process)
                return

    def discard(self, holder: Holder) -> AttemptInProgress | None:
        """Delete the files of a killed process; return the attempt that was in progress."""
        found = None
        for folder in self._scratch.glob(f"{_prefix(holder)}*"):
            found = find_attempt_in_progress(folder) or found
            shutil.rmtree(folder, ignore_errors=True)
        return found

    def delete_abandoned(self) -> None:
        """Delete files left by killed workers: those too old for any running task."""
        for path in self._scratch.iterdir():
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > self._max_seconds + ABANDONED_AFTER_SECONDS:
                    _delete(path)


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink()


def _prefix(holder: Holder) -> str:
    return f"{holder.worker}-{holder.process}-"
