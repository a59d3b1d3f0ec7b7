"""Bytes on their way in: written to a staging file and hashed, until they are published or forgotten."""

import errno
import hashlib
import os
import secrets
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryFile
from typing import IO, Protocol

from service_kit.errors import DomainError

CHUNK = 256 * 1024

ABANDONED_AFTER_SECONDS = 24 * 3600
"""A staging file that nobody wrote to for so long was left by a process that died."""

SYNCED_TOGETHER = 64 * 1024 * 1024
"""So many bytes are sent to the disk while the next ones come: at the end little is left to wait for."""

HASHED_BESIDE = 64 * 1024
"""Fewer bytes are hashed sooner than another thread has taken them."""

BACKGROUND_THREADS = 16
"""They hash and sync what requests write, as many as a process of the service has threads of its own."""

_NO_LINK = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP)
"""Another file system, or one that has no links."""


_NOTHING: Future[None] = Future()
_NOTHING.set_result(None)


class StorageFullError(DomainError):
    """There is no room for the bytes; nothing of them was kept."""

    def __init__(self) -> None:
        super().__init__("storage-full", "The server has no room for this file; nothing of it was kept.")


class Readable(Protocol):
    """Where bytes are read from."""

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes; none at the end."""


class StagedBlob:
    """A staging file, hashed and sent to the disk while it is written."""

    def __init__(self, file: IO[bytes], path: Path, staging: "Staging") -> None:
        self.path = path
        self.size = 0
        self.sha256 = ""
        """In hexadecimal, once it is sealed."""
        self._file = file
        self._staging = staging
        self._hash = hashlib.sha256()
        self._hashed: Future[None] = _NOTHING
        self._synced: Future[None] = _NOTHING
        self._unsynced = 0

    def write(self, data: bytes) -> None:
        """Appends ``data``.

        :raises StorageFullError: there is no room.
        """
        self._staging.check_room(len(data))
        self._hash_on(data)
        with storage_full():
            self._file.write(data)
            self._sync_on(len(data))
        self.size += len(data)

    def take_over(self, data: bytes) -> None:
        """Counts and hashes ``data``, which the file has already next; many bytes are sent to the disk meanwhile."""
        self._hash.update(data)
        self._sync_on(len(data))
        self.size += len(data)

    def seal(self) -> None:
        """Makes the bytes durable; no write may follow.

        :raises StorageFullError: there is no room.
        """
        with storage_full():
            self._file.flush()
            # An error of the disk is told once: to the one of both that asks first.
            self._synced.result()
            os.fsync(self._file.fileno())
        os.fchmod(self._file.fileno(), 0o644)
        self._hashed.result()
        self.sha256 = self._hash.hexdigest()

    def open(self) -> IO[bytes]:
        """The sealed bytes, for reading; not after they are published."""
        return self.path.open("rb")

    def forget(self) -> None:
        """Removes the file, unless it was published."""
        wait((self._hashed, self._synced))
        # Before it is closed: that writes what is still buffered, which fails where the disk is full.
        self.path.unlink(missing_ok=True)
        with suppress(OSError):
            self._file.close()

    def _hash_on(self, data: bytes) -> None:
        self._hashed.result()
        if len(data) < HASHED_BESIDE:
            self._hash.update(data)
        else:
            self._hashed = self._staging.background.submit(self._hash.update, data)

    def _sync_on(self, more: int) -> None:
        self._unsynced += more
        if self._unsynced >= SYNCED_TOGETHER:
            self._synced.result()
            self._synced = self._staging.background.submit(os.fdatasync, self._file.fileno())
            self._unsynced = 0


class Staging:
    """The folder of staging files.

    :param reserve_bytes: room on the file system that uploads leave free.
    :param received: where the web server keeps bodies, and may leave some when it is killed.
    """

    def __init__(self, folder: Path, reserve_bytes: int, received: Path | None = None) -> None:
        self._folder = folder
        self._received = received
        self._reserve_bytes = reserve_bytes
        self.background = ThreadPoolExecutor(BACKGROUND_THREADS, "staging")
        self._folder.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def stage(self) -> Iterator[StagedBlob]:
        """Begins a blob; leaving the block before it is published leaves nothing behind."""
        with storage_full():
            file = NamedTemporaryFile(dir=self._folder, delete=False)  # noqa: SIM115 (closed by the block below)
        with _forgotten_afterwards(StagedBlob(file, Path(file.name), self)) as staged:
            yield staged

    @contextmanager
    def adopt(self, path: Path, content: Readable) -> Iterator[StagedBlob]:
        """Begins a blob with the bytes of a file, which stays where it is.

        On the same file system no byte is copied: both names lead to the same bytes.

        :param content: those bytes, all of them; the last may still be written while the first are read.
        :raises StorageFullError: there is no room for a copy.
        """
        target = self._folder / f"adopted-{secrets.token_hex(8)}"
        with _forgotten_afterwards(StagedBlob(path.open("rb"), target, self)) as staged:
            while data := content.read(CHUNK):
                staged.take_over(data)
            # Last, so that nothing is left of what ends before.
            if _link(path, target):
                yield staged
                return
        with self.stage() as staged, path.open("rb") as file:
            while data := file.read(CHUNK):
                staged.write(data)
            yield staged

    def unnamed(self, pieces: Iterable[bytes]) -> IO[bytes]:
        """A file of these bytes, at its beginning, which nobody else sees and which is gone when it is closed.

        :raises StorageFullError: there is no room.
        """
        with ExitStack() as closed_if_broken, storage_full():
            file = closed_if_broken.enter_context(TemporaryFile(dir=self._folder))
            for piece in pieces:
                self.check_room(len(piece))
                file.write(piece)
            file.seek(0)
            closed_if_broken.pop_all()
        return file

    def room(self) -> int:
        """Bytes that may come before the reserve is touched; below 0 where it is."""
        system = os.statvfs(self._folder)
        return system.f_bavail * system.f_frsize - self._reserve_bytes

    def check_room(self, size: int) -> None:
        """:raises StorageFullError: ``size`` more bytes would not leave the reserve free."""
        if size > self.room():
            raise StorageFullError

    def sweep(self, older_than_seconds: float) -> int:
        """Removes what uploads left that died longer ago than that, and tells how many there were."""
        left = list(self._folder.iterdir())
        if self._received is not None and self._received.is_dir():
            left += self._received.iterdir()
        swept = 0
        for path in older_than(left, older_than_seconds):
            with suppress(FileNotFoundError):
                path.unlink()
                swept += 1
        return swept

    def ping(self) -> None:
        """Raises when nothing can be written."""
        if not os.access(self._folder, os.W_OK):
            raise PermissionError(f"{self._folder} is not writable")


def older_than(paths: Iterable[Path], seconds: float) -> Iterator[Path]:
    """Those of the files that were written to longer ago than that; one that is gone by now is none."""
    for path in paths:
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime >= seconds:
                yield path


@contextmanager
def storage_full() -> Iterator[None]:
    """:raises StorageFullError: the block met a full disk, or the end of a quota."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFullError from error
        raise


def sync_folder(folder: Path) -> None:
    """Makes the names durable that were given or taken in it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _link(path: Path, target: Path) -> bool:
    """Gives the file a second name; whether that is possible there."""
    try:
        os.link(path, target)
    except OSError as error:
        if error.errno in _NO_LINK:
            return False
        raise
    return True


@contextmanager
def _forgotten_afterwards(staged: StagedBlob) -> Iterator[StagedBlob]:
    try:
        yield staged
    finally:
        staged.forget()
