"""Resumable uploads (tus 1.0.0): any number of requests send the bytes, then the upload becomes a file."""

import hashlib
import re
import secrets
from base64 import b64decode
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from service_kit.access.principals import UNLIMITED, Principal
from service_kit.database import Database, epoch_now
from service_kit.errors import DomainError, FieldError
from service_kit.texts import counted, sentence
from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.orm import Session

from file_storage.models import File, Upload, UploadKind
from file_storage.services.names import FileName
from file_storage.services.promises import Promises
from file_storage.services.quota import Addition, Quota
from file_storage.services.storing import Details, NewFile, Reserved, StoringService
from file_storage.storage import Readable, StagedBlob, Staging
from file_storage.storage.partial import PartialFile, PartialFiles, UploadBusyError

APPEND_BYTES = 64 * 1024
"""Maximum number of bytes of a request that are read and appended at a time."""
JOIN_BYTES = 1024 * 1024
"""Maximum number of bytes per read of a part that is copied into a final upload."""
RESERVE_BYTES = 16 * 1024 * 1024
"""Bytes that an upload of unknown length reserves in advance: a statement for each chunk would slow it down."""
IDEMPOTENCY_KEY = "idempotency_key"
"""The name of the client's own idempotency key in ``Upload-Metadata``."""

_UNFINISHED = (
    select(func.count())
    .select_from(Upload)
    .where(
        Upload.owner == bindparam("owner"),
        Upload.finished.is_(False),
        Upload.expires_at >= epoch_now(),
        Upload.kind != UploadKind.PROMISE,
    )
)

_ID = re.compile(r"[0-9a-f]{32}")


class Checksum(Protocol):
    """The checksum that a client sends with the bytes of one request."""

    def update(self, data: bytes, /) -> None: ...

    def matches(self) -> bool: ...


@dataclass(frozen=True)
class NewUpload:
    """A new upload as described by the client.

    :param length: length in bytes; ``None`` if the client sends it later.
    :param metadata_header: Upload-Metadata as received.
    :param partial: whether the upload will be a part of a final upload.
    :param expires_in: seconds between the upload's completion and the file's expiry.
    """

    length: int | None
    name: FileName
    comment: str
    metadata_header: str
    partial: bool
    folder: str = ""
    expires_in: int | None = None


class UploadProgress(NamedTuple):
    """An upload, and the number of its received bytes."""

    upload: Upload
    offset: int


class UploadService:
    """The rules of resumable uploads. Uploads of other owners are invisible, except to principals that see all.

    An upload counts towards quotas from its creation, with its length or with its received bytes.

    :param max_bytes: maximum length of an upload.
    :param lifetime: seconds without a request after which an upload expires.
    :param max_unfinished: maximum number of unfinished uploads of an owner.
    """

    def __init__(
        self,
        database: Database,
        partials: PartialFiles,
        staging: Staging,
        files: StoringService,
        quota: Quota,
        promises: Promises,
        max_bytes: int,
        lifetime: float,
        max_unfinished: int,
    ) -> None:
        self._database = database
        self._partials = partials
        self._staging = staging
        self._files = files
        self._quota = quota
        self._promises = promises
        self._max_bytes = max_bytes
        self._lifetime = lifetime
        self._max_unfinished = max_unfinished

    def create(self, principal: Principal, new: NewUpload) -> UploadProgress:
        """Create an upload without bytes; an upload of length 0 becomes a file at once.

        :raises DomainError: ``upload-too-long``; ``quota-exceeded``; ``too-many-uploads``.
        """
        self._check_length(new.length)
        self._files.check_room(principal, new.length or 0, files=0 if new.partial else 1)
        kind, concat_header = (UploadKind.PART, "partial") if new.partial else (UploadKind.FILE, None)
        upload = self._files.with_room(lambda: self._insert(principal, new, new.length, kind, concat_header))
        self._partials.create(upload.id)
        return UploadProgress(self.finish(principal, upload) if upload.length == 0 else upload, 0)

    def get(self, principal: Principal, upload_id: str) -> UploadProgress:
        """Return an upload; make it a file if it is complete but a crash interrupted its last request.

        :raises DomainError: ``upload-not-found``; ``upload-expired``, also if its bytes are gone; ``quota-exceeded``.
        """
        upload = self._row(principal, upload_id)
        if upload.finished:
            return _complete(upload)
        size = self._partials.size(upload_id)
        if size is None:
            return _complete(self._reload_finished(principal, upload_id))
        if size == upload.length:
            # The request that sent the last bytes may be about to finish the upload.
            with suppress(UploadBusyError):
                upload = self.finish(principal, upload)
        return UploadProgress(upload, size)

    def append(
        self,
        principal: Principal,
        upload_id: str,
        offset: int,
        length: int | None,
        body: Readable,
        checksum: Checksum | None,
    ) -> UploadProgress:
        """Append a request's bytes at ``offset``; if the connection breaks, keep the bytes received before.

        :param length: length of the whole upload, if the client sends it only now.
        :param checksum: checksum of the request's bytes; if it does not match, they are discarded.
        :raises DomainError: ``upload-not-found`` and ``upload-expired`` as in :meth:`get`; ``offset-mismatch``;
            ``upload-final`` if the upload is made of parts; ``upload-length-known``; ``invalid-upload-length`` if it is
            less than already received; ``upload-too-long``; ``quota-exceeded``; ``checksum-mismatch``.
        :raises UploadBusyError: another request is writing to the upload.
        """
        upload = self._row(principal, upload_id)
        if upload.kind is UploadKind.FINAL:
            raise DomainError("upload-final", sentence("A final upload consists of its parts and accepts no bytes."))
        if not upload.finished:
            try:
                with self._partials.hold(upload_id) as partial:
                    self._check_offset(offset, partial.size)
                    upload = self._files.with_room(lambda: self._with_length(principal, upload, length, partial.size))
                    self._receive(principal, upload, partial, body, checksum)
            except FileNotFoundError:
                upload = self._reload_finished(principal, upload_id)
            else:
                return self.get(principal, upload_id)
        complete = _complete(upload)
        self._check_offset(offset, complete.offset)
        return complete

    def concatenate(self, principal: Principal, parts: Sequence[str], new: NewUpload, concat_header: str) -> Upload:
        """Concatenate finished partial uploads into one file, in this order; a repeated request finds the same file.

        :raises DomainError: ``upload-not-found``; ``upload-no-part``; ``upload-incomplete``; ``upload-too-long``;
            ``quota-exceeded``.
        :raises StorageFullError: the disk has no room for a copy of the parts beyond what others were promised.
        :raises UploadBusyError: a request is writing to a part.
        """
        length = sum(self._length_of_part(principal, part) for part in parts)
        self._check_length(length)
        with ExitStack() as stack:
            promise = self._files.with_room(
                lambda: stack.enter_context(self._promises.promised_on_disk(principal, length))
            )
            staged = stack.enter_context(self._staging.stage_body())
            for part in parts:
                for data in self._bytes_of(part):
                    staged.write(data)
            details = Details(new.folder, new.expires_in)
            key = _own_key(new.metadata_header) or _concatenation_key(parts, new)
            whole = NewFile(staged, new.name, new.comment, key, details)
            # A part that is named twice was reserved only once.
            reserved = sum(self._length_of_part(principal, part) for part in set(parts))
            file = self._files.store(principal, whole, Reserved(promise, reserved))
        return self._insert(principal, new, length, UploadKind.FINAL, concat_header, file)

    def terminate(self, principal: Principal, upload_id: str) -> None:
        """Delete an upload and its bytes, but not the file that it has become.

        :raises DomainError: ``upload-not-found``.
        :raises UploadBusyError: a request is writing to the upload.
        """
        self._row(principal, upload_id)
        self.remove(upload_id)

    def finish(self, principal: Principal, upload: Upload) -> Upload:
        """Turn a complete upload into a file; its idempotency key prevents a second file after a crash.

        :raises DomainError: as :meth:`StoringService.store`, also because of the client's own idempotency key.
        :raises UploadBusyError: a request is writing to the upload.
        """
        if upload.kind is UploadKind.PART:
            return upload
        with ExitStack() as stack:
            try:
                partial = stack.enter_context(self._partials.hold(upload.id))
                content = stack.enter_context(partial.path.open("rb"))
                staged = stack.enter_context(self._staging.adopt(partial.path, content))
            except FileNotFoundError:
                return self._reload_finished(principal, upload.id)
            finished = self._store(principal, upload, staged)
        self._partials.delete(upload.id)
        return finished

    def remove(self, upload_id: str) -> None:
        """Remove an upload, also an expired one, and its bytes.

        :raises UploadBusyError: a request is writing to the upload.
        """
        with suppress(FileNotFoundError), self._partials.hold(upload_id):
            self._partials.delete(upload_id)
        with self._database.write() as session:
            session.execute(delete(Upload).where(Upload.id == upload_id))

    def _insert(
        self,
        principal: Principal,
        new: NewUpload,
        length: int | None,
        kind: UploadKind,
        concat_header: str | None,
        file: File | None = None,
    ) -> Upload:
        upload = Upload(
            id=secrets.token_hex(16),
            owner=principal.owner,
            reserved=0 if file else length or 0,
            length=length,
            metadata_header=new.metadata_header,
            kind=kind,
            concat_header=concat_header,
            name=new.name.name,
            extension=new.name.extension,
            comment=new.comment,
            folder=new.folder,
            expires_in=new.expires_in,
            expires_at=epoch_now() + self._lifetime,
            file_id=file.id if file else None,
            finished=file is not None,
        )
        with self._database.write() as session:
            session.add(upload)
            session.flush()
            if not upload.finished:
                self._check_unfinished(session, upload.owner)
            self._check_reserved(session, principal, upload.reserved)
            session.refresh(upload)
        return upload

    def _row(self, principal: Principal, upload_id: str) -> Upload:
        with self._database.read() as session:
            visible = principal.owns(Upload.owner), Upload.kind != UploadKind.PROMISE
            query = select(Upload, epoch_now()).where(Upload.id == upload_id, *visible)
            found = session.execute(query).one_or_none() if _ID.fullmatch(upload_id) else None
        if found is None:
            raise DomainError("upload-not-found", sentence("There is no such upload; begin a new one."))
        upload, now = found
        if upload.expires_at < now:
            raise DomainError("upload-expired", sentence("This upload has expired; begin a new one."))
        return upload

    def _reload_finished(self, principal: Principal, upload_id: str) -> Upload:
        """Reload an upload that another request has just finished.

        :raises DomainError: ``upload-expired`` if it is not finished and its bytes are gone.
        """
        upload = self._row(principal, upload_id)
        if not upload.finished:
            raise _bytes_gone()
        return upload

    def _receive(
        self,
        principal: Principal,
        upload: Upload,
        partial: PartialFile,
        body: Readable,
        checksum: Checksum | None,
    ) -> None:
        before = partial.size
        limit = self._max_bytes if upload.length is None else upload.length
        reserved = upload.reserved
        try:
            while data := body.read(APPEND_BYTES):
                if partial.size + len(data) > limit:
                    raise DomainError(
                        "upload-too-long",
                        counted(
                            "The upload may have at most {limit} byte.",
                            "The upload may have at most {limit} bytes.",
                            "limit",
                            limit=limit,
                        ),
                    )
                if upload.length is None and partial.size + len(data) > reserved:
                    reserved = self._reserve_ahead(principal, upload, reserved, partial.size + len(data))
                if checksum is not None:
                    checksum.update(data)
                partial.append(data)
            if checksum is not None and not checksum.matches():
                raise DomainError("checksum-mismatch", sentence("The bytes were changed in transit; send them again."))
        except Exception:
            if checksum is not None:
                partial.truncate(before)
            raise
        finally:
            partial.sync()
            if upload.length is None and partial.size < reserved:
                self._reserve(principal, upload, reserved, partial.size)

    def _reserve_ahead(self, principal: Principal, upload: Upload, reserved: int, size: int) -> int:
        """Reserve ``size`` bytes instead of ``reserved``, and more if there is room; return the new reservation.

        :raises DomainError: ``quota-exceeded``.
        """
        with suppress(DomainError):
            return self._reserve(principal, upload, reserved, size + RESERVE_BYTES)
        return self._files.with_room(lambda: self._reserve(principal, upload, reserved, size))

    def _reserve(self, principal: Principal, upload: Upload, reserved: int, size: int) -> int:
        with self._database.write() as session:
            session.execute(update(Upload).where(Upload.id == upload.id).values(reserved=size))
            self._check_reserved(session, _holder(principal, upload), size - reserved)
        return size

    def _check_unfinished(self, session: Session, owner: str) -> None:
        # Concurrent transactions do not count each other's uploads. A few too many do no harm.
        if session.execute(_UNFINISHED, {"owner": owner}).scalar_one() > self._max_unfinished:
            detail = counted(
                "The owner '{owner}' may have at most {limit} unfinished upload; finish or delete one.",
                "The owner '{owner}' may have at most {limit} unfinished uploads; finish or delete one.",
                "limit",
                owner=owner,
                limit=self._max_unfinished,
            )
            raise DomainError("too-many-uploads", detail)

    def _check_reserved(self, session: Session, principal: Principal, more: int) -> None:
        if more > 0:
            self._quota.check_added(session.connection(), principal, Addition(more, more, 0))
            self._promises.check_disk(session.connection(), more)

    def _with_length(self, principal: Principal, upload: Upload, length: int | None, received: int) -> Upload:
        """Record the length if the client sent it only now.

        :param received: bytes received so far.
        :raises DomainError: ``upload-length-known``; ``invalid-upload-length`` if it is less than already received;
            ``upload-too-long``; ``quota-exceeded``.
        """
        with self._database.write() as session:
            values: dict[str, object] = {"expires_at": epoch_now() + self._lifetime}
            if length is not None and length != upload.length:
                if upload.length is not None:
                    detail = counted(
                        "The length of this upload is already set to {length} byte.",
                        "The length of this upload is already set to {length} bytes.",
                        "length",
                        length=upload.length,
                    )
                    raise DomainError("upload-length-known", detail)
                if length < received:
                    detail = counted(
                        "The upload already has {received} byte; its length cannot be {length}.",
                        "The upload already has {received} bytes; its length cannot be {length}.",
                        "received",
                        received=received,
                        length=length,
                    )
                    errors = [FieldError(pointer="/Upload-Length", detail=detail, code="less_than_received")]
                    raise DomainError("invalid-upload-length", detail, errors, context={"header": "Upload-Length"})
                self._check_length(length)
                self._staging.check_room(length - received)
                values |= {"length": length, "reserved": length}
            changed = update(Upload).where(Upload.id == upload.id).values(**values).returning(Upload)
            updated = session.execute(changed).scalar_one()
            self._check_reserved(session, _holder(principal, upload), updated.reserved - upload.reserved)
            return updated

    def _store(self, principal: Principal, upload: Upload, staged: StagedBlob) -> Upload:
        name, details = FileName(upload.name, upload.extension), Details(upload.folder, upload.expires_in)
        key = _own_key(upload.metadata_header) or f"tus-{upload.id}"
        new = NewFile(staged, name, upload.comment, key, details)
        file = self._files.store(_holder(principal, upload), new, Reserved(upload.id))
        with self._database.write() as session:
            values = {"file_id": file.id, "finished": True, "length": staged.size, "reserved": 0}
            changed = update(Upload).where(Upload.id == upload.id).values(**values).returning(Upload)
            return session.execute(changed).scalar_one()

    def _length_of_part(self, principal: Principal, part: str) -> int:
        upload = self._row(principal, part)
        if upload.kind is not UploadKind.PART:
            raise DomainError(
                "upload-no-part", sentence("The upload {part} was not created with Upload-Concat: partial.", part=part)
            )
        if upload.length is None or self._partials.size(part) != upload.length:
            raise DomainError(
                "upload-incomplete", sentence("The part {part} is not complete yet; send the rest first.", part=part)
            )
        return upload.length

    def _bytes_of(self, part: str) -> Iterator[bytes]:
        try:
            with self._partials.hold(part) as partial, partial.path.open("rb") as file:
                while data := file.read(JOIN_BYTES):
                    yield data
        except FileNotFoundError as error:
            raise _bytes_gone() from error

    def _check_length(self, length: int | None) -> None:
        if length is not None and length > self._max_bytes:
            raise DomainError(
                "upload-too-long",
                counted(
                    "An upload may have at most {max_bytes} byte.",
                    "An upload may have at most {max_bytes} bytes.",
                    "max_bytes",
                    max_bytes=self._max_bytes,
                ),
                context={"limit": self._max_bytes},
            )

    def _check_offset(self, offset: int, actual: int) -> None:
        if offset != actual:
            raise DomainError(
                "offset-mismatch",
                counted(
                    "The upload has {actual} byte; continue at this offset.",
                    "The upload has {actual} bytes; continue at this offset.",
                    "actual",
                    actual=actual,
                ),
            )


def _holder(principal: Principal, upload: Upload) -> Principal:
    """Return the owner of the upload's bytes and file as a principal, with the owner's limits if they are known."""
    return principal if principal.owner == upload.owner else Principal(upload.owner, frozenset(), limits=UNLIMITED)


def _own_key(metadata_header: str) -> str | None:
    """Return the client's own idempotency key, if any; the upload's creation has checked ``Upload-Metadata``."""
    pairs = (pair.strip().partition(" ") for pair in metadata_header.split(","))
    keys = [b64decode(encoded).decode() for name, _, encoded in pairs if name == IDEMPOTENCY_KEY]
    return keys[-1] if keys else None


def _concatenation_key(parts: Sequence[str], new: NewUpload) -> str:
    content = "\0".join([*parts, *new.name, new.comment, *filter(None, [new.folder, str(new.expires_in or "")])])
    return f"tus-{hashlib.sha256(content.encode()).hexdigest()}"


def _complete(upload: Upload) -> UploadProgress:
    return UploadProgress(upload, upload.length or 0)


def _bytes_gone() -> DomainError:
    return DomainError("upload-expired", sentence("The bytes of this upload are lost; begin a new one."))
