"""Receives request bodies: multipart forms, raw bytes, and bodies that the web server has written to a file."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple, cast

from flask import Request, g
from service_kit.front_headers import BODY_FILE, BODY_LENGTH
from service_kit.problems import Problem
from service_kit.texts import sentence
from werkzeug.wsgi import get_input_stream

from file_storage.config import UploadSettings
from file_storage.headers.digests import CheckedBody, check_digest_fields
from file_storage.intake.multipart import BODY_READ_BYTES, Form, boundary_of, read_files, read_parts, too_large
from file_storage.intake.read_ahead import ReadAhead, ReadBody
from file_storage.services.promises import MIN_BYTES
from file_storage.storage import StagedBlob, Staging

MAX_FORM_OVERHEAD = 1024 * 1024
MAX_UNANNOUNCED = 10 * 1024 * 1024
"""Maximum size of a body without Content-Length; nginx has the same limit."""


class _UnannouncedBody(CheckedBody):
    """A body without Content-Length, for which free space was not checked in advance."""

    _left = MAX_UNANNOUNCED

    def read(self, size: int) -> bytes:
        """Return at most ``size`` bytes; none at the end.

        :raises Problem: 411 if the body is too long to be sent without its length; also as in the base class.
        """
        data = super().read(size)
        self._left -= len(data)
        if self._left < 0:
            detail = sentence("An upload without Content-Length may have at most 10 MB; send its length, or use tus.")
            raise Problem("length-required", 411, detail)
        return data


class AnnouncedBody(NamedTuple):
    """What is known of a body before it is read.

    :param size: its size; 0 if that is unknown or does not matter.
    :param promised: the id under which room may have been promised before the web server received the body.
    :param copies: how many times the disk has its bytes until it is stored.
    """

    size: int
    promised: str | None
    copies: int


FORM_COPIES = 2
"""The web server's file, and the staging files to which the files in the form are written."""


def body_of(request: Request, settings: UploadSettings) -> AnnouncedBody:
    """Return what is known of a body that is the file itself.

    :raises Problem: 400 if a client sent the web server's header.
    """
    if _body_path(request, settings) is None:
        return AnnouncedBody(request.content_length or 0, None, 1)
    size = body_length(request) or 0
    # The web server's file is on the disk. If it is small, only the quota matters, and a transaction checks that later.
    return AnnouncedBody(size, cast(str, g.request_id), 1) if size >= MIN_BYTES else AnnouncedBody(0, None, 1)


def form_of(request: Request, settings: UploadSettings) -> AnnouncedBody:
    """Return what is known of a form; if none of its bytes were received, the size is the minimum size of its files.

    :raises Problem: 400 if a client sent the web server's header.
    """
    body = body_of(request, settings)
    if body.promised is not None:
        return body._replace(copies=FORM_COPIES)
    return body._replace(size=max(0, body.size - MAX_FORM_OVERHEAD))


def body_length(request: Request) -> int | None:
    """Return the length that the web server states; ``None`` without it."""
    # int() refuses thousands of digits, which may all be zeros.
    length = request.headers.get(BODY_LENGTH, "")
    return int(length.lstrip("0") or "0") if length.isdigit() else None


def check_raw(request: Request, size: int, settings: UploadSettings) -> None:
    """Check a body that is the file itself before it is read.

    :raises Problem: 413 if ``size`` bytes are too many, 415 if it is encoded, 400 if a digest is malformed.
    """
    if "Content-Encoding" in request.headers:
        detail = sentence("A body is stored as it is sent; send it without Content-Encoding.")
        raise Problem("unsupported-content-encoding", 415, detail)
    check_digest_fields(request.headers)
    if size > settings.max_bytes:
        raise too_large(settings.max_bytes)


def check_form(request: Request, size: int, settings: UploadSettings) -> bytes:
    """Check a form with one file before it is read; return its boundary.

    :raises Problem: 413 if ``size`` bytes are too many; also as in :func:`check_files`.
    """
    boundary = check_files(request)
    check_form_size(size, settings)
    return boundary


def check_files(request: Request) -> bytes:
    """Check a form with many files before it is read; return its boundary.

    :raises Problem: 415 for another content type, 400 without a boundary, or if a digest is malformed.
    """
    check_digest_fields(request.headers)
    return boundary_of(request)


def check_form_size(size: int, settings: UploadSettings) -> None:
    """Check the size of a form before its body is read.

    :raises Problem: 413 if a form of ``size`` bytes must contain a file that is too large.
    """
    if size > settings.max_bytes + MAX_FORM_OVERHEAD:
        raise too_large(settings.max_bytes)


@contextmanager
def receive_form(
    request: Request, staging: Staging, settings: UploadSettings, ahead: ReadAhead
) -> Iterator[tuple[StagedBlob, Form]]:
    """Stage the part ``file`` of a multipart form; yield it with the other fields.

    :raises Problem: 415 for another content type, 400 if malformed, truncated, changed in transit or without exactly
        one part ``file``, 413 if a file or a field is too long, 503 if the body is gone.
    :raises StorageFullError: there is no room.
    """
    path = _body_path(request, settings)
    with ahead.claim(path) as finish, _body(request, path) as body:
        boundary = check_form(request, _size(request, path), settings)
        result = finish()
        if result is not None and result.form is not None and result.boundary == boundary:
            body.check(BODY_READ_BYTES)
            yield result.staged, result.form
            return
        with staging.stage() as staged:
            form = read_parts(body, boundary, staged, settings.max_bytes)
            body.check(BODY_READ_BYTES)
            yield staged, form


@contextmanager
def receive_files(
    request: Request, staging: Staging, settings: UploadSettings, max_files: int
) -> Iterator[tuple[Sequence[tuple[StagedBlob, str]], object]]:
    """Stage every part ``file`` of a multipart form; yield each with its client name, and the parsed part ``json``.

    :raises Problem: 415 for another content type, 400 if malformed, truncated, changed in transit or with too many
        files, 413 if a file or the JSON is too long, 503 if the body is gone.
    :raises StorageFullError: there is no room.
    """
    boundary = check_files(request)
    with _body(request, _body_path(request, settings)) as body, ExitStack() as stack:
        form = read_files(body, boundary, lambda: stack.enter_context(staging.stage()), max_files, settings.max_bytes)
        body.check(BODY_READ_BYTES)
        yield form


@contextmanager
def receive_raw(request: Request, staging: Staging, settings: UploadSettings, ahead: ReadAhead) -> Iterator[StagedBlob]:
    """Stage a body that is the file itself.

    :raises Problem: 400 if truncated or changed in transit, 413 if too long, 415 if encoded, 503 if the body is gone.
    :raises StorageFullError: there is no room.
    """
    path = _body_path(request, settings)
    with ahead.claim(path) as finish, _body(request, path) as body:
        check_raw(request, _size(request, path), settings)
        received = _adopted(path, body, finish, staging) if path else _streamed(body, staging, settings)
        with received as staged:
            yield staged


@contextmanager
def _adopted(
    path: Path, body: CheckedBody, finish: Callable[[], ReadBody | None], staging: Staging
) -> Iterator[StagedBlob]:
    result = finish()
    if result is not None and result.form is None:
        body.check(BODY_READ_BYTES)
        yield result.staged
        return
    with staging.adopt(path, body) as staged:
        body.check(BODY_READ_BYTES)
        yield staged


@contextmanager
def _streamed(body: CheckedBody, staging: Staging, settings: UploadSettings) -> Iterator[StagedBlob]:
    with staging.stage() as staged:
        while data := body.read(BODY_READ_BYTES):
            if staged.size + len(data) > settings.max_bytes:
                raise too_large(settings.max_bytes)
            staged.write(data)
        body.check(BODY_READ_BYTES)
        yield staged


@contextmanager
def _body(request: Request, path: Path | None) -> Iterator[CheckedBody]:
    """Open the body: the web server's file, or the connection if ``path`` is ``None``.

    :raises Problem: 503 if the file is gone or its length is not the client's Content-Length; 411 while reading.
    """
    if path is None:
        kind = CheckedBody if "Content-Length" in request.headers else _UnannouncedBody
        yield kind(get_input_stream(request.environ, max_content_length=None), request.headers)
        return
    try:
        with path.open("rb") as file:
            expected = body_length(request)
            if expected is not None and expected != os.fstat(file.fileno()).st_size:
                detail = sentence("Some of the body's bytes are missing; send the request again.")
                raise Problem("body-incomplete", 503, detail, retry_after=1)
            yield CheckedBody(file, request.headers)
    except FileNotFoundError as error:
        if path.exists():
            raise
        # The client closed the connection, or the request waited until the sweep removed the body.
        detail = sentence("The body was lost; send the request again.")
        raise Problem("body-gone", 503, detail, retry_after=1) from error


def _size(request: Request, path: Path | None) -> int:
    """Return the length of the body in bytes; 0 if it is unknown."""
    return (request.content_length or 0) if path is None else path.stat().st_size


def _body_path(request: Request, settings: UploadSettings) -> Path | None:
    """Return the file to which the web server wrote the body, if any.

    :raises Problem: 400 if the file is outside the settings' folder, because then a client sent the header.
    """
    name = request.headers.get(BODY_FILE)
    if not name or not settings.body_folder:
        return None
    path = Path(settings.body_folder, Path(name).name)
    if str(path) != name:
        raise Problem(
            "invalid-body-file", 400, sentence("Only the web server may send {body_file}.", body_file=BODY_FILE)
        )
    return path
