"""Provides the input files of tasks, local or fetched, and prefetches the source of the next task."""

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


class TaskSource(NamedTuple):
    """The file that a task reads.

    :param owner: the owner of the task, who must be allowed to read the file.
    :param sha256: the SHA-256 of its bytes; ``None`` for a file from a version that did not store it.
    """

    owner: str
    file_id: int
    sha256: str | None


class _Prefetch(NamedTuple):
    """A source that is being fetched before its task starts."""

    file: TaskSource
    path: Path
    done: Future[None]


class Sources:
    """Provides the files of one task at a time: from ``folder``, else ``blobs``, else ``storage``.

    :param folder: a local folder of blobs, if available.
    :param blobs: a web server for blobs, if available.
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
        self._prefetch: _Prefetch | None = None

    @contextmanager
    def opened(self, file: TaskSource, scratch: Path) -> Iterator[Path]:
        """Open the task's source for the duration of the block; a fetched source is stored in ``scratch``.

        :raises FileStorageUnavailableError: try again later.
        :raises SourceError: the file was deleted, or it is too large.
        """
        stored = self._folder.open(file.sha256) if self._folder and file.sha256 else None
        if stored is not None or (self._prefetch is not None and self._prefetch.file != file):
            self.cancel_prefetch()
        with self._fetched(file, scratch) if stored is None else self._readable(stored) as path:
            yield path

    def prefetch(self, file: TaskSource, scratch: Path) -> None:
        """Start fetching the next task's source in the background, for a later :meth:`opened`."""
        if self._folder and file.sha256 and self._folder.has(file.sha256):
            return
        path = scratch / "next-source"
        self._prefetch = _Prefetch(file, path, self._background.submit(self._fetch, file, path))

    def cancel_prefetch(self) -> None:
        """Cancel the prefetch, if any, and delete its file."""
        prefetch, self._prefetch = self._prefetch, None
        if prefetch is None:
            return
        if not prefetch.done.cancel():
            wait([prefetch.done])
        prefetch.path.unlink(missing_ok=True)

    def fetch_files(self, owner: str, files: Mapping[int, Path], source: Path) -> None:
        """Fetch the files that the params name.

        :param owner: the task's owner.
        :param files: the target path of each file id.
        :param source: the task's source, because the byte limit applies to all files of a task together.
        :raises FileStorageUnavailableError: try again later.
        :raises SourceError: a file was deleted, or the files are too large.
        """
        left = self._limits.max_task_bytes - source.stat().st_size
        for file_id, path in files.items():
            self._storage.acting_for(owner).fetch(file_id, path, min(self._limits.max_file_bytes, left))
            left -= path.stat().st_size

    @contextmanager
    def _readable(self, stored: IO[bytes]) -> Iterator[Path]:
        with stored:
            check_size(os.fstat(stored.fileno()).st_size, self._source_bytes)
            # Through this path the file can be opened repeatedly, even after its deletion; not every system has such
            # paths.
            by_descriptor = Path(f"/proc/self/fd/{stored.fileno()}")
            yield by_descriptor if by_descriptor.exists() else Path(stored.name)

    @contextmanager
    def _fetched(self, file: TaskSource, scratch: Path) -> Iterator[Path]:
        path = scratch / "source"
        try:
            if self._prefetch is None:
                self._fetch(file, path)
            else:
                self._take_prefetched(self._prefetch, path)
            yield path
        finally:
            path.unlink(missing_ok=True)

    def _take_prefetched(self, prefetch: _Prefetch, path: Path) -> None:
        try:
            prefetch.done.result()
            prefetch.path.rename(path)
        finally:
            self.cancel_prefetch()

    def _fetch(self, file: TaskSource, path: Path) -> None:
        sha256 = file.sha256
        if not (self._blobs and sha256 and self._blobs.fetch(sha256, path, self._source_bytes)):
            self._storage.acting_for(file.owner).fetch(file.file_id, path, self._source_bytes)
