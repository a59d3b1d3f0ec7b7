"""Writes stdin to a file: an upload needs the size of its bytes before it begins."""

import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from pixmill.client.drivers import PIECE
from pixmill.client.locks import in_turn, locked
from pixmill.client.places import state_folder
from pixmill.client.problems import InUseError
from pixmill.client.uploads import MEDIUM
from pixmill.commands.words import text

LOCK = ".lock"
"""What the name of a lock adds to that of its file."""
SWEPT_SECONDS = 86_400
"""The age from which a file whose lock is free is deleted; where there are no locks, its command may still run."""


@contextmanager
def spooled_stdin() -> Iterator[Path]:
    """Yield a file with the bytes of stdin.

    An upload of many bytes is remembered by the path and the time of its file. The same bytes have the same, so that
    the same command continues the upload. Other bytes are in the folder for temporary files.
    """
    _sweep()
    start = sys.stdin.buffer.read(MEDIUM + 1)
    if len(start) > MEDIUM:
        with _spooled(start) as path:
            yield path
        return
    # Not a NamedTemporaryFile: Windows cannot open a file twice.
    with tempfile.TemporaryDirectory(prefix="pixmill-") as folder:
        path = Path(folder, "stdin")
        path.write_bytes(start)
        yield path


@contextmanager
def _spooled(start: bytes) -> Iterator[Path]:
    """Yield a file with these bytes and the others of stdin, under their digest."""
    folder = _folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = folder / uuid4().hex
    with _locked(draft):
        try:
            digest = hashlib.sha256()
            with draft.open("wb") as file:
                piece = start
                while piece:
                    digest.update(piece)
                    file.write(piece)
                    piece = sys.stdin.buffer.read(PIECE)
            path = folder / digest.hexdigest()
            with ExitStack() as held:
                with _no_sweep():
                    held.enter_context(_locked(path))
                draft.replace(path)
                os.utime(path, (0, 0))
                try:
                    yield path
                finally:
                    path.unlink()
        finally:
            draft.unlink(missing_ok=True)


def _sweep() -> None:
    """Delete the files of commands that were killed."""
    oldest = time.time() - SWEPT_SECONDS
    for path in {entry.with_name(entry.name.removesuffix(LOCK)) for entry in _folder().glob("*")}:
        with suppress(OSError, InUseError):
            # Not the time of the last write, which is the same for each upload.
            newest = max((entry.stat().st_ctime for entry in (path, _lock_of(path)) if entry.exists()), default=None)
            if newest is not None and newest < oldest:
                with _no_sweep(), _locked(path):
                    path.unlink(missing_ok=True)


def _no_sweep() -> AbstractContextManager[None]:
    """Keep other commands from sweeping: a sweep holds the lock of a file that an upload of the same bytes needs."""
    return in_turn(_lock_of(_folder()))


def _folder() -> Path:
    return state_folder() / "stdin"


def _locked(path: Path) -> AbstractContextManager[None]:
    return locked(_lock_of(path), text("another command is uploading the same bytes from stdin"))


def _lock_of(path: Path) -> Path:
    return path.with_name(path.name + LOCK)
