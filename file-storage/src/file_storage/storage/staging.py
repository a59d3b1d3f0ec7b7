"""Staging files: received bytes are hashed while they are written, until they are published or discarded."""

import errno
import hashlib
import os
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryFile
from typing import IO, NamedTuple, Protocol

from service_kit.errors import DomainError
from service_kit.texts import sentence

READ_BYTES = 256 * 1024
"""Maximum number of bytes per read of a file on the disk or of a blob: each thread holds this many in memory."""

ABANDONED_AFTER_SECONDS = 24 * 3600
"""A staging file without a write for this many seconds was left by a dead process."""

ARRIVING_SECONDS = 120
"""A body without a write for this many seconds was left by a killed web server, whose timeout is half of this."""

SYNC_BYTES = 64 * 1024 * 1024
"""Number of written bytes after which a background sync begins, so that little is left to sync at the end."""

MIN_BACKGROUND_BYTES = 64 * 1024
"""Below this size, hashing in the same thread is faster than using another."""

BACKGROUND_THREADS = 16
"""Threads that hash and sync request data; as many as a process has request threads."""

_OWN_BODY = "body-"
"""Prefix of the names of staging files that are bodies, although no web server wrote them."""

_NO_LINK = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP)
"""Errors of linking across file systems, or on a file system without links."""


_DONE: Future[None] = Future()
_DONE.set_result(None)


class StorageFullError(DomainError):
    """There is no room for the bytes; none of them was kept."""

    def __init__(self) -> None:
        super().__init__("storage-full", sentence("The server has no room for this file; none of it was stored."))


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


_MODE = 0o666 & ~_umask()
"""Mode of stored files: readable for another user's nginx, unless the process's umask forbids it."""


class Readable(Protocol):
    """A source of bytes."""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes; none at the end."""


class StagedBlob:
    """A staging file, hashed and synced while it is written."""

    def __init__(self, file: IO[bytes], path: Path, staging: "Staging") -> None:
        self.path = path
        self.size = 0
        self.sha256 = ""
        """SHA-256 in hexadecimal; empty until :meth:`seal`."""
        self._file = file
        self._staging = staging
        self._hash = hashlib.sha256()
        self._hashed: Future[None] = _DONE
        self._synced: Future[None] = _DONE
        self._unsynced = 0

    def write(self, data: bytes) -> None:
        """Append ``data``.

        :raises StorageFullError: there is no room.
        """
        self._staging.check_room(len(data))
        self._update_hash(data)
        with storage_full():
            self._file.write(data)
            self._count_unsynced(len(data))
        self.size += len(data)

    def add_existing(self, data: bytes) -> None:
        """Count and hash the next bytes, which are already in the file."""
        self._hash.update(data)
        self._count_unsynced(len(data))
        self.size += len(data)

    def seal(self) -> None:
        """Make the bytes durable; after that, nothing may be written.

        :raises StorageFullError: there is no room.
        """
        with storage_full():
            self._file.flush()
            # The kernel reports a write-back error to one fsync only, so check the background sync first.
            self._synced.result()
            os.fsync(self._file.fileno())
        os.fchmod(self._file.fileno(), _MODE)
        self._hashed.result()
        self.sha256 = self._hash.hexdigest()

    def open(self) -> IO[bytes]:
        """Open the sealed bytes for reading; this fails after they are published."""
        return self.path.open("rb")

    def discard(self) -> None:
        """Remove the file unless it was published."""
        wait((self._hashed, self._synced))
        # Unlink before closing: closing writes the buffer, which fails on a full disk.
        self.path.unlink(missing_ok=True)
        with suppress(OSError):
            self._file.close()

    def _update_hash(self, data: bytes) -> None:
        self._hashed.result()
        if len(data) < MIN_BACKGROUND_BYTES:
            self._hash.update(data)
        else:
            self._hashed = self._staging.background.submit(self._hash.update, data)

    def _count_unsynced(self, more: int) -> None:
        """Count written bytes, and begin a background sync after :data:`SYNC_BYTES`."""
        self._unsynced += more
        if self._unsynced >= SYNC_BYTES:
            self._synced.result()
            self._synced = self._staging.background.submit(os.fdatasync, self._file.fileno())
            self._unsynced = 0


class BodyFile(NamedTuple):
    """A body on the disk.

    :param is_arriving: whether it has only one name: with a second one it is complete, and perhaps stored already.
    :param is_own: whether file-storage wrote it, from other bytes.
    """

    size: int
    is_arriving: bool
    is_own: bool


class Staging:
    """The folder of staging files.

    :param reserve_bytes: space that uploads must leave free on the file system.
    :param body_folder: folder of the web server's request bodies; it leaves some there when it is killed.
    """

    def __init__(self, folder: Path, reserve_bytes: int, body_folder: Path | None = None) -> None:
        self._folder = folder
        self._body_folder = body_folder
        self._reserve_bytes = reserve_bytes
        self.background = ThreadPoolExecutor(BACKGROUND_THREADS, "staging")
        self._folder.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def stage(self) -> Iterator[StagedBlob]:
        """Create an empty staging file; leaving the block discards it unless it was published."""
        with self._staged("tmp") as staged:
            yield staged

    @contextmanager
    def stage_body(self) -> Iterator[StagedBlob]:
        """Create a staging file as :meth:`stage` does, for bytes that were promised room as those of a body are."""
        with self._staged(_OWN_BODY) as staged:
            yield staged

    @contextmanager
    def _staged(self, prefix: str) -> Iterator[StagedBlob]:
        with storage_full():
            file = NamedTemporaryFile(dir=self._folder, prefix=prefix, delete=False)  # noqa: SIM115 (closed by the block below)
        with _discarded_afterwards(StagedBlob(file, Path(file.name), self)) as staged:
            yield staged

    @contextmanager
    def adopt(self, path: Path, content: Readable) -> Iterator[StagedBlob]:
        """Stage the bytes of an existing file, which keeps its name.

        On the same file system nothing is copied: the staging file is a hard link to the same bytes.

        :param content: reads all bytes of the file, while another process may still append to it.
        :raises StorageFullError: there is no room for a copy.
        """
        target = self._folder / f"adopted-{secrets.token_hex(8)}"
        with _discarded_afterwards(StagedBlob(path.open("rb"), target, self)) as staged:
            while data := content.read(READ_BYTES):
                staged.add_existing(data)
            # Link last, so that an interrupted read leaves no file behind.
            if _link(path, target):
                yield staged
                return
        with self.stage() as staged, path.open("rb") as file:
            while data := file.read(READ_BYTES):
                staged.write(data)
            yield staged

    def temporary_file(self, pieces: Iterable[bytes]) -> IO[bytes]:
        """Return an open temporary file with these bytes, which has no name and is removed when it is closed.

        :raises StorageFullError: there is no room.
        """
        with ExitStack() as close_on_error, storage_full():
            file = close_on_error.enter_context(TemporaryFile(dir=self._folder))
            for piece in pieces:
                self.check_room(len(piece))
                file.write(piece)
            file.seek(0)
            close_on_error.pop_all()
        return file

    def room(self) -> int:
        """Return the free bytes minus the reserve; negative if the reserve is in use."""
        system = os.statvfs(self._folder)
        return system.f_bavail * system.f_frsize - self._reserve_bytes

    def check_room(self, size: int) -> None:
        """Check that ``size`` more bytes leave the reserve free.

        :raises StorageFullError: there is no room for them.
        """
        if size > self.room():
            raise StorageFullError

    def bodies(self) -> Sequence["BodyFile"]:
        """Return the bodies that have been written to lately."""
        staged = list(_written_lately(self._folder))
        if self._body_folder is None:
            return staged
        return [*_written_lately(self._body_folder), *(file for file in staged if file.is_own)]

    def copied(self, min_bytes: int) -> int:
        """Return the bytes of the staging files that copy the web server's bodies; only of at least ``min_bytes``."""
        if self._body_folder is None:
            return 0
        files = _written_lately(self._folder)
        return sum(file.size for file in files if file.is_arriving and not file.is_own and file.size >= min_bytes)

    def sweep(self, older_than_seconds: float) -> int:
        """Remove the files of interrupted uploads that are at least this old; return their number."""
        paths = list(self._folder.iterdir())
        if self._body_folder is not None and self._body_folder.is_dir():
            paths += self._body_folder.iterdir()
        removed = 0
        for path in older_than(paths, older_than_seconds):
            with suppress(FileNotFoundError):
                path.unlink()
                removed += 1
        return removed

    def ping(self) -> None:
        """Raise an error if the folder is not writable."""
        if not os.access(self._folder, os.W_OK):
            raise PermissionError(f"{self._folder} is not writable")


def older_than(paths: Iterable[Path], seconds: float) -> Iterator[Path]:
    """Yield the files whose last write is at least this long ago; skip files that no longer exist."""
    for path in paths:
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime >= seconds:
                yield path


def _written_lately(folder: Path) -> Iterator[BodyFile]:
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                status = entry.stat()
                if time.time() - status.st_mtime < ARRIVING_SECONDS:
                    yield BodyFile(status.st_size, status.st_nlink == 1, entry.name.startswith(_OWN_BODY))


@contextmanager
def storage_full() -> Iterator[None]:
    """Convert errors of a full disk or a file system's quota.

    :raises StorageFullError: the block raised such an error.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFullError from error
        raise


def sync_folder(folder: Path) -> None:
    """Make the creation and removal of names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _link(path: Path, target: Path) -> bool:
    """Create a hard link to the file; return whether the file system allows it."""
    try:
        os.link(path, target)
    except OSError as error:
        if error.errno in _NO_LINK:
            return False
        raise
    return True


@contextmanager
def _discarded_afterwards(staged: StagedBlob) -> Iterator[StagedBlob]:
    try:
        yield staged
    finally:
        staged.discard()
