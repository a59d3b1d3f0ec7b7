"""Blobs in a folder: ``<folder>/blobs/ab/cd/<sha256>``, staged in ``<folder>/staging``."""

import errno
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO

from file_storage.storage.blob_store import StorageFullError

ABANDONED_AFTER = 24 * 3600
"""Seconds after which a staging file that nobody writes to was left by a process that died."""


class FolderStagedBlob:
    """A staging file, hashed while it is written."""

    def __init__(self, file: IO[bytes], blobs: Path) -> None:
        self._file = file
        self._blobs = blobs
        self._hash = hashlib.sha256()
        self._sha256 = ""
        self.size = 0

    def write(self, data: bytes | bytearray) -> None:
        with _storage_full():
            self._file.write(data)
        self._hash.update(data)
        self.size += len(data)

    def seal(self) -> str:
        with _storage_full():
            self._file.flush()
            os.fsync(self._file.fileno())
        self._sha256 = self._hash.hexdigest()
        return self._sha256

    def publish(self) -> None:
        target = self._blobs / _relative(self._sha256)
        with _storage_full():
            _make_folders(target.parent, self._blobs)
        os.chmod(self._file.fileno(), 0o644)
        os.replace(self._file.name, target)
        _sync_folder(target.parent)


class FolderBlobStore:
    """Implements :class:`file_storage.storage.BlobStore` on a local file system."""

    def __init__(self, folder: Path) -> None:
        self._blobs = folder / "blobs"
        self._staging = folder / "staging"
        self._blobs.mkdir(parents=True, exist_ok=True)
        self._staging.mkdir(parents=True, exist_ok=True)
        self.sweep(ABANDONED_AFTER)

    @contextmanager
    def stage(self) -> Iterator[FolderStagedBlob]:
        with _storage_full():
            file = NamedTemporaryFile(dir=self._staging, delete=False)  # noqa: SIM115 (closed by the block below)
        try:
            yield FolderStagedBlob(file, self._blobs)
        finally:
            # First: closing writes what is still buffered, which fails where the disk is full.
            Path(file.name).unlink(missing_ok=True)
            with suppress(OSError):
                file.close()

    def location(self, sha256: str) -> str:
        return _relative(sha256)

    def open(self, sha256: str) -> IO[bytes]:
        return (self._blobs / _relative(sha256)).open("rb")

    def delete(self, sha256: str) -> None:
        (self._blobs / _relative(sha256)).unlink(missing_ok=True)

    def stored(self, older_than_seconds: float) -> Iterator[str]:
        for path in self._blobs.glob("??/??/*"):
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime >= older_than_seconds:
                    yield path.name

    def sweep(self, older_than_seconds: float) -> int:
        swept = 0
        for path in self._staging.iterdir():
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime >= older_than_seconds:
                    path.unlink()
                    swept += 1
        return swept

    def ping(self) -> None:
        if not os.access(self._staging, os.W_OK):
            raise PermissionError(f"{self._staging} is not writable")


@contextmanager
def _storage_full() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFullError from error
        raise


def _relative(sha256: str) -> str:
    return f"{sha256[:2]}/{sha256[2:4]}/{sha256}"


def _make_folders(folder: Path, root: Path) -> None:
    if folder.is_dir():
        return
    _make_folders(folder.parent, root)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
