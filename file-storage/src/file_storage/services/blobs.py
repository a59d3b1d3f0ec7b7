"""Blobs and the number of files that share each: counted up, counted down, removed at zero."""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from typing import NamedTuple

import structlog
from service_kit.database import Database, dialect_of, insert_or_ignore, insert_or_update
from service_kit.errors import DomainError
from sqlalchemy import BigInteger, ColumnElement, Connection, bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from file_storage.models import Blob
from file_storage.storage import BlobStore, StorageUnavailableError

log = structlog.get_logger()

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


class SizedBlob(NamedTuple):
    """A blob's name and its size in bytes."""

    sha256: str
    size: int


class BlobService:
    """The reference counts of blobs, over a database and a store.

    Every statement that locks several blobs does so in the order of their names: two transactions never wait for each
    other.
    """

    def __init__(self, database: Database, store: BlobStore) -> None:
        self._database = database
        self._store = store

    def reference(self, connection: Connection, blobs: Sequence[SizedBlob]) -> None:
        """Count one more file for each of ``blobs``, which are about to be published, and lock their rows."""
        sizes = dict(blobs)
        counts = Counter(blob.sha256 for blob in blobs)
        rows = [{"sha256": name, "size": sizes[name], "file_count": counts[name]} for name in sorted(sizes)]
        connection.execute(_count_blobs(dialect_of(connection)), rows)

    def share(self, connection: Connection, names: Iterable[str]) -> None:
        """Count one more file for each of the blobs with these names, whose bytes are in the store already.

        :raises DomainError: ``file-not-found``, a blob has lost its last file in this moment.
        """
        counts = Counter(names)
        # A blob without files may lose its bytes at any moment: it is not revived without bytes at hand.
        alive = connection.execute(_LOCK_ALIVE_BLOBS, {"names": list(counts)}).scalars().all()
        if len(alive) < len(counts):
            raise DomainError("file-not-found", "The file, or one of the files, was deleted at this moment.")
        connection.execute(_COUNT_MORE, [{"name": name, "more": counts[name]} for name in alive])

    def release(self, session: Session, sha256: str) -> bool:
        """Count one file less; return whether it was the last one, after which :meth:`remove` is due."""
        statement = (
            update(Blob).where(Blob.sha256 == sha256).values(file_count=Blob.file_count - 1).returning(Blob.file_count)
        )
        return session.scalar(statement) == 0

    def remove(self, sha256: str) -> None:
        """Remove a blob that no file has; one that the store does not remove now is left for gc."""
        try:
            self._remove_unreferenced(sha256)
        except (StorageUnavailableError, OSError) as error:
            log.warning("blob left for gc", sha256=sha256, reason=str(error))

    def collect_garbage(self, older_than_seconds: float) -> int:
        """Remove the blobs that no file has and return how many there were; safe while the server runs.

        :param older_than_seconds: bytes written later may belong to an upload that is not committed yet.
        """
        removed = 0
        for sha256 in self._store.stored(older_than_seconds):
            if self._has_file(sha256):
                continue
            with self._database.begin() as connection:
                # A row without files, locked, keeps an upload of the same bytes waiting until they are gone.
                row = insert_or_ignore(dialect_of(connection), Blob).values(sha256=sha256, size=0, file_count=0)
                connection.execute(row)
            removed += self._remove_unreferenced(sha256)
        return removed

    def _has_file(self, sha256: str) -> bool:
        with self._database.connect() as connection:
            return bool(connection.scalar(select(Blob.file_count).where(Blob.sha256 == sha256)))

    def _remove_unreferenced(self, sha256: str) -> bool:
        try:
            return self._remove_where_the_count_is_0(sha256)
        except IntegrityError:
            # A file has the bytes, though the count says otherwise: fsck counts again.
            log.warning("blob miscounted", sha256=sha256)
            return False

    def _remove_where_the_count_is_0(self, sha256: str) -> bool:
        with self._database.write() as session:
            # The count is read again under the row's lock: an upload may have revived the blob meanwhile.
            unreferenced: ColumnElement[bool] = (Blob.sha256 == sha256) & (Blob.file_count == 0)
            blob = session.scalar(select(Blob).where(unreferenced).with_for_update())
            if blob is None:
                return False
            # The row first: where a file still refers to it, the foreign key refuses, and the bytes stay.
            session.delete(blob)
            session.flush()
            self._store.delete(sha256)
            return True


@cache
def _count_blobs(dialect: str) -> "postgresql.Insert | sqlite.Insert":
    insert = insert_or_update(dialect, Blob)
    more = {"file_count": Blob.file_count + insert.excluded.file_count, "size": insert.excluded.size}
    return insert.on_conflict_do_update(index_elements=[Blob.sha256], set_=more)
