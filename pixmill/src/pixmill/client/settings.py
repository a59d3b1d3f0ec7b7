"""Converts the arguments of both clients."""

import hashlib
import os
import re
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from ssl import SSLContext
from typing import IO

from pixmill.client.drivers import Connection
from pixmill.client.uploads import New
from pixmill.version import VERSION

DEFAULT_URL = "http://127.0.0.1:8080"
URL_VARIABLE = "PIXMILL_URL"
KEY_VARIABLE = "PIXMILL_KEY"
MAX_NAME_BYTES = 255
"""The maximum length of a file's name on most file systems."""
CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
FORBIDDEN = re.compile(r'[<>:"|?*]' if sys.platform == "win32" else r"/")
"""Characters that no file's name may have; on Windows, a colon ends the name of a disk or of a file."""
RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[1-9¹²³]|lpt[1-9¹²³]) *(\.|$)", re.IGNORECASE)
"""Names of devices on Windows, also with an extension."""


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


def safe_name(name: str) -> str:
    """Return a name for a file within a folder, regardless of what a server sends.

    The name has no path and does not begin with a dot, as hidden files and settings do. No system reserves it.
    """
    last = FORBIDDEN.sub("_", CONTROLS.sub("", name).replace("\\", "/").rpartition("/")[2])
    if last in ("", ".", ".."):
        return "_"
    return f"_{last}" if last.startswith(".") or RESERVED.match(last) else last


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


def emptied(file: IO[bytes]) -> None:
    """Truncate a file to start again."""
    file.seek(0)
    file.truncate()
