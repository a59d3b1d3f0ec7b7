"""Resumable uploads (tus 1.0.0): bytes come in any number of requests, then the upload becomes a file."""

import hashlib
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import structlog
from service_kit.database import Database, epoch_now
from service_kit.errors import DomainError
from sqlalchemy import delete, select, update

from file_storage.models import File, Upload
from file_storage.services.names import FileName
from file_storage.services.storing import StoringService
from file_storage.storage import Readable, StagedBlob, Staging
from file_storage.storage.partial import PartialFile, PartialFiles, UploadBusyError

log = structlog.get_logger()

CHUNK = 64 * 1024
COPY_CHUNK = 1024 * 1024
EXPIRE_SECONDS = 60
"""New uploads remove expired ones at most once in this time."""
EXPIRED_AT_ONCE = 100

_ID = re.compile(r"[0-9a-f]{32}")


class Checksum(Protocol):
    """The checksum that a client sends with the bytes of one request."""

    def update(self, data: bytes, /) -> None: ...

    def matches(self) -> bool: ...


@dataclass(frozen=True)
class Beginning:
    """How a client describes a new upload.

    :param length: in bytes; ``None`` where the client sends it later.
    :param partial: it becomes a part of another upload.
    """

    length: int | None
    name: FileName
    comment: str
    metadata_header: str
    partial: bool


class Progress(NamedTuple):
    """An upload, and how many of its bytes have come."""

    upload: Upload
    offset: int


class UploadService:
    """The rules of resumable uploads.

    :param max_bytes: of one upload.
    :param lifetime: seconds without a request after which an upload is removed.
    """

    def __init__(
        self,
        database: Database,
        partials: PartialFiles,
        staging: Staging,
        files: StoringService,
        max_bytes: int,
        lifetime: float,
    ) -> None:
        self._database = database
        self._partials = partials
        self._staging = staging
        self._files = files
        self._max_bytes = max_bytes
        self._lifetime = lifetime
        self._expire_from = 0.0

    def create(self, beginning: Beginning) -> Progress:
        """Begin an upload without bytes; one of length 0 is a file at once.

        :raises DomainError: ``upload-too-long``.
        """
        self._check_length(beginning.length)
        self._expire_now_and_then()
        upload = self._insert(beginning, beginning.length, "partial" if beginning.partial else None)
        self._partials.create(upload.id)
        return Progress(self._finished(upload) if upload.length == 0 else upload, 0)

    def get(self, upload_id: str) -> Progress:
        """Return an upload; make it a file if it is complete and a crash kept it from becoming one.

        :raises DomainError: ``upload-not-found``; ``upload-expired``, also where its bytes are gone.
        """
        upload = self._row(upload_id)
        if upload.finished:
            return _whole(upload)
        size = self._partials.size(upload_id)
        if size is None:
            return _whole(self._finished_meanwhile(upload_id))
        if size == upload.length:
            # Another request may be about to finish it: the one that brought its last bytes.
            with suppress(UploadBusyError):
                upload = self._finished(upload)
        return Progress(upload, size)

    def append(
        self, upload_id: str, offset: int, length: int | None, body: Readable, checksum: Checksum | None
    ) -> Progress:
        """Add a request's bytes at ``offset``; keep what came before a connection broke.

        :param length: the whole upload's, where the client sends it only now.
        :param checksum: without a match nothing of the request is kept.
        :raises DomainError: ``upload-not-found`` and ``upload-expired`` as :meth:`get`; ``offset-mismatch``;
            ``upload-final``, it is made of parts; ``upload-length-known``; ``invalid-upload-length``, less than what
            has come; ``upload-too-long``; ``checksum-mismatch``.
        :raises UploadBusyError: another request writes to it.
        """
        upload = self._row(upload_id)
        if upload.is_made_of_parts:
            raise DomainError("upload-final", "An upload made of others takes no bytes.")
        if not upload.finished:
            try:
                with self._partials.hold(upload_id) as partial:
                    self._check_offset(offset, partial.size)
                    self._take(self._with_length(upload, length, partial.size), partial, body, checksum)
            except FileNotFoundError:
                upload = self._finished_meanwhile(upload_id)
            else:
                return self.get(upload_id)
        whole = _whole(upload)
        self._check_offset(offset, whole.offset)
        return whole

    def concatenate(self, parts: Sequence[str], beginning: Beginning, concat_header: str) -> Upload:
        """Make one file of finished partial uploads, in this order; a repeated request finds the same file.

        :raises DomainError: ``upload-not-found``; ``upload-no-part``; ``upload-incomplete``; ``upload-too-long``.
        :raises UploadBusyError: a request writes to a part.
        """
        lengths = [self._length_of_part(part) for part in parts]
        self._check_length(sum(lengths))
        with self._staging.stage() as staged:
            for part in parts:
                for data in self._bytes_of(part):
                    staged.write(data)
            file = self._files.store(staged, beginning.name, beginning.comment, _key_of_whole(parts, beginning))
        return self._insert(beginning, sum(lengths), concat_header, file)

    def terminate(self, upload_id: str) -> None:
        """Forget an upload and its bytes; the file that it became stays.

        :raises DomainError: ``upload-not-found``.
        :raises UploadBusyError: a request writes to it.
        """
        self._row(upload_id)
        self._remove(upload_id)

    def expire(self) -> int:
        """Remove expired uploads and return how many; a complete one becomes a file first."""
        with self._database.read() as session:
            old = select(Upload).where(Upload.expires_at < epoch_now()).limit(EXPIRED_AT_ONCE)
            expired = session.scalars(old).all()
        removed = 0
        for upload in expired:
            try:
                if not upload.finished and self._is_complete(upload):
                    self._finished(upload)
                self._remove(upload.id)
                removed += 1
            except DomainError as error:
                log.warning("upload not removed", upload_id=upload.id, reason=str(error))
        return removed

    def collect_garbage(self, older_than_seconds: float) -> int:
        """Remove expired uploads, and bytes of none, which a crash may leave; return how many."""
        removed = 0
        while expired := self.expire():
            removed += expired
        for upload_id in self._partials.stored(older_than_seconds):
            with self._database.read() as session:
                known = session.get(Upload, upload_id) is not None
            if not known:
                self._partials.delete(upload_id)
                removed += 1
        return removed

    def _expire_now_and_then(self) -> None:
        if time.monotonic() < self._expire_from:
            return
        self._expire_from = time.monotonic() + EXPIRE_SECONDS
        self.expire()

    def _insert(
        self, beginning: Beginning, length: int | None, concat_header: str | None, file: File | None = None
    ) -> Upload:
        upload = Upload(
            id=secrets.token_hex(16),
            length=length,
            metadata_header=beginning.metadata_header,
            concat_header=concat_header,
            name=beginning.name.name,
            extension=beginning.name.extension,
            comment=beginning.comment,
            expires_at=epoch_now() + self._lifetime,
            file_id=file.id if file else None,
            finished=file is not None,
        )
        with self._database.write() as session:
            session.add(upload)
            session.flush()
            session.refresh(upload)
        return upload

    def _row(self, upload_id: str) -> Upload:
        with self._database.read() as session:
            known = select(Upload, epoch_now()).where(Upload.id == upload_id)
            found = session.execute(known).one_or_none() if _ID.fullmatch(upload_id) else None
        if found is None:
            raise DomainError("upload-not-found", "There is no such upload; begin a new one.")
        upload, now = found
        if upload.expires_at < now:
            raise DomainError("upload-expired", "This upload has expired; begin a new one.")
        return upload

    def _finished_meanwhile(self, upload_id: str) -> Upload:
        """Read an upload again whose bytes have gone: another request has just made them a file.

        :raises DomainError: ``upload-expired``, they are in no file.
        """
        upload = self._row(upload_id)
        if not upload.finished:
            raise _bytes_gone()
        return upload

    def _take(self, upload: Upload, partial: PartialFile, body: Readable, checksum: Checksum | None) -> None:
        before = partial.size
        limit = self._max_bytes if upload.length is None else upload.length
        try:
            while data := body.read(CHUNK):
                if partial.size + len(data) > limit:
                    raise DomainError("upload-too-long", f"The upload may have {limit} bytes at most.")
                if checksum is not None:
                    checksum.update(data)
                partial.append(data)
            if checksum is not None and not checksum.matches():
                raise DomainError("checksum-mismatch", "The bytes were changed on their way; send them again.")
        except Exception:
            if checksum is not None:
                partial.truncate(before)
            raise
        finally:
            partial.sync()

    def _with_length(self, upload: Upload, length: int | None, reached: int) -> Upload:
        """Record the length that a client names later.

        :param reached: how many bytes have come.
        :raises DomainError: ``upload-length-known``; ``invalid-upload-length``, less than what has come;
            ``upload-too-long``.
        """
        with self._database.write() as session:
            values: dict[str, object] = {"expires_at": epoch_now() + self._lifetime}
            if length is not None and length != upload.length:
                if upload.length is not None:
                    raise DomainError("upload-length-known", f"This upload has {upload.length} bytes already.")
                if length < reached:
                    detail = f"The upload has {reached} bytes already; it cannot have {length} in the end."
                    raise DomainError("invalid-upload-length", detail)
                self._check_length(length)
                values["length"] = length
            changed = update(Upload).where(Upload.id == upload.id).values(**values).returning(Upload)
            return session.scalars(changed).one()

    def _finished(self, upload: Upload) -> Upload:
        """Make a complete upload a file; its key makes it one file even where a crash comes in between."""
        if upload.is_part:
            return upload
        with ExitStack() as held:
            try:
                partial = held.enter_context(self._partials.hold(upload.id))
                content = held.enter_context(partial.path.open("rb"))
                staged = held.enter_context(self._staging.adopt(partial.path, content))
            except FileNotFoundError:
                return self._finished_meanwhile(upload.id)
            finished = self._stored(upload, staged)
        self._partials.delete(upload.id)
        return finished

    def _stored(self, upload: Upload, staged: StagedBlob) -> Upload:
        name = FileName(upload.name, upload.extension)
        file = self._files.store(staged, name, upload.comment, f"tus-{upload.id}")
        with self._database.write() as session:
            values = {"file_id": file.id, "finished": True, "length": staged.size}
            done = update(Upload).where(Upload.id == upload.id).values(**values).returning(Upload)
            return session.scalars(done).one()

    def _is_complete(self, upload: Upload) -> bool:
        return upload.length is not None and self._partials.size(upload.id) == upload.length

    def _remove(self, upload_id: str) -> None:
        with suppress(FileNotFoundError), self._partials.hold(upload_id):
            self._partials.delete(upload_id)
        with self._database.write() as session:
            session.execute(delete(Upload).where(Upload.id == upload_id))

    def _length_of_part(self, part: str) -> int:
        upload = self._row(part)
        if not upload.is_part:
            raise DomainError("upload-no-part", f"The upload {part} was not begun with Upload-Concat: partial.")
        if upload.length is None or self._partials.size(part) != upload.length:
            raise DomainError("upload-incomplete", f"The part {part} is not complete yet; send its rest first.")
        return upload.length

    def _bytes_of(self, part: str) -> Iterator[bytes]:
        try:
            with self._partials.hold(part) as partial, partial.path.open("rb") as file:
                while data := file.read(COPY_CHUNK):
                    yield data
        except FileNotFoundError as error:
            raise _bytes_gone() from error

    def _check_length(self, length: int | None) -> None:
        if length is not None and length > self._max_bytes:
            raise DomainError("upload-too-long", f"An upload may have {self._max_bytes} bytes at most.")
        self._files.check_room(length or 0)

    def _check_offset(self, offset: int, actual: int) -> None:
        if offset != actual:
            raise DomainError("offset-mismatch", f"The upload has {actual} bytes; ask with HEAD and go on from there.")


def _key_of_whole(parts: Sequence[str], beginning: Beginning) -> str:
    whole = "\0".join([*parts, *beginning.name, beginning.comment])
    return f"tus-{hashlib.sha256(whole.encode()).hexdigest()}"


def _whole(upload: Upload) -> Progress:
    return Progress(upload, upload.length or 0)


def _bytes_gone() -> DomainError:
    return DomainError("upload-expired", "The bytes of this upload are gone; begin a new one.")
