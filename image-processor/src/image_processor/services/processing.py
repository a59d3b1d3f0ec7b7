"""A task's run: claim, fetch, apply the algorithm, store, finish."""

import shutil
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog

from image_processor.algorithms.registry import all_algorithms
from image_processor.config import LimitSettings
from image_processor.services.claims import Claim, ClaimService
from image_processor.services.file_storage import FileStorage, FileStorageUnavailableError, SourceError
from image_processor.services.images import ImageError, Limits, process_image

log = structlog.get_logger()

LEASE_MARGIN = 15
"""Seconds beyond the hard time limit after which a claim's worker is taken for dead."""


class ProcessingService:
    """Runs tasks in a worker's process."""

    def __init__(self, claims: ClaimService, storage: FileStorage, limits: LimitSettings, scratch: Path) -> None:
        self._claims = claims
        self._storage = storage
        self._limits = limits
        self._scratch = scratch

    def run(self, task_id: int, worker: str) -> None:
        """Does the task if it is still to be done; every outcome is recorded in its row."""
        claim = self._claims.claim(task_id, worker, self._limits.max_seconds + LEASE_MARGIN)
        if claim is None:
            return
        structlog.contextvars.bind_contextvars(task_id=task_id, attempt=claim.attempt)
        try:
            result_id = self._process(claim, f"{worker}-{task_id}-")
        except (ImageError, SourceError) as error:
            self._claims.fail(claim, str(error))
        except FileStorageUnavailableError as error:
            self._claims.retry_later(claim, f"the file server did not answer ({error})")
        except MemoryError:
            self._claims.fail(claim, "The image needs more memory than a worker may use.")
        else:
            self._claims.finish(claim, result_id)
        finally:
            structlog.contextvars.clear_contextvars()

    def discard(self, task_id: int, worker: str) -> None:
        """Removes what a process left that was killed while it worked on the task."""
        for folder in self._scratch.glob(f"{worker}-{task_id}-*"):
            shutil.rmtree(folder, ignore_errors=True)

    def sweep(self) -> None:
        """Removes what workers left that were killed as a whole: too old for any task that still runs."""
        for folder in self._scratch.glob("*/"):
            if time.time() - folder.stat().st_mtime > self._limits.max_seconds + LEASE_MARGIN:
                shutil.rmtree(folder, ignore_errors=True)

    def _process(self, claim: Claim, prefix: str) -> int:
        algorithm = all_algorithms().get(claim.algorithm)
        if algorithm is None:
            raise ImageError(f"The algorithm '{claim.algorithm}' is not installed any more.")
        with TemporaryDirectory(dir=self._scratch, prefix=prefix) as folder:
            source, result = Path(folder, "source"), Path(folder, "result")
            name = self._storage.fetch(claim.source_id, source, self._limits.max_file_bytes)
            limits = Limits(self._limits.max_pixels, self._limits.max_frames)
            process_image(source, result, algorithm, claim.params or {}, limits)
            return self._storage.store(result, name, claim.result_key)
