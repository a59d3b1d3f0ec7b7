"""The run of tasks in a worker's process: claim, fetch, apply the algorithm, store, record, until none is left."""

import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog
from sqlalchemy.exc import DBAPIError

from image_processor.algorithms.registry import Algorithm, Params, all_algorithms
from image_processor.config import LimitSettings
from image_processor.services.claims import Claim, ClaimService, Crashed, Failed, Finished, Holder, Outcome, Postponed
from image_processor.services.file_storage import (
    FileStorage,
    FileStorageUnavailableError,
    ResultRevokedError,
    SourceError,
)
from image_processor.services.images import ImageError, Limits, process_image
from image_processor.services.result_cache import ResultCache, cache_key

log = structlog.get_logger()

ABANDONED_AFTER_SECONDS = 3600
DATABASE_POLL_SECONDS = 0.5

TimeLimit = Callable[[], AbstractContextManager[None]]
"""Ends the process when the block takes too long."""


class ProcessingService:
    """Runs tasks in a worker's process."""

    def __init__(
        self,
        claims: ClaimService,
        storage: FileStorage,
        cache: ResultCache,
        limits: LimitSettings,
        scratch: Path,
        time_limit: TimeLimit,
    ) -> None:
        self._claims = claims
        self._storage = storage
        self._cache = cache
        self._limits = limits
        self._scratch = scratch
        self._time_limit = time_limit

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
        claim = self._claims.claim(holder)
        while claim is not None:
            structlog.contextvars.bind_contextvars(task_id=claim.task_id, attempt=claim.attempt)
            outcome = self._run(claim, holder)
            following = None
            if stopping():
                counted = self._claims.end(claim, outcome)
            else:
                counted, following = self._claims.end_and_claim(claim, holder, outcome)
            structlog.contextvars.clear_contextvars()
            if not counted and not self._claims.let_go(claim, holder):
                return False
            claim = following if counted or stopping() else self._claims.claim(holder)
        return True

    def _recover(self, holder: Holder, stopping: Callable[[], bool]) -> None:
        """Waits until the database is back, and hands back what may have been claimed while it went away."""
        while not stopping():
            time.sleep(DATABASE_POLL_SECONDS)
            with suppress(DBAPIError):
                self._claims.release(holder.worker, holder.process)
                return

    def discard(self, holder: Holder) -> None:
        """Removes what a process left that was killed."""
        for folder in self._scratch.glob(f"{_prefix(holder)}*"):
            shutil.rmtree(folder, ignore_errors=True)

    def sweep(self) -> None:
        """Removes what workers left that were killed as a whole: too old for any task that still runs."""
        for folder in self._scratch.glob("*/"):
            if time.time() - folder.stat().st_mtime > self._limits.max_seconds + ABANDONED_AFTER_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)

    def _run(self, claim: Claim, holder: Holder) -> Outcome:
        try:
            with self._time_limit():
                return Finished(self._result_of(claim, holder))
        except (ImageError, SourceError) as error:
            return Failed(str(error))
        except FileStorageUnavailableError as error:
            return Postponed(f"the file server did not answer ({error})")
        except ResultRevokedError:
            return Postponed("its result was discarded meanwhile")
        except MemoryError:
            return Failed("The image needs more memory than a worker may use.")
        except DBAPIError:
            raise
        except Exception as error:
            log.exception("unexpected error")
            return Crashed(f"an unexpected error ({type(error).__name__})")

    def _result_of(self, claim: Claim, holder: Holder) -> int:
        algorithm = all_algorithms().get(claim.algorithm)
        if algorithm is None:
            raise ImageError(f"The algorithm '{claim.algorithm}' is not installed any more.")
        key = cache_key(claim, algorithm)
        if key is None:
            return self._make(claim, algorithm, holder)
        return self._copy_cached(claim, key) or self._make_cached(claim, algorithm, holder, key)

    def _copy_cached(self, claim: Claim, key: str) -> int | None:
        cached = self._cache.find(key)
        if cached is None:
            return None
        return self._storage.copy(cached, claim.source_name, claim.source_extension, claim.result_key)

    def _make_cached(self, claim: Claim, algorithm: Algorithm[Params], holder: Holder, key: str) -> int:
        result_id = self._make(claim, algorithm, holder)
        self._cache.remember(key, result_id)
        return result_id

    def _make(self, claim: Claim, algorithm: Algorithm[Params], holder: Holder) -> int:
        with TemporaryDirectory(dir=self._scratch, prefix=_prefix(holder)) as folder:
            source, result = Path(folder, "source"), Path(folder, "result")
            self._storage.fetch(claim.source_id, source, self._limits.max_file_bytes)
            limits = Limits(self._limits.max_pixels, self._limits.max_frames)
            process_image(source, result, algorithm, claim.params or {}, limits)
            return self._storage.store(result, claim.source_name, claim.source_extension, claim.result_key)


def _prefix(holder: Holder) -> str:
    return f"{holder.worker}-{holder.process}-"
