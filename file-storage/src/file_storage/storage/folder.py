"""Blobs in a folder: ``<folder>/blobs/ab/cd/<sha256>``, staged in ``<folder>/staging``."""

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO

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
        self._file.write(data)
        self._hash.update(data)
        self.size += len(data)

    def seal(self) -> str:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._sha256 = self._hash.hexdigest()
        return self._sha256

    def publish(self) -> None:
        target = self._blobs / _relative(self._sha256)
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
        self._sweep_staging()

    @contextmanager
    def stage(self) -> Iterator[FolderStagedBlob]:
        with NamedTemporaryFile(dir=self._staging, delete=False) as file:
            try:
                yield FolderStagedBlob(file, self._blobs)
            finally:
                Path(file.name).unlink(missing_ok=True)

    def location(self, sha256: str) -> str:
        return _relative(sha256)

    def open(self, sha256: str) -> IO[bytes]:
        return (self._blobs / _relative(sha256)).open("rb")

    def delete(self, sha256: str) -> None:
        (self._blobs / _relative(sha256)).unlink(missing_ok=True)

    def ping(self) -> None:
        if not os.access(self._staging, os.W_OK):
            raise PermissionError(f"{self._staging} is not writable")

    def _sweep_staging(self) -> None:
        for path in self._staging.iterdir():
            try:
                if time.time() - path.stat().st_mtime > ABANDONED_AFTER:
                    path.unlink()
            except FileNotFoundError:
                continue


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
