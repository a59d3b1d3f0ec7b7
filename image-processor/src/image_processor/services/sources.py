"""The files that tasks work on, fetched to the disk; the next task's source while the present one is in work."""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import NamedTuple

from image_processor.config import LimitSettings
from image_processor.services.blobs import BlobClient
from image_processor.services.claims import Claim
from image_processor.services.file_storage import FileStorage


class _Ahead(NamedTuple):
    """A source that is being fetched before anybody asks for it."""

    claim: Claim
    path: Path
    fetched: Future[None]


class Sources:
    """Fetches files, for one task at a time.

    :param blobs: asked first, where there is one.
    """

    def __init__(self, storage: FileStorage, blobs: BlobClient | None, limits: LimitSettings) -> None:
        self._storage = storage
        self._blobs = blobs
        self._limits = limits
        self._background = ThreadPoolExecutor(1, "fetcher")
        self._ahead: _Ahead | None = None

    def fetch(self, claim: Claim, path: Path) -> None:
        """Writes the task's source to ``path``.

        :raises FileStorageUnavailableError: try again later.
        :raises SourceError: there is no such file any more, or it is too large.
        """
        if self._ahead is None or self._ahead.claim != claim:
            self.settle()
            self._fetch(claim, path)
            return
        try:
            self._ahead.fetched.result()
            self._ahead.path.rename(path)
        finally:
            self.settle()

    def fetch_ahead(self, claim: Claim, path: Path) -> None:
        """Begins to write the source of the task that is expected next to ``path``, until :meth:`fetch` wants it."""
        self._ahead = _Ahead(claim, path, self._background.submit(self._fetch, claim, path))

    def settle(self) -> None:
        """Ends what is fetched ahead, and leaves nothing of it."""
        ahead, self._ahead = self._ahead, None
        if ahead is None:
            return
        if not ahead.fetched.cancel():
            wait([ahead.fetched])
        ahead.path.unlink(missing_ok=True)

    def fetch_files(self, files: Mapping[int, Path], beside: Path) -> None:
        """Writes files that params name, where they and the source ``beside`` them are not too large together.

        :raises FileStorageUnavailableError: try again later.
        :raises SourceError: there is no such file any more, or it is too large.
        """
        left = self._limits.max_task_bytes - beside.stat().st_size
        for file_id, path in files.items():
            self._storage.fetch(file_id, path, min(self._limits.max_file_bytes, left))
            left -= path.stat().st_size

    def _fetch(self, claim: Claim, path: Path) -> None:
        limit = min(self._limits.max_file_bytes, self._limits.max_task_bytes)
        fetched = self._blobs and claim.source_sha256 and self._blobs.fetch(claim.source_sha256, path, limit)
        if not fetched:
            self._storage.fetch(claim.source_id, path, limit)
