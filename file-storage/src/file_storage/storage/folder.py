"""Stores blobs in a folder: ``<folder>/ab/cd/<sha256>``."""

import errno
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BufferedReader
from pathlib import Path

from sqlalchemy import Connection

from file_storage.storage.blob_store import Prepared, blob_path
from file_storage.storage.staging import StagedBlob, older_than, storage_full, sync_folder

PUBLISHING_THREADS = 16
"""Maximum number of files published concurrently."""


class FolderBlobStore:
    """Implements :class:`file_storage.storage.BlobStore` on the file system of the staging folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._folder.mkdir(parents=True, exist_ok=True)
        # Publishing happens inside a transaction, which must not wait for large files that become durable.
        self._threads = ThreadPoolExecutor(PUBLISHING_THREADS, "publish")

    def prepare(self, staged: StagedBlob) -> Prepared:
        with storage_full():
            _make_folders((self._folder / blob_path(staged.sha256)).parent, self._folder)
        return Prepared(staged, "")

    def publish(self, _connection: Connection, prepared: Sequence[Prepared]) -> Sequence[str]:
        if len(prepared) == 1:
            self._rename(prepared[0])
        else:
            list(self._threads.map(self._rename, prepared))
        return []

    def location(self, sha256: str, size: int) -> str:
        path = blob_path(sha256)
        # Check the size here, because after X-Accel-Redirect nginx can only answer 404 or send an incomplete file.
        if os.stat(f"{self._folder}/{path}").st_size != size:  # noqa: PTH116 (joining paths takes longer than the rest)
            raise FileNotFoundError(errno.ENOENT, "bytes are missing", path)
        return path

    def open(self, sha256: str) -> BufferedReader:
        return (self._folder / blob_path(sha256)).open("rb")

    def version(self, _connection: Connection, sha256: str) -> str:
        try:
            status = (self._folder / blob_path(sha256)).stat()
        except OSError:
            return ""
        return f"{status.st_ino} {status.st_size} {status.st_mtime_ns}"

    def retract(self, _connection: Connection, digests: Sequence[str]) -> Sequence[str]:
        for sha256 in digests:
            (self._folder / blob_path(sha256)).unlink(missing_ok=True)
        return []

    def set_aside(self, _connection: Connection, sha256: str) -> Sequence[str]:
        damaged = self._folder.with_name("damaged")
        damaged.mkdir(exist_ok=True)
        with suppress(FileNotFoundError):
            (self._folder / blob_path(sha256)).replace(damaged / sha256)
        return []

    def finish(self, names: Sequence[str]) -> None:
        """Do nothing: no change of a folder is slow."""

    def perhaps_unused(self, older_than_seconds: float) -> Iterator[str]:
        for path in older_than(self._folder.glob("??/??/*"), older_than_seconds):
            yield path.name

    def sweep(self, _older_than_seconds: float) -> int:
        """Do nothing: everything in the folder is a blob."""
        return 0

    def ping(self) -> None:
        if not os.access(self._folder, os.W_OK):
            raise PermissionError(f"{self._folder} is not writable")

    def _rename(self, prepared: Prepared) -> None:
        target = self._folder / blob_path(prepared.staged.sha256)
        prepared.staged.path.replace(target)
        sync_folder(target.parent)


def _make_folders(folder: Path, root: Path) -> None:
    if folder.is_dir():
        return
    _make_folders(folder.parent, root)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)
