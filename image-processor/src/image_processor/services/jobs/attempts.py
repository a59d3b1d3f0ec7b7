"""Runs one attempt at a task: fetches the source, applies the algorithm, leaves the result on disk for the upload."""

import errno
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import structlog
from service_kit.texts import sentence, text_of
from sqlalchemy.exc import DBAPIError

from image_processor.config import LimitSettings
from image_processor.services.causes import Cause
from image_processor.services.codec.errors import TOO_LARGE_A_FILE, ImageError
from image_processor.services.codec.limits import ImageLimits
from image_processor.services.codec.plan import Plan
from image_processor.services.codec.process import process_image
from image_processor.services.files.client import FileStorageUnavailableError, ResultRevokedError, SourceError
from image_processor.services.files.sources import Sources
from image_processor.services.jobs.outcomes import Claim, Crashed, Failed, Outcome, Postponed
from image_processor.services.jobs.scratch import ScratchFullError, detecting_full_disk, in_progress

log = structlog.get_logger()

TimeLimit = Callable[[], AbstractContextManager[None]]
"""Kills the process if the block exceeds the time limit."""


@dataclass(frozen=True)
class ResultFile:
    """A result on disk.

    :param extension: the result's extension; ``None`` if it has the format of the source.
    :param cache_key: the key in the result cache; ``None`` if the result is not cached.
    """

    path: Path
    extension: str | None
    cache_key: str | None


class PlannedClaim(NamedTuple):
    """What an attempt at a task needs.

    :ivar key: the key in the result cache; ``None`` if the result is not cached.
    """

    claim: Claim
    plan: Plan
    key: str | None


Attempt = Callable[[PlannedClaim, Claim | None], ResultFile | Outcome]
"""Makes the result of a planned claim; the other claim is expected next."""


class AttemptService:
    """Runs attempts and makes their results."""

    def __init__(
        self,
        sources: Sources,
        limits: LimitSettings,
        time_limit: TimeLimit,
    ) -> None:
        self._sources = sources
        self._limits = limits
        self._time_limit = time_limit

    @contextmanager
    def working_in(self, folder: Path) -> Iterator[Attempt]:
        """Provide :meth:`attempt` bound to ``folder``; after the block, nothing uses the folder any more."""
        try:
            yield partial(self.attempt, folder=folder)
        finally:
            self._sources.cancel_prefetch()

    def attempt(self, planned: PlannedClaim, next_claim: Claim | None, folder: Path) -> ResultFile | Outcome:
        """Make the result in ``folder``; return it, or the outcome of an attempt that failed.

        :param next_claim: the task that is expected next; its source is prefetched.
        :raises DBAPIError: the database is unavailable.
        """
        claim = planned.claim
        with structlog.contextvars.bound_contextvars(task_id=claim.task_id, attempt=claim.attempt):
            try:
                # If the time limit kills the process, this mark identifies the task responsible.
                with in_progress(folder, claim.task_id, claim.attempt), self._time_limit():
                    return self._make(planned, next_claim, folder)
            except DBAPIError:
                raise
            except Exception as error:  # noqa: BLE001 (outcome_of logs unexpected errors)
                return outcome_of(error)

    def _make(self, planned: PlannedClaim, next_claim: Claim | None, folder: Path) -> ResultFile:
        claim, plan, key = planned
        limits = ImageLimits(self._limits.max_pixels, self._limits.max_frames, self._limits.max_decoded_bytes)
        result = folder / f"result-{claim.task_id}-{claim.attempt}"
        files = {file_id: folder / f"file-{file_id}" for file_id in plan.file_ids()}
        try:
            with self._sources.opened(claim.source, folder) as source:
                if next_claim is not None:
                    self._sources.prefetch(next_claim.source, folder)
                # Check before the enclosing blocks delete files, while the disk is as full as at the error.
                with detecting_full_disk(folder):
                    self._sources.fetch_files(claim.owner, files, source)
                    return ResultFile(result, process_image(source, files, result, plan, limits), key)
        except Exception:
            result.unlink(missing_ok=True)
            raise
        finally:
            for path in files.values():
                path.unlink(missing_ok=True)


def outcome_of(error: Exception) -> Outcome:
    """Return the outcome of an attempt that raised this error."""
    match error:
        case ImageError() | SourceError():
            return Failed(text_of(error), error.cause)
        case FileStorageUnavailableError():
            return Postponed(sentence("the file server did not answer ({reason})", reason=str(error)))
        case ScratchFullError() | OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return Postponed(sentence("the worker's disk is full"))
        case OSError(errno=errno.EFBIG):
            return Failed(TOO_LARGE_A_FILE, Cause.RESULT_TOO_LARGE)
        case ResultRevokedError():
            return Postponed(sentence("its result was discarded meanwhile"))
        case MemoryError():
            return Failed(sentence("The image needs more memory than a worker may use."), Cause.OUT_OF_MEMORY)
    log.error("unexpected error", exc_info=error)
    return Crashed(sentence("an unexpected error ({name})", name=type(error).__name__))
