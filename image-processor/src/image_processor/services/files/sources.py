"""The files that tasks work on: read where they are stored, or fetched; the next one while the present is in work."""

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from image_processor.config import LimitSettings
from image_processor.services.files.blob_folder import BlobFolder
from image_processor.services.files.blob_http import BlobClient
from image_processor.services.files.client import FileStorage, check_size
from image_processor.services.jobs.outcomes import Claim


class _Ahead(NamedTuple):
    """A source that is being fetched before anybody asks for it."""

    claim: Claim
    path: Path
    fetched: Future[None]


class Sources:
    """Has the files of one task at a time.

    :param folder: asked first, where there is one: what it has need not be fetched.
    :param blobs: asked next, where there is one.
    """

    def __init__(
        self, storage: FileStorage, folder: BlobFolder | None, blobs: BlobClient | None, limits: LimitSettings
    ) -> None:
        self._storage = storage
        self._folder = folder
        self._blobs = blobs
        self._limits = limits
        self._source_bytes = min(limits.max_file_bytes, limits.max_task_bytes)
        self._background = ThreadPoolExecutor(1, "fetcher")
        self._ahead: _Ahead | None = None

    @contextmanager
    def opened(self, claim: Claim, scratch: Path) -> Iterator[Path]:
        """The task's source, for reading until the block is left; in ``scratch`` where it has to be fetched.

        :raises FileStorageUnavailableError: try again later.
        :raises SourceError: there is no such file any more, or it is too large.
        """
        stored = self._folder.open(claim.source_sha256) if self._folder and claim.source_sha256 else None
        if stored is not None or (self._ahead is not None and self._ahead.claim != claim):
            self.settle()
        with self._fetched(claim, scratch) if stored is None else self._readable(stored) as path:
            yield path

    def fetch_ahead(self, claim: Claim, scratch: Path) -> None:
        """Begins to fetch the source of the task that is expected next, until :meth:`opened` wants it."""
        if self._folder and claim.source_sha256 and self._folder.has(claim.source_sha256):
            return
        path = scratch / "following"
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

    @contextmanager
    def _readable(self, stored: IO[bytes]) -> Iterator[Path]:
        with stored:
            check_size(os.fstat(stored.fileno()).st_size, self._source_bytes)
            # By this name the bytes can be opened again and again, also when the file is deleted meanwhile; not every
            # system has it.
            held = Path(f"/proc/self/fd/{stored.fileno()}")
            yield held if held.exists() else Path(stored.name)

    @contextmanager
    def _fetched(self, claim: Claim, scratch: Path) -> Iterator[Path]:
        path = scratch / "source"
        try:
            if self._ahead is None:
                self._fetch(claim, path)
            else:
                self._take_ahead(self._ahead, path)
            yield path
        finally:
            path.unlink(missing_ok=True)

    def _take_ahead(self, ahead: _Ahead, path: Path) -> None:
        try:
            ahead.fetched.result()
            ahead.path.rename(path)
        finally:
            self.settle()

    def _fetch(self, claim: Claim, path: Path) -> None:
        sha256 = claim.source_sha256
        if not (self._blobs and sha256 and self._blobs.fetch(sha256, path, self._source_bytes)):
            self._storage.fetch(claim.source_id, path, self._source_bytes)
