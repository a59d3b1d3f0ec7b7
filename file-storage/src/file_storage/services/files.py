"""Files: stored, listed, renamed, deleted."""

import hashlib
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache, partial
from io import BufferedReader
from typing import NamedTuple, TypeVar

import structlog
from service_kit.database import (
    MAX_ID,
    Database,
    dialect_of,
    each_of,
    epoch_now,
    insert_or_ignore,
    insert_or_update,
)
from service_kit.problems import Problem
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    CursorResult,
    Row,
    String,
    bindparam,
    cast,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from file_storage.models import Blob, File, IdempotencyKey
from file_storage.services.listing import FileFilter
from file_storage.services.media import Media, media_of
from file_storage.services.names import FileName, folded, renamed
from file_storage.services.quota import Quota
from file_storage.storage import BlobStore, StagedBlob, Staging, StorageUnavailableError

log = structlog.get_logger()

KEY_LIFETIME = 24 * 3600
"""Seconds for which an idempotency key is kept."""

FORGET_KEYS_SECONDS = 60
"""Expired keys are deleted by an upload, at most so often."""

_FILE = select(*File.__table__.columns).where(File.id == bindparam("id"))
_FILES = (
    select(*File.__table__.columns)
    .where(File.id.in_(select(cast(cast(each_of("ids"), String), BigInteger))))
    .order_by(File.id)
)
_INSERT_FILES = insert(File).returning(*File.__table__.columns, sort_by_parameter_order=True)
_INSERT_KEYS = insert(IdempotencyKey)
_USED_KEYS = select(IdempotencyKey.key, IdempotencyKey.fingerprint, IdempotencyKey.file_id).where(
    IdempotencyKey.key.in_(bindparam("keys", expanding=True))
)

# In one order everywhere: two transactions that need the same blobs never wait for each other.
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

DISK_THREADS = 16
"""While one file is made durable, others of the same request are."""

T = TypeVar("T")
R = TypeVar("R")


class Content(NamedTuple):
    """What is known of a file's bytes."""

    sha256: str
    size: int
    media: Media


class Upload(NamedTuple):
    """Staged bytes, and what the file is to be that they become."""

    staged: StagedBlob
    name: FileName
    comment: str
    key: str | None


class Copy(NamedTuple):
    """A file, and what another one with the same bytes is to be."""

    source: File
    name: FileName
    key: str | None


class Garbage(NamedTuple):
    """How much was removed that no file had: blobs, and staging files of uploads that died."""

    blobs: int
    staging: int


class FileService:
    """The rules of files over a database and a blob store."""

    def __init__(self, database: Database, blobs: BlobStore, staging: Staging, quota: Quota) -> None:
        self._database = database
        self._blobs = blobs
        self._staging = staging
        self._quota = quota
        self._forget_keys_from = 0.0
        self._disk = ThreadPoolExecutor(DISK_THREADS, "disk")

    def check_room(self, size: int) -> None:
        """Whether so many more bytes may come: told before they do.

        :raises Problem: 507, they would go over the quota.
        :raises StorageFullError: the disk has no room for them.
        """
        self._quota.check(size)
        self._staging.check_room(size)

    def store(self, staged: StagedBlob, name: FileName, comment: str, key: str | None) -> File:
        """Makes ``staged`` a file; with an idempotency key that was used before, gives the file it made.

        :raises Problem: 422, the key was used for another upload; 409, the key was revoked or is in use right now; 507,
            the quota is used up.
        """
        [stored] = self.store_all([Upload(staged, name, comment, key)])
        if isinstance(stored, Problem):
            raise stored
        return stored

    def store_all(self, uploads: Sequence[Upload]) -> Sequence[File | Problem]:
        """:meth:`store` for many, in one transaction.

        :returns: in the place of a file that its idempotency key forbids, why: 422, the key was used for another
            upload; 409, it was revoked. The others are stored.
        :raises Problem: 409, a key is in use right now; 507, the quota is used up. Then nothing is stored.
        """
        self._quota.check(sum(upload.staged.size for upload in uploads))
        contents = self._side_by_side(self._make_durable, [upload.staged for upload in uploads])
        # Published inside the transaction: the blob's row is locked, so nobody removes the bytes before the commit.
        additions = [
            _Addition(content, name, comment, key, partial(self._blobs.publish, staged))
            for content, (staged, name, comment, key) in zip(contents, uploads, strict=True)
        ]
        return self._add(additions, self._reference_within_quota)

    def copy(self, file_id: int, name: FileName, key: str | None) -> File:
        """A new file with the bytes of another, which both share from now on.

        :raises Problem: 404, there is no such file; 422 and 409 as :meth:`store`.
        """
        [copied] = self.copy_all([Copy(self.get(file_id), name, key)])
        if isinstance(copied, Problem):
            raise copied
        return copied

    def copy_all(self, copies: Sequence[Copy]) -> Sequence[File | Problem]:
        """:meth:`copy` for many, in one transaction.

        :returns: in the place of a file that its idempotency key forbids, why, as :meth:`store_all`.
        :raises Problem: 404, a source was deleted at this very moment; 409, a key is in use right now. Then nothing is
            copied.
        """
        additions = [_Addition(_content_of(source), name, "", key, _already_published) for source, name, key in copies]
        return self._add(additions, _share_blobs)

    def revoke(self, key: str) -> None:
        """Deletes the file that an upload with this idempotency key made, and lets none be made with it any more."""
        with _one_use_of([key]), self._database.write() as session:
            used = session.get(IdempotencyKey, key, with_for_update=True)
            if used is None:
                session.add(IdempotencyKey(key=key, fingerprint=""))
                return
            file_id, used.file_id = used.file_id, None
        if file_id is not None:
            with suppress(Problem):
                self.delete(file_id)

    def get(self, file_id: int) -> File:
        """:raises Problem: 404, there is no such file."""
        with self._database.connect() as connection:
            found = _files(connection.execute(_FILE, {"id": file_id})) if 0 < file_id <= MAX_ID else []
        if not found:
            raise not_found(file_id)
        return found[0]

    def made_with(self, key: str) -> File:
        """The file that an upload with this idempotency key made.

        :raises Problem: 404, there is none: the key was not used, was revoked, or is forgotten.
        """
        used = select(IdempotencyKey.file_id).where(IdempotencyKey.key == key).scalar_subquery()
        with self._database.read() as session:
            file = session.scalar(select(File).where(File.id == used))
        if file is None:
            raise Problem("file-not-found", 404, f"No file was made with the Idempotency-Key '{key}'.")
        return file

    def location(self, file: File) -> str:
        """The path of the file's bytes below the root that the web server sends files from.

        :raises Problem: 404, some of them are lost.
        """
        with _lost_where_missing(file):
            return self._blobs.location(file.sha256, file.size)

    def open(self, file: File) -> BufferedReader:
        """The file's bytes, for reading.

        :raises Problem: 404, some of them are lost.
        """
        with _lost_where_missing(file):
            content = self._blobs.open(file.sha256)
        if content.seek(0, os.SEEK_END) != file.size:
            content.close()
            raise bytes_lost(file)
        content.seek(0)
        return content

    def page(self, wanted: FileFilter, after: str, limit: int) -> Sequence[File]:
        """At most ``limit`` of the wanted files, in the filter's order, behind the cursor ``after``."""
        with self._database.read() as session:
            return session.scalars(wanted.page(after, limit)).all()

    def existing(self, ids: Sequence[int]) -> Sequence[File]:
        """The files that have one of these ids, by id."""
        with self._database.connect() as connection:
            return _files(connection.execute(_FILES, {"ids": list(ids)}))

    def change(self, file_id: int, name: str | None, comment: str | None) -> File:
        """Renames a file or changes its comment; ``None`` leaves it as it is.

        :raises Problem: 404, there is no such file; 422, the name cannot be stored.
        """
        with self._database.write() as session:
            file = session.get(File, file_id, with_for_update=True) if 0 < file_id <= MAX_ID else None
            if file is None:
                raise not_found(file_id)
            if name is not None:
                file.name = renamed(name, file.extension)
                file.search_name = folded(file.name + file.extension)
            if comment is not None:
                file.comment = comment
            session.flush()
            session.refresh(file)
            return file

    def delete(self, file_id: int) -> None:
        """Deletes a file; the bytes go with the last file that has them.

        :raises Problem: 404, there is no such file.
        """
        if not 0 < file_id <= MAX_ID:
            raise not_found(file_id)
        with self._database.write() as session:
            sha256 = session.scalar(delete(File).where(File.id == file_id).returning(File.sha256))
            if sha256 is None:
                raise not_found(file_id)
            left = session.scalar(
                update(Blob)
                .where(Blob.sha256 == sha256)
                .values(file_count=Blob.file_count - 1)
                .returning(Blob.file_count)
            )
        log.info("file deleted", file_id=file_id)
        if left == 0:
            self._remove_or_leave(sha256)

    def collect_garbage(self, older_than_seconds: float) -> Garbage:
        """Removes the bytes that no file has, as a crash may leave them; safe while the server runs.

        :param older_than_seconds: bytes written later may belong to an upload that is not committed yet.
        """
        unreferenced = 0
        for sha256 in self._blobs.stored(older_than_seconds):
            if self._has_file(sha256):
                continue
            with self._database.begin() as connection:
                # A row without files, locked, keeps an upload of the same bytes waiting until they are gone.
                row = insert_or_ignore(dialect_of(connection), Blob).values(sha256=sha256, size=0, file_count=0)
                connection.execute(row)
            unreferenced += self._remove_unreferenced(sha256)
        return Garbage(blobs=unreferenced, staging=self._staging.sweep(older_than_seconds))

    def _make_durable(self, staged: StagedBlob) -> Content:
        staged.seal()
        self._blobs.prepare(staged)
        with staged.open() as file:
            return Content(staged.sha256, staged.size, media_of(file))

    def _add(
        self, additions: Sequence["_Addition"], reference: Callable[[Connection, Sequence[Content]], None]
    ) -> Sequence[File | Problem]:
        keys = [addition.key for addition in additions if addition.key is not None]
        with _one_use_of(keys), self._database.begin() as connection:
            earlier = self._made_earlier(connection, additions) if keys else {}
            new = [addition for addition in additions if addition.key not in earlier]
            made = self._insert(connection, new, reference) if new else []
        for file in made:
            log.info("file stored", file_id=file.id, size=file.size)
        left = iter(made)
        return [earlier[addition.key] if addition.key in earlier else next(left) for addition in additions]

    def _made_earlier(
        self, connection: Connection, additions: Sequence["_Addition"]
    ) -> Mapping[str | None, File | Problem]:
        """What has become of those whose keys were used before, by key."""
        self._forget_expired_keys(connection)
        keys = [addition.key for addition in additions if addition.key is not None]
        used = {row.key: row for row in connection.execute(_USED_KEYS, {"keys": keys})}
        return {
            addition.key: _file_of_key(connection, used[addition.key], addition.fingerprint())
            for addition in additions
            if addition.key in used
        }

    def _insert(
        self,
        connection: Connection,
        new: Sequence["_Addition"],
        reference: Callable[[Connection, Sequence[Content]], None],
    ) -> Sequence[File]:
        reference(connection, [addition.content for addition in new])
        inserted = connection.execute(_INSERT_FILES, [addition.row() for addition in new])
        files = _files(inserted)
        keyed = [
            {"key": addition.key, "fingerprint": addition.fingerprint(), "file_id": file.id}
            for addition, file in zip(new, files, strict=True)
            if addition.key is not None
        ]
        if keyed:
            connection.execute(_INSERT_KEYS, sorted(keyed, key=lambda row: str(row["key"])))
        self._side_by_side(lambda addition: addition.publish(), new)
        return files

    def _reference_within_quota(self, connection: Connection, contents: Sequence[Content]) -> None:
        _reference_blobs(connection, contents)
        self._quota.check_added(connection, sum(content.size for content in contents))

    def _side_by_side(self, work: Callable[[T], R], items: Sequence[T]) -> Sequence[R]:
        if len(items) == 1:
            return [work(items[0])]
        return list(self._disk.map(work, items))

    def _forget_expired_keys(self, connection: Connection) -> None:
        if time.monotonic() < self._forget_keys_from:
            return
        self._forget_keys_from = time.monotonic() + FORGET_KEYS_SECONDS
        connection.execute(delete(IdempotencyKey).where(IdempotencyKey.created_at < epoch_now() - KEY_LIFETIME))

    def _has_file(self, sha256: str) -> bool:
        with self._database.connect() as connection:
            return bool(connection.scalar(select(Blob.file_count).where(Blob.sha256 == sha256)))

    def _remove_or_leave(self, sha256: str) -> None:
        try:
            self._remove_unreferenced(sha256)
        except (StorageUnavailableError, OSError) as error:
            # The file is gone all the same.
            log.warning("blob left for gc", sha256=sha256, reason=str(error))

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
            self._blobs.delete(sha256)
            return True


def _files(rows: CursorResult[*tuple[object, ...]]) -> Sequence[File]:
    """Past the ORM, which takes longer to read a row than the database does."""
    return [File(**row) for row in rows.mappings()]


def _content_of(file: File) -> Content:
    return Content(file.sha256, file.size, Media(file.media_type, file.width, file.height))


class _Addition(NamedTuple):
    """A file to be added, and what gives it its bytes."""

    content: Content
    name: FileName
    comment: str
    key: str | None
    publish: Callable[[], None]

    def fingerprint(self) -> str:
        return hashlib.sha256("\0".join([self.content.sha256, *self.name, self.comment]).encode()).hexdigest()

    def row(self) -> dict[str, object]:
        return {
            "name": self.name.name,
            "extension": self.name.extension,
            "search_name": folded(self.name.name + self.name.extension),
            "comment": self.comment,
            "sha256": self.content.sha256,
            "size": self.content.size,
            **self.content.media._asdict(),
        }


@contextmanager
def _one_use_of(keys: Iterable[str]) -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        named = "', '".join(keys)
        detail = f"Another request uses the Idempotency-Key '{named}' at this moment; try again."
        raise Problem("idempotency-key-in-use", 409, detail) from error


@contextmanager
def _lost_where_missing(file: File) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise bytes_lost(file) from error


def bytes_lost(file: File) -> Problem:
    """Return the problem of a file that has fewer bytes on the disk than it should."""
    detail = f"The bytes of file {file.id} are lost; an upload of the same bytes brings them back."
    return Problem("bytes-lost", 404, detail)


def _already_published() -> None:
    """What a copy has to publish: its bytes are a blob already."""


def _file_of_key(connection: Connection, used: Row[str, str, int | None], fingerprint: str) -> File | Problem:
    if used.file_id is None:
        return Problem("idempotency-key-revoked", 409, "This Idempotency-Key was revoked; take a new key.")
    if used.fingerprint != fingerprint:
        detail = "This Idempotency-Key was used for another upload; take a new key."
        return Problem("idempotency-key-reused", 422, detail)
    files = _files(connection.execute(_FILE, {"id": used.file_id}))
    if not files:
        # Deleted since the key was read; the key went with it.
        return Problem("idempotency-key-in-use", 409, "The file of this Idempotency-Key was just deleted; try again.")
    return files[0]


def _reference_blobs(connection: Connection, contents: Sequence[Content]) -> None:
    sizes = {content.sha256: content.size for content in contents}
    counts = Counter(content.sha256 for content in contents)
    # In one order everywhere: two transactions that need the same blobs never wait for each other.
    rows = [{"sha256": name, "size": sizes[name], "file_count": counts[name]} for name in sorted(sizes)]
    connection.execute(_count_blobs(dialect_of(connection)), rows)


@cache
def _count_blobs(dialect: str) -> "postgresql.Insert | sqlite.Insert":
    insert = insert_or_update(dialect, Blob)
    more = {"file_count": Blob.file_count + insert.excluded.file_count, "size": insert.excluded.size}
    return insert.on_conflict_do_update(index_elements=[Blob.sha256], set_=more)


def _share_blobs(connection: Connection, contents: Sequence[Content]) -> None:
    counts = Counter(content.sha256 for content in contents)
    # A blob without files may lose its bytes at any moment: it is not revived without bytes at hand.
    alive = connection.execute(_LOCK_ALIVE_BLOBS, {"names": list(counts)}).scalars().all()
    if len(alive) < len(counts):
        raise Problem("file-not-found", 404, "The file, or one of the files, was deleted at this moment.")
    connection.execute(_COUNT_MORE, [{"name": name, "more": counts[name]} for name in alive])


def not_found(file_id: int) -> Problem:
    """404: the file that was asked for does not exist."""
    return Problem("file-not-found", 404, f"There is no file {file_id}.")
