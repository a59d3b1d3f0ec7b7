"""Locks that a program holds until it ends, also if it is killed."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pixmill.client.problems import InUseError

if sys.platform != "win32":
    import fcntl


@contextmanager
def locked(path: Path, message: str) -> Iterator[None]:
    """Hold a lock that is a file of its own.

    :raises InUseError: another program holds it; with this message.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        file = opened_alone(path)
    except BlockingIOError as error:
        raise InUseError(message) from error
    with file:
        try:
            yield
        finally:
            delete_locked(file, path)


@contextmanager
def in_turn(path: Path) -> Iterator[None]:
    """Hold a lock that is a file of its own, which stays; wait while another program holds it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("ab+") as file:
        _lock(file, wait=True)
        yield


def opened_alone(path: Path) -> IO[bytes]:
    """Open a file to append and read, and lock it until it is closed.

    :raises BlockingIOError: another program has locked it.
    """
    while True:
        file = path.open("ab+")
        try:
            _lock(file, wait=False)
            if _is_at(file, path):
                return file
        except BaseException:
            file.close()
            raise
        # The program that held the lock has just deleted or renamed the file.
        file.close()


def delete_locked(file: IO[bytes], path: Path) -> None:
    """Delete a file that :func:`opened_alone` has opened."""
    if sys.platform == "win32":
        # No open file can be deleted there.
        file.close()
    # Elsewhere the lock is held: another program that has already opened the file notices that it is deleted.
    path.unlink(missing_ok=True)


def _lock(file: IO[bytes], *, wait: bool) -> None:
    """:raises BlockingIOError: another program has locked the file, and ``wait`` is false."""
    if sys.platform == "win32":
        # The locks of Windows would keep other programs from reading the file; docs/client.md says what follows.
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        # Some network file systems have no locks.
        return


def _is_at(file: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
