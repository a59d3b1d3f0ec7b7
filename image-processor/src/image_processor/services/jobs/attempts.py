"""One attempt at a task: its source fetched, its algorithm applied; the result then waits on disk to be stored."""

import errno
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog
from service_kit.errors import DomainError
from sqlalchemy.exc import DBAPIError

from image_processor.config import LimitSettings
from image_processor.services.codec.decoding import ImageError, Limits
from image_processor.services.codec.plan import Plan, plan_of
from image_processor.services.codec.process import process_image
from image_processor.services.files.client import FileStorageUnavailableError, ResultRevokedError, SourceError
from image_processor.services.files.sources import Sources
from image_processor.services.jobs.outcomes import Claim, Crashed, Failed, Outcome, Postponed
from image_processor.services.jobs.reuse import ReuseService
from image_processor.services.jobs.scratch import ScratchFullError, blaming_a_full_disk, in_work

log = structlog.get_logger()

TimeLimit = Callable[[], AbstractContextManager[None]]
"""Ends the process when the block takes too long."""


@dataclass(frozen=True)
class Made:
    """A result on disk.

    :param extension: of the result; ``None`` where it is the source's.
    :param cache_key: what it is remembered by; ``None`` where it is not.
    """

    path: Path
    extension: str | None
    cache_key: str | None


Attempt = Callable[[Claim, Claim | None], Made | Outcome]
"""Makes the result of the first, while the second is expected next."""


class AttemptService:
    """Makes results."""

    def __init__(
        self,
        sources: Sources,
        reuse: ReuseService,
        limits: LimitSettings,
        time_limit: TimeLimit,
    ) -> None:
        self._sources = sources
        self._reuse = reuse
        self._limits = limits
        self._time_limit = time_limit

    @contextmanager
    def working_in(self, folder: Path) -> Iterator[Attempt]:
        """:meth:`attempt` in ``folder``, which nothing uses any more when the block is left."""
        try:
            yield partial(self.attempt, folder=folder)
        finally:
            self._sources.settle()

    def attempt(self, claim: Claim, following: Claim | None, folder: Path) -> Made | Outcome:
        """Makes the result in ``folder``.

        :param following: the task that is expected next: its source is fetched meanwhile.
        :raises DBAPIError: the database is away.
        """
        with structlog.contextvars.bound_contextvars(task_id=claim.task_id, attempt=claim.attempt):
            try:
                with self._time_limit():
                    return self._attempt(claim, following, folder)
            except DBAPIError:
                raise
            except Exception as error:  # noqa: BLE001 (what nobody foresaw is logged there)
                return outcome_of(error)

    def _attempt(self, claim: Claim, following: Claim | None, folder: Path) -> Made:
        try:
            plan = plan_of(claim.algorithm, claim.params)
        except DomainError as error:
            raise ImageError(f"The task cannot be done any more: {error}") from error
        return self._make(claim, following, plan, folder, self._reuse.key_of(claim, plan))

    def _make(self, claim: Claim, following: Claim | None, plan: Plan, folder: Path, key: str | None) -> Made:
        limits = Limits(self._limits.max_pixels, self._limits.max_frames)
        result = folder / f"result-{claim.task_id}-{claim.attempt}"
        files = {file_id: folder / f"file-{file_id}" for file_id in plan.file_ids()}
        try:
            with self._sources.opened(claim, folder) as source:
                if following is not None:
                    self._sources.fetch_ahead(following, folder)
                # Here, where nothing of what fills the disk has been removed yet.
                with blaming_a_full_disk(folder):
                    self._sources.fetch_files(files, beside=source)
                    with in_work(folder, claim.task_id, claim.attempt):
                        return Made(result, process_image(source, files, result, plan, limits), key)
        except Exception:
            result.unlink(missing_ok=True)
            raise
        finally:
            for path in files.values():
                path.unlink(missing_ok=True)


def outcome_of(error: Exception) -> Outcome:
    """What becomes of a task whose attempt met this error."""
    match error:
        case ImageError() | SourceError():
            return Failed(str(error))
        case FileStorageUnavailableError():
            return Postponed(f"the file server did not answer ({error})")
        case ScratchFullError() | OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return Postponed("the worker's disk is full")
        case ResultRevokedError():
            return Postponed("its result was discarded meanwhile")
        case MemoryError():
            return Failed("The image needs more memory than a worker may use.")
    log.error("unexpected error", exc_info=error)
    return Crashed(f"an unexpected error ({type(error).__name__})")
