"""Counts references to blobs: files with equal bytes share a blob, which is removed with its last file."""

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from typing import NamedTuple

import structlog
from service_kit.database import Database, dialect_of, insert_or_ignore, insert_or_update
from service_kit.errors import DomainError
from service_kit.texts import sentence
from sqlalchemy import BigInteger, ColumnElement, Connection, bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from file_storage.models import Blob
from file_storage.storage import BlobStore, StorageUnavailableError

log = structlog.get_logger()

PAUSE_SECONDS = 60
"""Seconds for which nothing is deleted in a store that did not answer."""

_LOCK_ALIVE_BLOBS = (
    select(Blob.sha256)
    .where(Blob.sha256.in_(bindparam("names", expanding=True)), Blob.file_count > 0)
    .order_by(Blob.sha256)
    .with_for_update()
)
_COUNT_MORE = (
    update(Blob)
    .where(Blob.sha256 == bindparam("name"))
    .values(file_count=Blob.file_count + bindparam("more", type_=BigInteger))
)

_COUNT_LESS = (
    update(Blob)
    .where(Blob.sha256 == bindparam("name"))
    .values(file_count=Blob.file_count - bindparam("less", type_=BigInteger))
    .returning(Blob.file_count)
)


class SizedBlob(NamedTuple):
    """A blob's name and its size in bytes."""

    sha256: str
    size: int


class BlobService:
    """Counts the files of each blob in the database, and removes blobs without files from the store.

    Every statement that locks several blobs locks them in the order of their names, to prevent deadlocks.
    """

    def __init__(self, database: Database, store: BlobStore) -> None:
        self._database = database
        self._store = store
        self._paused_until = 0.0

    @property
    def is_store_away(self) -> bool:
        """Whether the store has just failed to delete a blob: work that can wait skips the store until then."""
        return time.monotonic() < self._paused_until

    def reference(self, connection: Connection, blobs: Sequence[SizedBlob]) -> None:
        """Add one file to the count of each of ``blobs``, which are about to be published, and lock their rows."""
        sizes = dict(blobs)
        counts = Counter(blob.sha256 for blob in blobs)
        rows = [{"sha256": name, "size": sizes[name], "file_count": counts[name]} for name in sorted(sizes)]
        connection.execute(_count_blobs(dialect_of(connection)), rows)

    def share(self, connection: Connection, names: Iterable[str]) -> None:
        """Add one file to the count of each named blob, whose bytes are already in the store.

        :raises DomainError: ``file-not-found`` if a blob has just lost its last file.
        """
        counts = Counter(names)
        # A blob without files may lose its bytes at any time, so only an upload may revive it.
        alive = connection.execute(_LOCK_ALIVE_BLOBS, {"names": list(counts)}).scalars().all()
        if len(alive) < len(counts):
            detail = sentence("The file, or one of the files, was just deleted.")
            raise DomainError("file-not-found", detail, context={"file_id": None})
        connection.execute(_COUNT_MORE, [{"name": name, "more": counts[name]} for name in alive])

    def release(self, connection: Connection, names: Iterable[str]) -> Sequence[str]:
        """Subtract one file for each of ``names``; return the blobs left without files, for :meth:`remove_all`."""
        counts = Counter(names)
        uses = [{"name": name, "less": counts[name]} for name in sorted(counts)]
        return [str(use["name"]) for use in uses if connection.scalar(_COUNT_LESS, use) == 0]

    def remove_all(self, names: Sequence[str]) -> None:
        """Remove the blobs without files among ``names``, and their bytes.

        If the store does not answer, leave the bytes, and those of the next :data:`PAUSE_SECONDS`, for gc.
        """
        try:
            unfinished = self._remove_together(names)
        except (OSError, IntegrityError):
            # Removing them again one by one is safe: deleted blobs are ignored.
            unfinished = [name for sha256 in names for name in self._remove_or_leave(sha256)]
        self.finish(unfinished)

    def finish(self, names: Sequence[str]) -> None:
        """Delete or move bytes after the transaction that decided it.

        :param names: as the store's method in that transaction returned them.
        """
        if not names:
            return
        if self.is_store_away:
            log.warning("blobs left for gc", blobs=len(names), reason="the store did not answer")
            return
        try:
            self._store.finish(names)
        except StorageUnavailableError as error:
            # Each further request would hold a thread for as long as the store retries.
            self._paused_until = time.monotonic() + PAUSE_SECONDS
            log.warning("blobs left for gc", blobs=len(names), reason=str(error))

    def collect_garbage(self, older_than_seconds: float) -> int:
        """Remove the blobs without files and return their number; safe while the server runs.

        :param older_than_seconds: keep younger bytes: they may belong to an upload that is not committed yet.
        """
        removed = 0
        for sha256 in self._store.perhaps_unused(older_than_seconds):
            if self._has_file(sha256):
                continue
            with self._database.begin() as connection:
                # A locked row makes an upload of the same bytes wait until they are gone.
                row = insert_or_ignore(dialect_of(connection), Blob).values(sha256=sha256, size=0, file_count=0)
                connection.execute(row)
            unfinished = self._remove_unreferenced(sha256)
            if unfinished is not None:
                self._store.finish(unfinished)
                removed += 1
        return removed + self._store.sweep(older_than_seconds)

    def _remove_together(self, names: Sequence[str]) -> Sequence[str]:
        with self._database.write() as session:
            unreferenced: ColumnElement[bool] = Blob.sha256.in_(names) & (Blob.file_count == 0)
            rows = select(Blob).where(unreferenced).order_by(Blob.sha256).with_for_update()
            blobs = session.scalars(rows).all()
            for blob in blobs:
                session.delete(blob)
            # As for a single blob, delete the rows first.
            session.flush()
            return self._store.retract(session.connection(), [blob.sha256 for blob in blobs])

    def _has_file(self, sha256: str) -> bool:
        with self._database.connect() as connection:
            return bool(connection.scalar(select(Blob.file_count).where(Blob.sha256 == sha256)))

    def _remove_or_leave(self, sha256: str) -> Sequence[str]:
        try:
            return self._remove_unreferenced(sha256) or []
        except OSError as error:
            log.warning("blob left for gc", sha256=sha256, reason=str(error))
            return []

    def _remove_unreferenced(self, sha256: str) -> Sequence[str] | None:
        """Remove a blob and return what to finish; return ``None`` if it has files."""
        try:
            return self._remove_if_count_is_0(sha256)
        except IntegrityError:
            # A file has the bytes although the count is 0: fsck corrects the count.
            log.warning("blob miscounted", sha256=sha256)
            return None

    def _remove_if_count_is_0(self, sha256: str) -> Sequence[str] | None:
        with self._database.write() as session:
            # Read the count again under the row's lock: an upload may have revived the blob.
            unreferenced: ColumnElement[bool] = (Blob.sha256 == sha256) & (Blob.file_count == 0)
            blob = session.scalar(select(Blob).where(unreferenced).with_for_update())
            if blob is None:
                return None
            # Delete the row first: if a file still refers to it, the foreign key fails and the bytes stay.
            session.delete(blob)
            session.flush()
            return self._store.retract(session.connection(), [sha256])


@cache
def _count_blobs(dialect: str) -> "postgresql.Insert | sqlite.Insert":
    insert = insert_or_update(dialect, Blob)
    more = {"file_count": Blob.file_count + insert.excluded.file_count, "size": insert.excluded.size}
    return insert.on_conflict_do_update(index_elements=[Blob.sha256], set_=more)
