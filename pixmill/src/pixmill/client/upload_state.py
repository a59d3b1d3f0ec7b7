"""Remembers unfinished uploads on disk, so that a restarted program can resume them."""

import hashlib
import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pixmill.client.places import state_folder, write_private

KEEP_SECONDS = 86_400
"""By default, the server deletes an upload a day after its last bytes."""


FORGET_SECONDS = 30 * KEEP_SECONDS


@dataclass(frozen=True)
class UploadState:
    """The stored state of one upload; :meth:`of` returns it for a local file.

    :param record: the file that contains the upload's id.
    """

    record: Path

    @classmethod
    def of(cls, server: str, path: Path, name: str, fields: Mapping[str, str]) -> "UploadState":
        """Return the state for the current version of a file: a changed file starts a new upload.

        :param fields: further data that the server receives about it.
        """
        found = path.stat()
        parts = [server, str(path.resolve()), found.st_size, found.st_mtime_ns, name, dict(fields)]
        key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
        return cls(state_folder() / "uploads" / f"{key[:40]}.json")

    def upload_id(self) -> str | None:
        """Return the id of the upload; the server may have deleted it since."""
        try:
            document: object = json.loads(self.record.read_text("utf-8"))
        except (OSError, ValueError):
            return None
        found = document.get("upload_id") if isinstance(document, dict) else None
        return found if isinstance(found, str) else None

    def keep(self, upload_id: str) -> None:
        # Without this record the upload still succeeds; only another process cannot resume it.
        with suppress(OSError):
            write_private(self.record, json.dumps({"upload_id": upload_id}))

    def renew(self) -> None:
        """Note that the server has just received bytes of the upload."""
        with suppress(OSError):
            os.utime(self.record)

    def forget(self) -> None:
        with suppress(OSError):
            self.record.unlink(missing_ok=True)


def unfinished_uploads() -> int:
    """Return the number of uploads that can be resumed if the server keeps unfinished uploads for the default time.

    Delete records older than a month: an operator may have chosen a longer time than the default.
    """
    count = 0
    for record in (state_folder() / "uploads").glob("*.json"):
        with suppress(OSError):
            age = time.time() - record.stat().st_mtime
            if age > FORGET_SECONDS:
                record.unlink()
            count += age <= KEEP_SECONDS
    return count
