"""The run of tasks in a worker's process: claim, fetch, apply the algorithm, store, record, until none is left."""

import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog
from service_kit.problems import Problem
from sqlalchemy.exc import DBAPIError

from image_processor.config import LimitSettings
from image_processor.services.claims import Claim, ClaimService, Crashed, Failed, Finished, Holder, Outcome, Postponed
from image_processor.services.decoding import ImageError, Limits
from image_processor.services.file_storage import (
    FileStorage,
    FileStorageUnavailableError,
    ResultRevokedError,
    SourceError,
)
from image_processor.services.images import process_image
from image_processor.services.plan import Plan, plan_of
from image_processor.services.result_cache import CacheHit, ResultCache, cache_key

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
        try:
            plan = plan_of(claim.algorithm, claim.params)
        except Problem as error:
            raise ImageError(f"The task cannot be done any more: {error}") from error
        if not claim.cache or claim.source_sha256 is None:
            return self._make(claim, plan, holder).result_id
        key = cache_key(plan, [claim.source_sha256, *self._contents(plan)])
        return self._copy_cached(claim, key) or self._make_cached(claim, plan, holder, key)

    def _contents(self, plan: Plan) -> Sequence[str]:
        """The SHA-256 of each file that the plan names."""
        file_ids = plan.file_ids()
        found = self._storage.find(file_ids) if file_ids else {}
        for file_id in file_ids:
            if file_id not in found:
                raise SourceError(f"The file {file_id} that params name does not exist any more.")
        return [found[file_id].sha256 for file_id in file_ids]

    def _copy_cached(self, claim: Claim, key: str) -> int | None:
        hit = self._cache.find(key)
        if hit is None:
            return None
        extension = hit.extension or claim.source_extension
        return self._storage.copy(hit.result_id, claim.source_name, extension, claim.result_key)

    def _make_cached(self, claim: Claim, plan: Plan, holder: Holder, key: str) -> int:
        made = self._make(claim, plan, holder)
        self._cache.remember(key, made.result_id, made.extension)
        return made.result_id

    def _make(self, claim: Claim, plan: Plan, holder: Holder) -> CacheHit:
        limits = Limits(self._limits.max_pixels, self._limits.max_frames)
        with TemporaryDirectory(dir=self._scratch, prefix=_prefix(holder)) as folder:
            source, result = Path(folder, "source"), Path(folder, "result")
            files = {file_id: Path(folder, f"file-{file_id}") for file_id in plan.file_ids()}
            self._fetch([(claim.source_id, source), *files.items()])
            extension = process_image(source, files, result, plan, limits)
            stored = self._storage.store(
                result, claim.source_name, extension or claim.source_extension, claim.result_key
            )
            return CacheHit(stored, extension)

    def _fetch(self, files: Sequence[tuple[int, Path]]) -> None:
        left = self._limits.max_task_bytes
        for file_id, path in files:
            self._storage.fetch(file_id, path, min(self._limits.max_file_bytes, left))
            left -= path.stat().st_size


def _prefix(holder: Holder) -> str:
    return f"{holder.worker}-{holder.process}-"
