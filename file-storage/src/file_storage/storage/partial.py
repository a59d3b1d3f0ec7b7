"""Bytes of resumable uploads: one file each, which grows until it is complete and survives every restart."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from service_kit.errors import DomainError

from file_storage.storage.staging import Staging, older_than, storage_full, sync_folder


class UploadBusyError(DomainError):
    """Another request is writing to this upload."""

    def __init__(self) -> None:
        super().__init__("upload-busy", "Another request writes to this upload; try again in a moment.")


class PartialFile:
    """The bytes that have come so far, held by one writer."""

    def __init__(self, path: Path, descriptor: int, staging: Staging) -> None:
        self.path = path
        self._descriptor = descriptor
        self._staging = staging

    @property
    def size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def append(self, data: bytes) -> None:
        """:raises StorageFullError: there is no room."""
        self._staging.check_room(len(data))
        with storage_full():
            view = memoryview(data)
            while view:
                view = view[os.write(self._descriptor, view) :]

    def truncate(self, size: int) -> None:
        """Forgets what came after the first ``size`` bytes."""
        os.ftruncate(self._descriptor, size)

    def sync(self) -> None:
        """Makes durable what has come."""
        with storage_full():
            os.fsync(self._descriptor)


class PartialFiles:
    """The folder of unfinished uploads, by their ids."""

    def __init__(self, folder: Path, staging: Staging) -> None:
        self._folder = folder
        self._staging = staging
        self._folder.mkdir(parents=True, exist_ok=True)

    def create(self, upload_id: str) -> None:
        """:raises StorageFullError: there is no room."""
        with storage_full():
            self._path(upload_id).touch(exist_ok=False)
            # The bytes that come are synced, which keeps them only under a name that is.
            sync_folder(self._folder)

    def size(self, upload_id: str) -> int | None:
        """How many bytes have come; ``None`` where there is no such file."""
        try:
            return self._path(upload_id).stat().st_size
        except FileNotFoundError:
            return None

    @contextmanager
    def hold(self, upload_id: str) -> Iterator[PartialFile]:
        """The upload's bytes for one writer, whose hold ends with its process at the latest.

        :raises UploadBusyError: another holds them.
        :raises FileNotFoundError: there is no such file.
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
        """Removes the bytes; missing ones are no error."""
        with suppress(FileNotFoundError):
            self._path(upload_id).unlink()

    def stored(self, older_than_seconds: float) -> Iterator[str]:
        """The ids of those that were written to longer ago than that."""
        for path in older_than(self._folder.iterdir(), older_than_seconds):
            yield path.name

    def _path(self, upload_id: str) -> Path:
        return self._folder / upload_id
