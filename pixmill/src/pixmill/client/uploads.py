"""Uploads, chosen by size: in batches, as a raw body, or resumable (tus)."""

import hashlib
import json
import os
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from http.client import SERVICE_UNAVAILABLE
from io import BytesIO
from pathlib import Path
from typing import IO, NamedTuple, TypeVar
from urllib.parse import quote
from uuid import uuid4

from pixmill.client.answers import File
from pixmill.client.exchange import Call, Exchange, Operation, Reply, get, json_call, once, work
from pixmill.client.paging import PAGE, following
from pixmill.client.problems import (
    ChangedFileError,
    ConflictError,
    DamagedTransferError,
    InvalidError,
    NotFoundError,
    PixmillError,
    ProblemError,
    SignInError,
    StorageFullError,
    UnavailableError,
    UnexpectedAnswerError,
    UnreachableError,
    UnsendableTextError,
    problem_in,
)
from pixmill.client.stored_names import sent_name, stored_name
from pixmill.client.upload_state import UploadState

T = TypeVar("T")

FILES = "/api/file-server"
UPLOADS = f"{FILES}/uploads"

SMALL = 4 * 2**20
"""Files up to this size in bytes share a request."""
MEDIUM = 16 * 2**20
"""Files up to this size in bytes take one request; larger ones are resumable."""
BATCH_FILES = 50
BATCH_BYTES = 16 * 2**20
UPLOAD_PIECE_BYTES = 8 * 2**20
"""Bytes per request of a resumable upload."""
LONG_COMMENT = 500
"""Maximum characters of a comment in a query string."""
FORBIDDEN_KEY = frozenset({"idempotency-key-reused", "idempotency-key-revoked"})
"""Problems that a retry with the same key does not solve."""
_TUS = {"Tus-Resumable": "1.0.0"}


@dataclass(frozen=True)
class Progress:
    """The progress of a transfer.

    :ivar done: bytes transferred.
    :ivar total: total bytes; ``None`` if unknown.
    :ivar source: what tells transfers with equal names apart: the path of an uploaded file, or the id of a downloaded
    one; ``None`` for uploaded bytes and for archives.
    """

    name: str
    done: int
    total: int | None
    source: Path | int | None = None


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True)
class New:
    """A file to upload.

    :param source: the path of a file, or bytes.
    :param name: the name with its extension.
    :param folder: ``None`` for the folder in ``name``, if any.
    :param expires_in: seconds after which the server deletes the file.
    :param given_key: the idempotency key that the caller chose, if any.
    """

    source: Path | bytes
    name: str
    comment: str = ""
    folder: str | None = None
    expires_in: int | None = None
    given_key: str | None = None
    _own_key: str = field(default_factory=lambda: str(uuid4()), init=False)

    @property
    def key(self) -> str:
        return self.given_key or self._own_key

    @property
    def path(self) -> Path | None:
        return self.source if isinstance(self.source, Path) else None

    @property
    def size(self) -> int:
        return len(self.source) if isinstance(self.source, bytes) else self.source.stat().st_size

    def stamp(self) -> "Stamp | None":
        """Return what changes with the bytes of a local file."""
        return None if isinstance(self.source, bytes) else Stamp.of(self.source.stat())

    def fields(self) -> dict[str, str]:
        """Return the data that the server receives about the file, in addition to its name."""
        given = {"comment": self.comment or None, "folder": self.folder, "expires_in": self.expires_in}
        return {name: str(value) for name, value in given.items() if value is not None}

    def check_texts(self) -> None:
        """Check that the texts can be sent: the name of a local file may have bytes that are not UTF-8.

        :raises UnsendableTextError: one is not valid Unicode.
        """
        for sent in (self.name, self.folder or "", self.comment):
            try:
                sent.encode()
            except UnicodeEncodeError as error:
                raise UnsendableTextError(sent) from error

    def content(self) -> bytes:
        """:raises ChangedFileError: the file has changed meanwhile, so that some bytes may be old and others new."""
        if isinstance(self.source, bytes):
            return self.source
        before = self.stamp()
        content = self.source.read_bytes()
        if self.stamp() != before:
            raise _changed(self)
        return content


class Stamp(NamedTuple):
    """What changes with the bytes of a local file, or if another file gets its name."""

    size: int
    modified_ns: int
    inode: int

    @classmethod
    def of(cls, found: os.stat_result) -> "Stamp":
        return cls(found.st_size, found.st_mtime_ns, found.st_ino)


@dataclass(frozen=True)
class UploadOutcome:
    """The outcome of one of several uploads: a file, or the reason why it was not stored.

    :ivar source: the path or bytes to upload.
    :ivar existed: whether the server already had the same name with the same bytes, so nothing was sent.
    """

    source: Path
    file: File | None = None
    error: PixmillError | OSError | None = None
    existed: bool = False


class UploadOperations:
    """The upload operations.

    :param server: the server's URL, part of the key under which unfinished uploads are remembered.
    """

    def __init__(self, exchange: Exchange, server: str) -> None:
        self._exchange = exchange
        self._server = server

    def upload(self, new: New, on_progress: OnProgress | None = None) -> Operation[File]:
        """Upload a file.

        :raises ProblemError: the server refuses the request.
        :raises ChangedFileError: the local file has changed meanwhile; it is not stored.
        :raises DamagedTransferError: the bytes on the server differ from the local ones.
        :raises UnsendableTextError: the name, the folder or the comment is not valid Unicode.
        """
        new.check_texts()
        size = new.size
        if size > MEDIUM:
            return (yield from _Resumable(self._exchange, self._server, new, on_progress).upload())
        if len(new.comment) > LONG_COMMENT:
            [stored] = yield from self.batch([new])
            if isinstance(stored, File):
                return stored
            raise stored
        content = yield from work(new.content)
        query = [("name", new.name), *new.fields().items()]
        headers = {"Content-Type": "application/octet-stream", "Idempotency-Key": new.key}
        counted = _Counted(new, len(content), on_progress)
        call = Call("PUT", f"{FILES}/", query, headers, content, repeatable=True, on_sent=counted.add)
        reply = yield from self._exchange.send(call)
        counted.finish()
        return _checked(File.of(reply.json()), hashlib.sha256(content).hexdigest(), new.name)

    def batch(self, news: Sequence[New]) -> Operation[list[File | ProblemError | DamagedTransferError]]:
        """Upload small files in one request; return the file or the problem of each.

        :raises UnsendableTextError: a name, a folder or a comment is not valid Unicode.
        """
        for new in news:
            new.check_texts()
        form = yield from work(lambda: _Form.of(news))
        reply = yield from self._exchange.send(form.call())
        results = reply.member("files")
        if not isinstance(results, list) or len(results) != len(news):
            raise UnexpectedAnswerError("the answer does not have as many results as the request had files")
        request_id = reply.headers.get("x-request-id")
        return [
            _result(result, digest, new.name, request_id)
            for result, digest, new in zip(results, form.digests, news, strict=True)
        ]

    def many(
        self, news: Iterable[New], *, skip_existing: bool, on_progress: OnProgress | None = None
    ) -> Iterator[Operation[list[UploadOutcome]]]:
        """Yield operations that together upload many files; a file that fails does not stop the others."""
        for group in _groups(news):
            yield self._group(group, skip_existing=skip_existing, on_progress=on_progress)

    def same(self, new: New) -> Operation[File | None]:
        """Return the stored file that has this name, folder and bytes."""
        new.check_texts()
        digest = yield from work(lambda: _digest(new.source))
        first = (yield from self._by_digest([digest])).get(digest)
        return None if first is None else (yield from self._named(new, first))

    def _by_digest(self, digests: Sequence[str]) -> Operation[dict[str, File]]:
        """Return the first file with each of these digests."""
        call = json_call("POST", f"{FILES}/lookup", {"sha256": list(digests)}, repeatable=True)
        found = (yield from self._exchange.send(call)).member("files")
        files = [File.of(row) for row in found] if isinstance(found, list) else []
        return {file.sha256: file for file in files}

    def _named(self, new: New, first: File) -> Operation[File | None]:
        """Return a file that has the name of ``new`` and the bytes of ``first``."""
        if _is_named(new, first):
            return first
        size = str(first.size)
        name = stored_name(new.name, new.folder).name
        query = [("name", name), ("size_min", size), ("size_max", size), ("limit", str(PAGE))]
        call: Call | None = get(f"{FILES}/", query)
        while call is not None:
            reply = yield from self._exchange.send(call)
            for file in map(File.of, reply.rows()):
                if file.sha256 == first.sha256 and _is_named(new, file):
                    return file
            call = following(call, reply)
        return None

    def _group(
        self, group: Sequence[New], *, skip_existing: bool, on_progress: OnProgress | None
    ) -> Operation[list[UploadOutcome]]:
        ends: list[UploadOutcome | None] = [None] * len(group)
        if skip_existing:
            ends = yield from self._existing(group)
        left = [place for place, end in enumerate(ends) if end is None]
        stored = yield from self._stored([group[place] for place in left], on_progress)
        for place, end in zip(left, stored, strict=True):
            ends[place] = end
        return [end for end in ends if end is not None]

    def _existing(self, group: Sequence[New]) -> Operation[list[UploadOutcome | None]]:
        """Return the outcome of each file that need not or cannot be sent, and ``None`` for the others."""
        ends: list[UploadOutcome | None] = []
        digests: list[str | PixmillError | OSError] = []
        for new in group:
            digests.append((yield from _caught(work(partial(_digest_to_send, new)))))
        known = yield from _caught(self._by_digest([digest for digest in digests if isinstance(digest, str)]))
        if not isinstance(known, dict):
            errors = [known if isinstance(digest, str) else digest for digest in digests]
            return [UploadOutcome(_path(new), error=error) for new, error in zip(group, errors, strict=True)]
        for new, digest in zip(group, digests, strict=True):
            first = known.get(digest) if isinstance(digest, str) else digest
            found = (yield from _caught(self._named(new, first))) if isinstance(first, File) else first
            if isinstance(found, File):
                ends.append(UploadOutcome(_path(new), found, existed=True))
            else:
                ends.append(None if found is None else UploadOutcome(_path(new), error=found))
        return ends

    def _stored(self, news: Sequence[New], on_progress: OnProgress | None) -> Operation[list[UploadOutcome]]:
        results = [] if len(news) < 2 else (yield from _caught(self.batch(news)))
        if isinstance(results, SignInError | UnreachableError | UnavailableError):
            # The server is away, or the key is wrong: each file on its own would fail as well, after all retries.
            return [UploadOutcome(_path(new), error=results) for new in news]
        if not isinstance(results, list) or len(news) == 1:
            # A single file, or a refused batch, perhaps because a file is unreadable: upload each on its own.
            return (yield from self._stored_singly(news, on_progress))
        ends = [_end(new, result) for new, result in zip(news, results, strict=True)]
        for new, end in zip(news, ends, strict=True):
            if on_progress is not None and end.file is not None:
                on_progress(Progress(new.name, end.file.size, end.file.size, new.path))
        return ends

    def _stored_singly(self, news: Sequence[New], on_progress: OnProgress | None) -> Operation[list[UploadOutcome]]:
        """Upload each file in a request of its own, small ones first: if there is no room for one, the others fail too.

        A batch is refused as a whole although some of its files may have room.
        """
        ends: dict[int, UploadOutcome] = {}
        full: StorageFullError | None = None
        for place in sorted(range(len(news)), key=lambda place: _size(news[place])):
            result = full or (yield from _caught(self.upload(news[place], on_progress)))
            if isinstance(result, StorageFullError):
                full = result
            ends[place] = _end(news[place], result)
        return [ends[place] for place in range(len(news))]


class _Resumable:
    """A resumable upload (tus 1.0.0), which continues where the server stopped, even in another process."""

    def __init__(self, exchange: Exchange, server: str, new: New, on_progress: OnProgress | None) -> None:
        self._exchange = exchange
        self._new = new
        self._stamp = new.stamp()
        self._size = new.size if self._stamp is None else self._stamp.size
        self._counted = _Counted(new, self._size, on_progress)
        self._memory = (
            UploadState.of(server, new.source, new.name, self._fields()) if isinstance(new.source, Path) else None
        )
        self._digest = hashlib.sha256()
        self._digested = 0

    def upload(self) -> Operation[File]:
        earlier = yield from self._stored_with_key()
        if earlier is not None:
            return earlier
        upload_id, reply = yield from self._begun()
        offset = _offset(reply)
        while "pixmill-file-id" not in reply.headers:
            self._counted.reach(offset)
            try:
                chunk = yield from work(lambda: self._read(offset))  # noqa: B023 (it runs before the next round)
            except ChangedFileError:
                yield from self._abandoned(upload_id)
                raise
            reply = yield from self._append(upload_id, offset, chunk)
            if not chunk and "pixmill-file-id" not in reply.headers:
                # The upload is complete, but its file has been deleted since.
                upload_id, reply = yield from self._created()
            offset = _offset(reply)
        self._counted.finish()
        digest = yield from work(self._whole_digest)
        stored = yield from self._exchange.send(get(f"{FILES}/{reply.headers['pixmill-file-id']}"))
        # Forget the upload only now: if the program ends before, the next one finds the file and sends no bytes again.
        if self._memory is not None:
            self._memory.forget()
        return _checked(File.of(stored.json()), digest, self._new.name)

    def _stored_with_key(self) -> Operation[File | None]:
        """Return the file of an earlier upload with the caller's key, so that its bytes are not sent again.

        :raises InvalidError: the key belongs to another file.
        """
        if self._new.given_key is None:
            return None
        key = quote(self._new.given_key, safe="")
        try:
            reply = yield from self._exchange.send(get(f"{FILES}/idempotency-keys/{key}"))
        except NotFoundError:
            return None
        file = File.of(reply.json())
        digest = yield from work(lambda: _digest(self._new.source))
        if file.sha256 != digest or file.comment != self._new.comment or not _is_named(self._new, file):
            detail = "This Idempotency-Key was used for another upload; use a new key."
            raise InvalidError(422, "urn:pixmill:problem:idempotency-key-reused", detail=detail)
        self._counted.finish()
        return file

    def _fields(self) -> dict[str, str]:
        key = self._new.given_key
        return self._new.fields() if key is None else {**self._new.fields(), "idempotency_key": key}

    def _begun(self) -> Operation[tuple[str, Reply]]:
        remembered = None if self._memory is None else self._memory.upload_id()
        if remembered is not None:
            try:
                reply = yield from self._state(remembered)
                if "pixmill-file-id" not in reply.headers:
                    return remembered, reply
                # The upload is complete. If its file has been deleted since, upload it again.
                yield from self._exchange.send(get(f"{FILES}/{reply.headers['pixmill-file-id']}"))
            except NotFoundError:
                pass
            else:
                return remembered, reply
        return (yield from self._created())

    def _created(self) -> Operation[tuple[str, Reply]]:
        fields = {"filename": self._new.name, **self._fields()}
        metadata = ",".join(f"{name} {b64encode(value.encode()).decode()}" for name, value in fields.items() if value)
        headers = {**_TUS, "Upload-Length": str(self._size), "Upload-Metadata": metadata}
        reply = yield from self._sent_once(Call("POST", f"{UPLOADS}/", (), headers, b""))
        upload_id = reply.headers.get("location", "").rstrip("/").rpartition("/")[2]
        if not upload_id:
            raise UnexpectedAnswerError("the answer has no Location of an upload")
        if self._memory is not None:
            self._memory.keep(upload_id)
        return upload_id, Reply(200, {**reply.headers, "upload-offset": "0"})

    def _sent_once(self, call: Call) -> Operation[Reply]:
        """Send the call that creates an upload.

        It is not repeated after a lost response, which a gateway reports as 502 or 504: nobody could find the first
        upload, which has a share of the owner's limits until the server deletes it.
        """
        attempt = 0
        while True:
            attempt += 1
            try:
                return (yield from self._exchange.send(call))
            except UnavailableError as problem:
                if problem.status != SERVICE_UNAVAILABLE or attempt >= self._exchange.retries.attempts:
                    raise
                yield self._exchange.retries.pause(attempt, problem.retry_after)

    def _abandoned(self, upload_id: str) -> Operation[None]:
        """Delete the upload; if that fails, the server deletes it later."""
        if self._memory is not None:
            self._memory.forget()
        call = Call("DELETE", f"{UPLOADS}/{upload_id}", (), dict(_TUS), repeatable=True)
        yield from _caught(self._exchange.send(call))

    def _append(self, upload_id: str, offset: int, chunk: bytes) -> Operation[Reply]:
        headers = {**_TUS, "Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
        call = Call("PATCH", f"{UPLOADS}/{upload_id}", (), headers, chunk, on_sent=self._counted.add)
        attempt = 0
        while True:
            attempt += 1
            try:
                reply = yield from once(call)
                if reply.is_success:
                    if self._memory is not None:
                        self._memory.renew()
                    return reply
                problem = reply.problem()
                if problem.kind in FORBIDDEN_KEY and self._memory is not None:
                    # The server never makes a file of this upload, and a program that resumes it would not learn why.
                    self._memory.forget()
                if attempt >= self._exchange.retries.attempts or not (
                    problem.status in (429, 502, 503, 504)
                    or (isinstance(problem, ConflictError) and problem.kind not in FORBIDDEN_KEY)
                ):
                    raise problem
                yield self._exchange.retries.pause(attempt, problem.retry_after)
            except UnreachableError:
                if attempt >= self._exchange.retries.attempts:
                    raise
                yield self._exchange.retries.pause(attempt)
            state = yield from self._state(upload_id)
            if _offset(state) != offset or "pixmill-file-id" in state.headers:
                # The server may have received more than the lost response reported.
                return state

    def _state(self, upload_id: str) -> Operation[Reply]:
        return (yield from self._exchange.send(Call("HEAD", f"{UPLOADS}/{upload_id}", (), dict(_TUS), repeatable=True)))

    def _read(self, offset: int) -> bytes:
        """Return the bytes at an offset.

        :raises ChangedFileError: the file has changed since the upload began. The server has never received its last
        bytes, so it makes no file of old and new ones.
        """
        with self._open() as file:
            self._catch_up(file, offset)
            file.seek(offset)
            chunk = file.read(min(UPLOAD_PIECE_BYTES, self._size - offset))
        if offset < self._size and self._new.stamp() != self._stamp:
            raise _changed(self._new)
        if self._digested == offset:
            self._digest.update(chunk)
            self._digested += len(chunk)
        return chunk

    def _whole_digest(self) -> str:
        if self._digested < self._size:
            with self._open() as file:
                self._catch_up(file, self._size)
        return self._digest.hexdigest()

    def _catch_up(self, file: IO[bytes], offset: int) -> None:
        """Hash the bytes that an earlier process has sent."""
        file.seek(self._digested)
        while self._digested < offset:
            piece = file.read(min(2**20, offset - self._digested))
            if not piece:
                return
            self._digest.update(piece)
            self._digested += len(piece)

    def _open(self) -> IO[bytes]:
        return BytesIO(self._new.source) if isinstance(self._new.source, bytes) else self._new.source.open("rb")


@dataclass(frozen=True)
class _Form:
    """A multipart form with small files.

    :param digests: the SHA-256 of each file, in hexadecimal.
    """

    body: bytes
    boundary: str
    digests: Sequence[str]

    @classmethod
    def of(cls, news: Sequence[New]) -> "_Form":
        boundary = uuid4().hex
        described = [_described(new) for new in news]
        parts = [_part(boundary, 'name="json"', "application/json", json.dumps(described).encode())]
        digests = []
        for number, new in enumerate(news):
            content = new.content()
            digests.append(hashlib.sha256(content).hexdigest())
            # Names go into the JSON part: multipart headers have no agreed encoding for them.
            disposition = f'name="file"; filename="{number}"'
            parts.append(_part(boundary, disposition, "application/octet-stream", content))
        return cls(b"".join([*parts, f"--{boundary}--\r\n".encode()]), boundary, digests)

    def call(self) -> Call:
        headers = {"Content-Type": f"multipart/form-data; boundary={self.boundary}"}
        # Each file has its own idempotency key, so the request may be retried.
        return Call("POST", f"{FILES}/batch", (), headers, self.body, repeatable=True)


class _Counted:
    """Reports the progress of an upload."""

    def __init__(self, new: New, total: int, on_progress: OnProgress | None) -> None:
        self._new = new
        self._total = total
        self._done = 0
        self._on_progress = on_progress

    def add(self, sent: int) -> None:
        # After a lost connection, some bytes are sent twice.
        self.reach(min(self._done + sent, self._total))

    def reach(self, done: int) -> None:
        self._done = done
        if self._on_progress is not None:
            self._on_progress(Progress(self._new.name, done, self._total, self._new.path))

    def finish(self) -> None:
        if self._done != self._total or self._total == 0:
            self.reach(self._total)


def _described(new: New) -> dict[str, object]:
    """Return the JSON object that describes a file in a batch."""
    # A batch takes a slash in a name as a character, not as the end of a folder.
    name, folder = sent_name(new.name, new.folder)
    described: dict[str, object] = {"name": name, "comment": new.comment, "idempotency_key": new.key}
    if folder:
        described["folder"] = folder
    return described if new.expires_in is None else {**described, "expires_in": new.expires_in}


def _groups(news: Iterable[New]) -> Iterator[list[New]]:
    """Yield the files of each request: small ones together, large ones alone."""
    group: list[New] = []
    size = 0
    for new in news:
        bytes_here = _size(new)
        if bytes_here > SMALL:
            yield [new]
            continue
        if len(group) == BATCH_FILES or size + bytes_here > BATCH_BYTES:
            yield group
            group, size = [], 0
        group.append(new)
        size += bytes_here
    if group:
        yield group


def _size(new: New) -> int:
    """Return the size of a file; one that is unreadable counts as large, and its own upload reports the reason."""
    try:
        return new.size
    except OSError:
        return MEDIUM


def _caught(operation: Operation[T]) -> Operation[T | PixmillError | OSError]:
    """Return the result of an operation, or its error."""
    try:
        return (yield from operation)
    except (PixmillError, OSError) as error:
        return error


def _changed(new: New) -> ChangedFileError:
    return ChangedFileError(f"{new.name} has changed while it was uploaded")


def _end(new: New, result: File | PixmillError | OSError) -> UploadOutcome:
    return UploadOutcome(_path(new), result) if isinstance(result, File) else UploadOutcome(_path(new), error=result)


def _path(new: New) -> Path:
    return new.path or Path(new.name)


def _result(
    result: object, digest: str, name: str, request_id: str | None
) -> File | ProblemError | DamagedTransferError:
    if not isinstance(result, Mapping):
        raise UnexpectedAnswerError("a result of the batch is not an object")
    problem = result.get("problem")
    if isinstance(problem, Mapping):
        return problem_in(problem, request_id)
    try:
        return _checked(File.of(result.get("file")), digest, name)
    except DamagedTransferError as error:
        return error


def _checked(file: File, digest: str, name: str) -> File:
    """:raises DamagedTransferError: the bytes on the server differ."""
    if file.sha256 != digest:
        raise DamagedTransferError(f"{name} was damaged in transit or changed during its upload; delete file {file.id}")
    return file


def _is_named(new: New, file: File) -> bool:
    """Return whether a file has the name and the folder under which the server would store this one."""
    return (file.name, file.extension, file.folder) == stored_name(new.name, new.folder)


def _digest_to_send(new: New) -> str:
    """:raises UnsendableTextError: the file cannot be sent."""
    new.check_texts()
    return _digest(new.source)


def _digest(source: Path | bytes) -> str:
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    with source.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _part(boundary: str, disposition: str, media_type: str, content: bytes) -> bytes:
    head = f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\nContent-Type: {media_type}\r\n\r\n"
    return head.encode() + content + b"\r\n"


def _offset(reply: Reply) -> int:
    found = reply.headers.get("upload-offset", "")
    if not found.isdecimal():
        raise UnexpectedAnswerError("the answer has no Upload-Offset")
    return int(found)
