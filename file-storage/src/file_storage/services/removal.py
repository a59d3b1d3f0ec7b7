"""Permanently removes files: their rows, and the bytes that no other file has."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from service_kit.database import Database
from sqlalchemy import ColumnElement, Connection, delete

from file_storage.models import File
from file_storage.services.blobs import BlobService
from file_storage.services.file_rows import HAS_ID, lock_files


class Removing(NamedTuple):
    """A transaction that has locked the files with ``ids``, and removes them when it ends."""

    connection: Connection
    ids: Sequence[int]


class Removal:
    """Removes files together with their links and idempotency keys."""

    def __init__(self, database: Database, blobs: BlobService) -> None:
        self._database = database
        self._blobs = blobs

    @property
    def must_wait(self) -> bool:
        """Whether the blob store is unavailable, so that automatic removals should wait."""
        return self._blobs.is_store_away

    def remove(self, ids: Sequence[int], *conditions: ColumnElement[bool]) -> Sequence[int]:
        """Remove those of the files that meet the conditions; return their ids in ascending order."""
        with self.removing(ids, *conditions) as removing:
            return removing.ids

    @contextmanager
    def removing(self, ids: Sequence[int], *conditions: ColumnElement[bool]) -> Iterator[Removing]:
        """Remove those of the files that meet the conditions, in one transaction with the statements of the block."""
        unused: Sequence[str] = []
        with self._database.begin() as connection:
            found = lock_files(connection, ids, *conditions) if ids else []
            yield Removing(connection, found)
            if found:
                rows = delete(File).where(HAS_ID).returning(File.sha256)
                unused = self._blobs.release(connection, connection.scalars(rows, {"ids": found}).all())
        if unused:
            self._blobs.remove_all(unused)
