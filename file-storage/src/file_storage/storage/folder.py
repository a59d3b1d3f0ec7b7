"""Stores blobs in a folder: ``<folder>/ab/cd/<sha256>``."""

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from io import BufferedReader
from pathlib import Path

from file_storage.storage.blob_store import blob_path
from file_storage.storage.staging import StagedBlob, older_than, storage_full, sync_folder


class FolderBlobStore:
    """Implements :class:`file_storage.storage.BlobStore` on the file system of the staging folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._folder.mkdir(parents=True, exist_ok=True)

    def prepare(self, staged: StagedBlob) -> None:
        """Do nothing: :meth:`publish` is a rename, which is fast."""

    def publish(self, staged: StagedBlob) -> None:
        target = self._folder / blob_path(staged.sha256)
        with storage_full():
            _make_folders(target.parent, self._folder)
        staged.path.replace(target)
        sync_folder(target.parent)

    def location(self, sha256: str, size: int) -> str:
        path = blob_path(sha256)
        # Check the size here, because after X-Accel-Redirect nginx can only answer 404 or send an incomplete file.
        if os.stat(f"{self._folder}/{path}").st_size != size:  # noqa: PTH116 (joining paths takes longer than the rest)
            raise FileNotFoundError(errno.ENOENT, "bytes are missing", path)
        return path

    def open(self, sha256: str) -> BufferedReader:
        return (self._folder / blob_path(sha256)).open("rb")

    def delete(self, sha256: str) -> None:
        (self._folder / blob_path(sha256)).unlink(missing_ok=True)

    def set_aside(self, sha256: str) -> None:
        damaged = self._folder.with_name("damaged")
        damaged.mkdir(exist_ok=True)
        with suppress(FileNotFoundError):
            (self._folder / blob_path(sha256)).replace(damaged / sha256)

    def stored(self, older_than_seconds: float) -> Iterator[str]:
        for path in older_than(self._folder.glob("??/??/*"), older_than_seconds):
            yield path.name

    def ping(self) -> None:
        if not os.access(self._folder, os.W_OK):
            raise PermissionError(f"{self._folder} is not writable")


def _make_folders(folder: Path, root: Path) -> None:
    if folder.is_dir():
        return
    _make_folders(folder.parent, root)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)
