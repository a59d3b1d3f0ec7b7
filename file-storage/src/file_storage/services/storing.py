"""Creates files from staged bytes, or as copies of other files."""

import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from operator import attrgetter
from typing import NamedTuple, TypeVar

import structlog
from service_kit.access.principals import Principal
from service_kit.database import Database
from service_kit.errors import DomainError
from service_kit.texts import sentence
from sqlalchemy import Connection, update

from file_storage.models import File, Upload
from file_storage.models.file import RESULT, UPLOAD
from file_storage.services.blobs import BlobService, SizedBlob
from file_storage.services.expiry import ExpiryService
from file_storage.services.file_rows import INSERT_FILES, files_of
from file_storage.services.group_commit import GroupCommit, GroupProgress
from file_storage.services.idempotency import IdempotencyKeys, KeyUse, conflict_as_in_use
from file_storage.services.media.media import Media, media_of, taken_at_of
from file_storage.services.names import FileName, folded
from file_storage.services.promises import MIN_BYTES, Promises
from file_storage.services.quota import Addition, Quota
from file_storage.services.trash import TrashService
from file_storage.storage import BlobStore, OutdatedError, Prepared, StagedBlob, Staging

log = structlog.get_logger()

DISK_THREADS = 16
"""Maximum number of files made durable concurrently."""

MAX_ATTEMPTS = 3
"""Maximum number of times that bytes are prepared if they are removed before their file is stored."""

_QUOTA = "quota-exceeded"
_NO_ROOM = (_QUOTA, "storage-full")
"""Errors that the removal of what has expired may prevent."""

T = TypeVar("T")
R = TypeVar("R")


class Details(NamedTuple):
    """Optional properties of a new file besides its name.

    :param folder: as returned by :mod:`folders`; ``None`` for no folder, or for that of a copy's source.
    :param expires_in: seconds until the file expires.
    :param source_id: the file from which a task made it; only our own processes may set this, ``task_id`` and
        ``batch_id``.
    """

    folder: str | None = None
    expires_in: int | None = None
    source_id: int | None = None
    task_id: int | None = None
    batch_id: int | None = None


NO_DETAILS = Details()


class NewFile(NamedTuple):
    """Staged bytes, and the name, comment and idempotency key of the new file."""

    staged: StagedBlob
    name: FileName
    comment: str
    key: str | None
    details: Details = NO_DETAILS


class NewCopy(NamedTuple):
    """A file to copy, and the name and idempotency key of the copy.

    :param use: the key, with a fingerprint of what the client sent: the source may change before a retry.
    """

    source: File
    name: FileName
    use: KeyUse | None
    details: Details = NO_DETAILS


class Reserved(NamedTuple):
    """Bytes of resumable or promised uploads that already count towards quotas.

    :param upload_id: the upload that becomes the file; it stops counting when the file exists.
    :param parts: bytes of uploads that remain and continue to count.
    """

    upload_id: str | None = None
    parts: int = 0


class _Content(NamedTuple):
    """Stored bytes, and the properties found in them."""

    blob: SizedBlob
    media: Media
    taken_at: float | None


class _NewRow(NamedTuple):
    """A row to insert.

    :param origin: origin of the bytes.
    :param prepared: the bytes to publish; ``None`` for a copy, whose bytes are already a blob.
    """

    content: _Content
    name: FileName
    comment: str
    use: KeyUse | None
    details: Details
    origin: str
    prepared: Prepared | None = None

    @property
    def blob(self) -> SizedBlob:
        return self.content.blob

    @property
    def key(self) -> str | None:
        return None if self.use is None else self.use.key

    def row(self, owner: str) -> dict[str, object]:
        return {
            "owner": owner,
            "name": self.name.name,
            "extension": self.name.extension,
            "search_name": folded(self.name.name + self.name.extension),
            "comment": self.comment,
            "search_comment": folded(self.comment) or None,
            "folder": self.details.folder or "",
            "origin": self.origin,
            "source_id": self.details.source_id,
            "task_id": self.details.task_id,
            "batch_id": self.details.batch_id,
            "taken_at": self.content.taken_at,
            "expires_in": self.details.expires_in,
            **self.blob._asdict(),
            **self.content.media._asdict(),
        }


class _Addition(NamedTuple):
    """The only file of a request, which may be stored in one transaction with files of other requests."""

    principal: Principal
    new: _NewRow


def _fits(addition: _Addition, group: Sequence[_Addition]) -> bool:
    """Return whether an addition can join a group: no key occurs twice."""
    key = addition.new.key
    return key is None or all(key != member.new.key for member in group)


class StoringService:
    """Adds files of the principal's owner: row, blob reference and idempotency key in one transaction."""

    def __init__(
        self,
        database: Database,
        store: BlobStore,
        staging: Staging,
        quota: Quota,
        blobs: BlobService,
        keys: IdempotencyKeys,
        expiry: ExpiryService,
        trash: TrashService,
        promises: Promises,
    ) -> None:
        self._database = database
        self._store = store
        self._staging = staging
        self._quota = quota
        self._blobs = blobs
        self._keys = keys
        self._expiry = expiry
        self._trash = trash
        self._promises = promises
        self._disk = ThreadPoolExecutor(DISK_THREADS, "disk")
        # An upload that waits for a lock or for the store delays only uploads of its own principal.
        self._group_commit = GroupCommit[_Addition, File | DomainError](self._add_group, attrgetter("principal"), _fits)

    @contextmanager
    def room(
        self, principal: Principal, size: int, promised: str | None, copies: int = 1, key: str | None = None
    ) -> Iterator[Reserved | None]:
        """Check that a body of ``size`` bytes can be stored; if it is large, hold room for it during the block.

        :param promised: the id of the promise that was made before the body arrived, if any; it ends with the block.
        :param copies: as in :meth:`Promises.make`.
        :param key: the idempotency key of the upload. One that was used before makes no file, and so needs no quota.
        :raises DomainError: as in :meth:`check_room`.
        """
        if promised is not None and self._promises.holds(promised):
            with self._promises.given_back(promised):
                yield Reserved(promised)
            return
        is_repeated = self._was_used(principal, key)
        if not is_repeated:
            self._check_quota(principal, size)
        # A promised body is already on the disk; its promise covers only the bytes still needed.
        if promised is None:
            self.with_room(lambda: self._staging.check_room(size))
        if size < MIN_BYTES:
            yield None
            return
        promise = self._promises.promised_on_disk if is_repeated else self._promises.promised
        with ExitStack() as promises:
            promise_id = self.with_room(lambda: promises.enter_context(promise(principal, size, copies)))
            yield Reserved(promise_id)

    def promise_room(
        self, principal: Principal, promise_id: str, size: int, copies: int = 1, key: str | None = None
    ) -> None:
        """Check as :meth:`check_room` does, and promise the room to the upload with this id.

        :param copies: as in :meth:`Promises.make`.
        :param key: as in :meth:`room`; with a used one, check only the disk.
        :raises DomainError: as in :meth:`check_room`.
        """
        if self._was_used(principal, key):
            self.with_room(lambda: self._promises.make_on_disk(principal, promise_id, size, copies))
            return
        self.check_room(principal, size)
        self.with_room(lambda: self._promises.make(principal, promise_id, size, copies))

    def give_back(self, promise_id: str) -> None:
        """End a promise, if it has not ended yet."""
        self._promises.give_back(promise_id)

    def check_room(self, principal: Principal, size: int, files: int = 1) -> None:
        """Check that a body of ``size`` bytes can be stored, before it is received.

        :param files: minimum number of files in the body.

        :raises DomainError: ``quota-exceeded``.
        :raises StorageFullError: the disk has no room for it.
        """
        self._check_quota(principal, size, files)
        self.with_room(lambda: self._staging.check_room(size))

    def with_room(self, attempt: Callable[[], T], full: Collection[str] = _NO_ROOM) -> T:
        """Return what ``attempt`` returns; if it finds no room, remove some of what has expired and repeat it once.

        If there is room, housekeeping removes what has expired: no upload should wait for that.

        :param full: the errors that mean 'no room', after which ``attempt`` can be repeated.
        :raises DomainError: ``quota-exceeded``, or any other error of ``attempt``.
        :raises StorageFullError: the disk has no room.
        """
        try:
            return attempt()
        except DomainError as error:
            if error.kind not in full:
                raise
        made = {"files": self._expiry.expire(), "trash": self._trash.end_expired(), "promises": self._promises.expire()}
        if any(made.values()):
            log.info("room made", **made)
        return attempt()

    def _check_quota(self, principal: Principal, size: int, files: int = 1) -> None:
        self.with_room(lambda: self._quota.check(principal, Addition(size, size, files)))

    def store(self, principal: Principal, new: NewFile, reserved: Reserved | None = None) -> File:
        """Store a file; if the idempotency key was used before, return its file.

        :param reserved: bytes that already count towards quotas.
        :raises DomainError: ``quota-exceeded``; ``idempotency-key-reused``, ``-revoked`` or ``-in-use``;
            ``services-only`` if the principal may not name the task that made the file.
        """
        [stored] = self.store_all(principal, [new], reserved)
        if isinstance(stored, DomainError):
            raise stored
        return stored

    def store_all(
        self, principal: Principal, new: Sequence[NewFile], reserved: Reserved | None = None
    ) -> Sequence[File | DomainError]:
        """Store many files as :meth:`store` does, in one transaction.

        :returns: for each upload its file, or ``idempotency-key-reused`` or ``-revoked`` if its key forbids it.
        :raises DomainError: ``idempotency-key-in-use``, ``quota-exceeded`` or ``services-only``; nothing is stored.
        """
        _check_provenance(principal, [file.details for file in new])
        size = sum(file.staged.size for file in new)
        # The transaction checks the quota exactly. Before the bytes are sent to the store, refuse what it would refuse.
        if reserved is None and all(file.key is None for file in new):
            self._check_quota(principal, size, len(new))
        elif reserved is not None:
            used = self._keys.used(principal, [file.key for file in new if file.key is not None])
            count = sum(file.key not in used for file in new)
            self.with_room(lambda: self._quota.check_files(principal, count))
        contents = _in_parallel(self._disk, self._make_durable, [file.staged for file in new])
        for _ in range(MAX_ATTEMPTS - 1):
            # gc removes prepared bytes that wait too long for their file.
            with suppress(OutdatedError):
                return self._store_contents(principal, new, contents, reserved)
        return self._store_contents(principal, new, contents, reserved)

    def copy(self, principal: Principal, new: NewCopy) -> File:
        """Create a file that shares the bytes of its source.

        :raises DomainError: ``file-not-found``, ``quota-exceeded``, or for the idempotency key as in :meth:`store`.
        """
        [copied] = self.copy_all(principal, [new])
        if isinstance(copied, DomainError):
            raise copied
        return copied

    def copy_all(self, principal: Principal, copies: Sequence[NewCopy]) -> Sequence[File | DomainError]:
        """Make many copies as :meth:`copy` does, in one transaction.

        :returns: for each copy its file, or the error of its idempotency key as in :meth:`store_all`.
        :raises DomainError: ``file-not-found`` if a source was just deleted; ``quota-exceeded``;
            ``idempotency-key-in-use``; ``services-only``. Nothing is copied then.
        """
        _check_provenance(principal, [copy.details for copy in copies])
        additions = [
            _NewRow(
                _content_of_row(source),
                name,
                "",
                use,
                _details_of_copy(source, details),
                source.origin if details.task_id is None else RESULT,
            )
            for source, name, use, details in copies
        ]
        return self._add(principal, additions, self._share, partial(self._check_copied, principal))

    def _store_contents(
        self, principal: Principal, new: Sequence[NewFile], contents: Sequence[_Content], reserved: Reserved | None
    ) -> Sequence[File | DomainError]:
        """Store files whose bytes are durable.

        :raises OutdatedError: the store has removed prepared bytes.
        """
        prepared = _in_parallel(self._disk, self._store.prepare, [file.staged for file in new])
        additions = [
            _NewRow(
                content,
                file.name,
                file.comment,
                _use_of_upload(content.blob, file),
                file.details,
                _origin(file.details),
                ready,
            )
            for content, file, ready in zip(contents, new, prepared, strict=True)
        ]
        if reserved is None and len(additions) == 1:
            # A transaction costs more than storing a small file, so share it with other requests.
            return [self._group_commit.do(_Addition(principal, additions[0]))]
        return self._add(principal, additions, self._blobs.reference, partial(self._check_stored, principal, reserved))

    def _was_used(self, principal: Principal, key: str | None) -> bool:
        return key is not None and key in self._keys.used(principal, [key])

    def _add_group(self, group: Sequence[_Addition], progress: GroupProgress) -> Sequence[File | DomainError]:
        """Store additions of one principal in one transaction."""
        principal = group[0].principal
        check = partial(self._check_stored, principal, None)
        return self._add(principal, [addition.new for addition in group], self._blobs.reference, check, progress)

    def _make_durable(self, staged: StagedBlob) -> _Content:
        staged.seal()
        with staged.open() as file:
            media = media_of(file)
            return _Content(SizedBlob(staged.sha256, staged.size), media, taken_at_of(media.media_type, file))

    def _add(
        self,
        principal: Principal,
        additions: Sequence[_NewRow],
        reference: Callable[[Connection, Sequence[SizedBlob]], None],
        check: Callable[[Connection, Sequence[SizedBlob]], None],
        progress: GroupProgress | None = None,
    ) -> Sequence[File | DomainError]:
        # A disk may turn out to be full after some of the files were published, and publishing cannot be repeated.
        return self.with_room(lambda: self._add_once(principal, additions, reference, check, progress), [_QUOTA])

    def _add_once(
        self,
        principal: Principal,
        additions: Sequence[_NewRow],
        reference: Callable[[Connection, Sequence[SizedBlob]], None],
        check: Callable[[Connection, Sequence[SizedBlob]], None],
        progress: GroupProgress | None = None,
    ) -> Sequence[File | DomainError]:
        uses = [use for addition in additions if (use := addition.use) is not None]
        unfinished: Sequence[str] = []
        with conflict_as_in_use([use.key for use in uses]), self._database.begin() as connection:
            earlier = self._keys.made_earlier(connection, principal.owner, uses) if uses else {}
            new = [addition for addition in additions if addition.key not in earlier]
            made: Sequence[File] = []
            if new:
                blobs = [addition.blob for addition in new]
                reference(connection, blobs)
                made = self._insert(connection, principal.owner, new)
                check(connection, blobs)
                if progress is not None:
                    progress.is_final = True
                prepared = [addition.prepared for addition in new if addition.prepared]
                # The blobs' rows are locked, so the bytes cannot be removed before the commit.
                unfinished = self._store.publish(connection, prepared)
            if progress is not None:
                # The next group's statements need not wait for this commit.
                progress.release()
        self._blobs.finish(unfinished)
        for file in made:
            log.info("file stored", file_id=file.id, size=file.size)
        remaining = iter(made)
        return [earlier.get(addition.key or "") or next(remaining) for addition in additions]

    def _insert(self, connection: Connection, owner: str, new: Sequence[_NewRow]) -> Sequence[File]:
        files = files_of(connection.execute(INSERT_FILES, [addition.row(owner) for addition in new]))
        made = {use: file.id for addition, file in zip(new, files, strict=True) if (use := addition.use) is not None}
        self._keys.record(connection, owner, made)
        return files

    def _check_stored(
        self, principal: Principal, reserved: Reserved | None, connection: Connection, blobs: Sequence[SizedBlob]
    ) -> None:
        size = sum(blob.size for blob in blobs)
        if reserved is not None and reserved.upload_id is not None:
            connection.execute(update(Upload).where(Upload.id == reserved.upload_id).values(reserved=0))
        parts = 0 if reserved is None else reserved.parts
        self._quota.check_added(connection, principal, Addition(size, size, len(blobs)), parts)

    def _check_copied(self, principal: Principal, connection: Connection, blobs: Sequence[SizedBlob]) -> None:
        self._quota.check_added(connection, principal, Addition(0, sum(blob.size for blob in blobs), len(blobs)))

    def _share(self, connection: Connection, blobs: Sequence[SizedBlob]) -> None:
        self._blobs.share(connection, [blob.sha256 for blob in blobs])


def _in_parallel(threads: ThreadPoolExecutor, work: Callable[[T], R], items: Sequence[T]) -> Sequence[R]:
    if len(items) == 1:
        return [work(items[0])]
    return list(threads.map(work, items))


def _check_provenance(principal: Principal, new: Sequence[Details]) -> None:
    """Check that only our own processes name the task that made a file.

    :raises DomainError: ``services-only``.
    """
    if any((details.source_id, details.task_id, details.batch_id) != (None, None, None) for details in new):
        check_may_claim(principal)


def check_may_claim(principal: Principal) -> None:
    """Check that a principal may name the task that made a file.

    :raises DomainError: ``services-only``.
    """
    if not principal.is_service:
        detail = sentence("Only Pixmill's own processes may set source_id, task_id and batch_id.")
        raise DomainError("services-only", detail)


def _use_of_upload(blob: SizedBlob, new: NewFile) -> KeyUse | None:
    if new.key is None:
        return None
    parts = [blob.sha256, *new.name, new.comment]
    if new.details.folder or new.details.expires_in:
        # Added only if set, so that fingerprints of other requests stay unchanged.
        parts += [new.details.folder or "", str(new.details.expires_in)]
    return KeyUse(new.key, hashlib.sha256("\0".join(parts).encode()).hexdigest())


def _origin(details: Details) -> str:
    return UPLOAD if details.task_id is None else RESULT


def _details_of_copy(source: File, details: Details) -> Details:
    if details.task_id is not None:
        return details
    # Keep the origin of the bytes, but not the task, which made only one file.
    folder = source.folder if details.folder is None else details.folder
    return details._replace(folder=folder, source_id=source.source_id)


def _content_of_row(file: File) -> _Content:
    media = Media(file.media_type, file.width, file.height)
    return _Content(SizedBlob(file.sha256, file.size), media, file.taken_at)
