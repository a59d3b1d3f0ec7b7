"""Stores the bytes of resumable uploads, one file each, which grows until it is complete and survives restarts."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from service_kit.errors import DomainError
from service_kit.texts import sentence

from file_storage.storage.staging import Staging, older_than, storage_full, sync_folder


class UploadBusyError(DomainError):
    """Another request is writing to this upload."""

    def __init__(self) -> None:
        super().__init__("upload-busy", sentence("Another request is writing to this upload; try again in a moment."))


class PartialFile:
    """The received bytes of an upload, locked by one writer."""

    def __init__(self, path: Path, descriptor: int, staging: Staging) -> None:
        self.path = path
        self._descriptor = descriptor
        self._staging = staging

    @property
    def size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def append(self, data: bytes) -> None:
        """Append ``data``.

        :raises StorageFullError: there is no room.
        """
        self._staging.check_room(len(data))
        with storage_full():
            view = memoryview(data)
            while view:
                view = view[os.write(self._descriptor, view) :]

    def truncate(self, size: int) -> None:
        """Remove everything after the first ``size`` bytes."""
        os.ftruncate(self._descriptor, size)

    def sync(self) -> None:
        """Make the received bytes durable."""
        with storage_full():
            os.fsync(self._descriptor)


class PartialFiles:
    """The folder of unfinished uploads, whose file names are the uploads' ids."""

    def __init__(self, folder: Path, staging: Staging) -> None:
        self._folder = folder
        self._staging = staging
        self._folder.mkdir(parents=True, exist_ok=True)

    def create(self, upload_id: str) -> None:
        """Create an empty file.

        :raises StorageFullError: there is no room.
        """
        with storage_full():
            self._path(upload_id).touch(exist_ok=False)
            # Otherwise a crash would remove the file's name and lose the bytes that are synced later.
            sync_folder(self._folder)

    def size(self, upload_id: str) -> int | None:
        """Return the number of received bytes; ``None`` if the file does not exist."""
        try:
            return self._path(upload_id).stat().st_size
        except FileNotFoundError:
            return None

    def held(self, upload_id: str, within_seconds: float, of_silent: int) -> int:
        """Return the number of received bytes, or ``of_silent`` if none came within the last seconds.

        A missing file has no bytes yet.
        """
        try:
            status = self._path(upload_id).stat()
        except FileNotFoundError:
            return 0
        return status.st_size if time.time() - status.st_mtime < within_seconds else of_silent

    @contextmanager
    def hold(self, upload_id: str) -> Iterator[PartialFile]:
        """Lock the upload's bytes for one writer; the lock ends with the process at the latest.

        :raises UploadBusyError: another writer holds the lock.
        :raises FileNotFoundError: the file does not exist.
        """
        path = self._path(upload_id)
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield PartialFile(path, descriptor, self._staging)
        except BlockingIOError as error:
            raise UploadBusyError from error
        finally:
            os.close(descriptor)

    def delete(self, upload_id: str) -> None:
        """Remove the bytes; ignore a missing file."""
        with suppress(FileNotFoundError):
            self._path(upload_id).unlink()

    def stored(self, older_than_seconds: float) -> Iterator[str]:
        """Yield the ids of uploads that were last written to at least this long ago."""
        for path in older_than(self._folder.iterdir(), older_than_seconds):
            yield path.name

    def _path(self, upload_id: str) -> Path:
        return self._folder / upload_id
