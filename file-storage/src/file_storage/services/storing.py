"""Create files from staged bytes or with the bytes of other files."""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple, TypeVar

import structlog
from service_kit.database import Database
from service_kit.errors import DomainError
from sqlalchemy import Connection

from file_storage.models import File
from file_storage.services.blobs import BlobService, SizedBlob
from file_storage.services.file_rows import INSERT_FILES, files_of
from file_storage.services.idempotency import IdempotencyKeys, KeyUse, conflict_as_in_use
from file_storage.services.media import Media, media_of
from file_storage.services.names import FileName, folded
from file_storage.services.quota import Quota
from file_storage.storage import BlobStore, StagedBlob, Staging

log = structlog.get_logger()

DISK_THREADS = 16
"""Files of one request that are made durable concurrently."""

T = TypeVar("T")
R = TypeVar("R")


class NewFile(NamedTuple):
    """Staged bytes, and the name, comment and idempotency key of the new file."""

    staged: StagedBlob
    name: FileName
    comment: str
    key: str | None


class NewCopy(NamedTuple):
    """A file to copy, and the name and idempotency key of the copy."""

    source: File
    name: FileName
    key: str | None


class _Addition(NamedTuple):
    """A row to insert, and the function that publishes its bytes."""

    blob: SizedBlob
    media: Media
    name: FileName
    comment: str
    key: str | None
    publish: Callable[[], None]

    def use(self) -> KeyUse | None:
        if self.key is None:
            return None
        content = "\0".join([self.blob.sha256, *self.name, self.comment])
        return KeyUse(self.key, hashlib.sha256(content.encode()).hexdigest())

    def row(self) -> dict[str, object]:
        return {
            "name": self.name.name,
            "extension": self.name.extension,
            "search_name": folded(self.name.name + self.name.extension),
            "comment": self.comment,
            **self.blob._asdict(),
            **self.media._asdict(),
        }


class StoringService:
    """Adds files: row, blob reference and idempotency key in one transaction."""

    def __init__(
        self,
        database: Database,
        store: BlobStore,
        staging: Staging,
        quota: Quota,
        blobs: BlobService,
        keys: IdempotencyKeys,
    ) -> None:
        self._database = database
        self._store = store
        self._staging = staging
        self._quota = quota
        self._blobs = blobs
        self._keys = keys
        self._disk = ThreadPoolExecutor(DISK_THREADS, "disk")

    def check_room(self, size: int) -> None:
        """Check, before a body of ``size`` bytes is received, that it can be stored.

        :raises DomainError: ``quota-exceeded``.
        :raises StorageFullError: the disk has no room for it.
        """
        self._quota.check(size)
        self._staging.check_room(size)

    def store(self, staged: StagedBlob, name: FileName, comment: str, key: str | None) -> File:
        """Store ``staged`` as a file; for an idempotency key that was used before, return its file.

        :raises DomainError: ``quota-exceeded``, or ``idempotency-key-reused``, ``-revoked`` or ``-in-use``.
        """
        [stored] = self.store_all([NewFile(staged, name, comment, key)])
        if isinstance(stored, DomainError):
            raise stored
        return stored

    def store_all(self, new: Sequence[NewFile]) -> Sequence[File | DomainError]:
        """Store many files as :meth:`store` does, in one transaction.

        :returns: for each upload its file, or ``idempotency-key-reused`` or ``-revoked`` if its key forbids it.
        :raises DomainError: ``idempotency-key-in-use`` or ``quota-exceeded``; nothing is stored.
        """
        self._quota.check(sum(file.staged.size for file in new))
        contents = self._in_parallel(self._make_durable, [file.staged for file in new])
        # Publish inside the transaction: it locks the blob's row, so nobody removes the bytes before the commit.
        additions = [
            _Addition(blob, media, name, comment, key, partial(self._store.publish, staged))
            for (blob, media), (staged, name, comment, key) in zip(contents, new, strict=True)
        ]
        return self._add(additions, self._reference_within_quota)

    def copy(self, source: File, name: FileName, key: str | None) -> File:
        """Create a file that shares the bytes of ``source``.

        :raises DomainError: ``file-not-found``, or for the idempotency key as in :meth:`store`.
        """
        [copied] = self.copy_all([NewCopy(source, name, key)])
        if isinstance(copied, DomainError):
            raise copied
        return copied

    def copy_all(self, copies: Sequence[NewCopy]) -> Sequence[File | DomainError]:
        """Make many copies as :meth:`copy` does, in one transaction.

        :returns: for each copy its file, or the error of its idempotency key as in :meth:`store_all`.
        :raises DomainError: ``file-not-found``, a source was just deleted; ``idempotency-key-in-use``. Nothing is
            copied then.
        """
        additions = [
            _Addition(SizedBlob(source.sha256, source.size), _media_of_row(source), name, "", key, _publish_nothing)
            for source, name, key in copies
        ]
        return self._add(additions, self._share)

    def _make_durable(self, staged: StagedBlob) -> tuple[SizedBlob, Media]:
        staged.seal()
        self._store.prepare(staged)
        with staged.open() as file:
            return SizedBlob(staged.sha256, staged.size), media_of(file)

    def _add(
        self, additions: Sequence[_Addition], reference: Callable[[Connection, Sequence[SizedBlob]], None]
    ) -> Sequence[File | DomainError]:
        uses = [use for addition in additions if (use := addition.use()) is not None]
        with conflict_as_in_use([use.key for use in uses]), self._database.begin() as connection:
            earlier = self._keys.made_earlier(connection, uses) if uses else {}
            new = [addition for addition in additions if addition.key not in earlier]
            made = self._insert(connection, new, reference) if new else []
        for file in made:
            log.info("file stored", file_id=file.id, size=file.size)
        remaining = iter(made)
        return [earlier.get(addition.key or "") or next(remaining) for addition in additions]

    def _insert(
        self,
        connection: Connection,
        new: Sequence[_Addition],
        reference: Callable[[Connection, Sequence[SizedBlob]], None],
    ) -> Sequence[File]:
        reference(connection, [addition.blob for addition in new])
        files = files_of(connection.execute(INSERT_FILES, [addition.row() for addition in new]))
        made = {use: file.id for addition, file in zip(new, files, strict=True) if (use := addition.use()) is not None}
        self._keys.record(connection, made)
        self._in_parallel(lambda addition: addition.publish(), new)
        return files

    def _reference_within_quota(self, connection: Connection, blobs: Sequence[SizedBlob]) -> None:
        self._blobs.reference(connection, blobs)
        self._quota.check_added(connection, sum(blob.size for blob in blobs))

    def _share(self, connection: Connection, blobs: Sequence[SizedBlob]) -> None:
        self._blobs.share(connection, [blob.sha256 for blob in blobs])

    def _in_parallel(self, work: Callable[[T], R], items: Sequence[T]) -> Sequence[R]:
        if len(items) == 1:
            return [work(items[0])]
        return list(self._disk.map(work, items))


def _media_of_row(file: File) -> Media:
    return Media(file.media_type, file.width, file.height)


def _publish_nothing() -> None:
    """Do nothing: the bytes of a copy are already a blob."""
