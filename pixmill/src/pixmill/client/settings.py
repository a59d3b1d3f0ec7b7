"""Converts the arguments of both clients."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from ssl import SSLContext
from typing import IO
from uuid import uuid4

from pixmill.client.answers import File
from pixmill.client.drivers import Connection
from pixmill.client.uploads import New
from pixmill.version import VERSION

DEFAULT_URL = "http://127.0.0.1:8080"
URL_VARIABLE = "PIXMILL_URL"
KEY_VARIABLE = "PIXMILL_KEY"
MAX_NAME_BYTES = 255
"""The maximum length of a file's name on most file systems."""


def connection(
    url: str | None, key: str | None, timeout_seconds: float, verify: SSLContext | bool, language: str | None
) -> Connection:
    """Return the connection settings."""
    headers = {"User-Agent": f"pixmill-python/{VERSION}"}
    if language is not None:
        headers["Accept-Language"] = language
    secret = key or os.environ.get(KEY_VARIABLE)
    if secret:
        headers["Authorization"] = f"Bearer {secret}"
    return Connection(url or os.environ.get(URL_VARIABLE) or DEFAULT_URL, headers, timeout_seconds, verify)


def new_file(
    source: str | Path | bytes,
    name: str | None,
    comment: str,
    key: str | None,
    folder: str | None,
    expires: timedelta | None,
) -> New:
    """Return a file to upload.

    :raises ValueError: ``source`` is bytes and ``name`` is missing.
    """
    if isinstance(source, bytes):
        if name is None:
            raise ValueError("a name is required for bytes")
        return New(source, name, comment, folder, seconds(expires), key or None)
    return New(Path(source), name or Path(source).name, comment, folder, seconds(expires), key or None)


def new_below(root: Path | None, path: Path, comment: str, folder: str | None, expires: timedelta | None) -> New:
    """Return a file to upload that keeps its folders below ``root``.

    :raises ValueError: the file is not below ``root``.
    """
    inner = "" if root is None else path.absolute().relative_to(root.absolute()).parent.as_posix()
    kept = "/".join(part for part in (folder or "", inner) if part not in ("", "."))
    return New(path, path.name, comment, kept or folder, seconds(expires))


def seconds(lasting: timedelta | None) -> int | None:
    """Return a duration in whole seconds."""
    return None if lasting is None else int(lasting.total_seconds())


def batch_fields(
    file_ids: Sequence[int], priority: int, *, cache: bool, callback_url: str | None, expires: timedelta | None
) -> dict[str, object]:
    """Return the fields of a batch other than the algorithm and its params."""
    given = {"callback_url": callback_url, "expires_in": seconds(expires)}
    optional = {name: value for name, value in given.items() if value is not None}
    return {"file_ids": list(file_ids), "priority": priority, "cache": cache, **optional}


def target(path: Path, file: File) -> Path:
    """Return the path to write a file to: inside a folder, the file keeps its own name."""
    return path / safe_name(file.filename) if path.is_dir() else path


def safe_name(name: str) -> str:
    """Return a name without path components, regardless of what a server sends."""
    last = name.replace("\0", "").replace("\\", "/").rpartition("/")[2]
    return "_" if last in ("", ".", "..") else last


def part_of(path: Path, mark: str) -> Path:
    """Return the path of a partial file next to a file."""
    name, ending = path.name, f".{mark}.part"
    length = len(os.fsencode(name))
    if length <= MAX_NAME_BYTES < length + len(ending) + 1:
        # The file system allows the target's name, but not the longer name with the mark.
        name = hashlib.sha256(os.fsencode(name)).hexdigest()
    return path.with_name(f".{name}{ending}")


class _Appending:
    """A stream that appends to a buffer."""

    def __init__(self, buffer: bytearray) -> None:
        self._buffer = buffer

    def write(self, piece: bytes, /) -> None:
        self._buffer += piece


def appending(buffer: bytearray) -> _Appending:
    """Return a stream that appends to a buffer."""
    return _Appending(buffer)


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that appears at ``path`` only once it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = part_of(path, uuid4().hex[:8])
    try:
        with part.open("wb") as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def emptied(file: IO[bytes]) -> None:
    """Truncate a file to start again."""
    file.seek(0)
    file.truncate()
