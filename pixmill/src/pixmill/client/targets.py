"""Gives finished files their names, without replacing a file that the user did not want to replace."""

import errno
import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum, auto
from itertools import chain, count
from pathlib import Path
from typing import IO
from uuid import uuid4

from pixmill.client.settings import part_of

ARCHIVE_NAME = "files.zip"
"""The name of an archive in a folder."""


class TargetExistsError(FileExistsError):
    """Another file is at the path of a target, and may not be replaced."""


class IfExists(Enum):
    """What happens if the wanted path is another file's."""

    REPLACE = auto()
    NUMBER = auto()
    REFUSE = auto()


@dataclass(frozen=True)
class Destination:
    """The wanted path of a file."""

    path: Path
    if_exists: IfExists

    def holding(self, size: int, sha256: str) -> Path | None:
        """Return the path that already has these bytes, so that they need not be fetched.

        :raises TargetExistsError: the path has other bytes, which may not be replaced.
        """
        for path in self._allowed():
            if not os.path.lexists(path):
                return None
            if _has_bytes(path, size, sha256):
                return path
        if self.if_exists is IfExists.REFUSE:
            raise _exists(self.path)
        return None

    def take(self, part: Path) -> Path:
        """Give a finished file this path or, if it is to be numbered, the first free one; return the path.

        :raises TargetExistsError: the path exists, and may not be replaced.
        """
        if self.if_exists is IfExists.REPLACE:
            part.replace(self.path)
            return self.path
        for path in self._allowed():
            with suppress(FileExistsError):
                _rename_to_free(part, path)
                return path
        raise _exists(self.path)

    def _allowed(self) -> Iterable[Path]:
        return _numbered(self.path) if self.if_exists is IfExists.NUMBER else [self.path]


@dataclass
class WholeFile:
    """A file while it is written.

    :ivar path: afterwards, its path.
    """

    stream: IO[bytes]
    path: Path


@contextmanager
def whole_file(destination: Destination) -> Iterator[WholeFile]:
    """Yield a file that appears at its destination only once it is complete.

    :raises TargetExistsError: the destination exists, and may not be replaced.
    """
    path = destination.path
    if destination.if_exists is IfExists.REFUSE and os.path.lexists(path):
        raise _exists(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = part_of(path, uuid4().hex[:8])
    try:
        with part.open("wb") as file:
            whole = WholeFile(file, path)
            yield whole
            write_through(file)
        whole.path = destination.take(part)
    finally:
        part.unlink(missing_ok=True)


def file_instead_of_folder(wanted: Path) -> Path | None:
    """Return the file that stands where a folder is wanted, or where one of its parents is."""
    return next((path for path in (wanted, *wanted.parents) if os.path.lexists(path) and not path.is_dir()), None)


def with_number(name: str, number: int) -> str:
    """Return a name with a number before its extension."""
    stem, dot, extension = name.rpartition(".")
    return f"{stem} ({number}){dot}{extension}" if stem else f"{name} ({number})"


def _numbered(path: Path) -> Iterator[Path]:
    """Yield a path, then the same path with numbers: ``a.jpg``, ``a (2).jpg``, ``a (3).jpg``."""
    return chain([path], (path.with_name(with_number(path.name, number)) for number in count(2)))


def write_through(file: IO[bytes]) -> None:
    """Make the bytes of a file last through a crash of the machine."""
    file.flush()
    os.fsync(file.fileno())


def _rename_to_free(file: Path, path: Path) -> None:
    """Rename a file.

    :raises FileExistsError: the path exists.
    """
    try:
        # Unlike a renaming, a hard link never replaces a file that another program has just made.
        os.link(file, path)
    except FileExistsError:
        raise
    except OSError:
        # Some file systems have no hard links.
        if os.path.lexists(path):
            raise _exists(path) from None
        file.rename(path)
    else:
        file.unlink()


def _has_bytes(path: Path, size: int, sha256: str) -> bool:
    try:
        if not path.is_file() or path.stat().st_size != size:
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except OSError:
        return False


def _exists(path: Path) -> TargetExistsError:
    return TargetExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
