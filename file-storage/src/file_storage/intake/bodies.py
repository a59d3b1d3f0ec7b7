"""Request bodies on their way into the blob store: multipart forms, raw bytes, and what the web server has kept."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from flask import Request
from service_kit.problems import Problem

from file_storage.config import UploadSettings
from file_storage.headers.digests import CheckedBody, checked_body
from file_storage.intake.multipart import Form, boundary_of, read_files, read_parts, too_large
from file_storage.intake.read_ahead import ReadAhead, ReadBody
from file_storage.storage import StagedBlob, Staging

CHUNK = 1024 * 1024
MAX_FORM_OVERHEAD = 1024 * 1024

BODY_FILE = "X-Body-File"
"""The header by which the web server names the file that it has written a raw body to."""
BODY_LENGTH = "X-Body-Length"
"""The header with the client's Content-Length, where it sent one: so long must that file be."""


def check_form_size(size: int, settings: UploadSettings) -> None:
    """:raises Problem: 413, the file in a form of so many bytes is too long."""
    if size > settings.max_bytes + MAX_FORM_OVERHEAD:
        raise too_large(settings.max_bytes)


@contextmanager
def receive_form(
    request: Request, staging: Staging, settings: UploadSettings, ahead: ReadAhead
) -> Iterator[tuple[StagedBlob, Form]]:
    """Stages the part ``file`` of a multipart form, and gives what stands beside it.

    :raises Problem: 415 another content type, 400 malformed, truncated, changed on its way or not exactly one part
        ``file``, 413 a file or a field too long, 503 the body is gone.
    :raises StorageFullError: there is no room.
    """
    kept = _kept_by_web_server(request, settings)
    with ahead.taken(kept) as finished, _body(request, kept) as body:
        boundary = boundary_of(request)
        check_form_size(_size(request, kept), settings)
        read = finished()
        if read is not None and read.form is not None and read.boundary == boundary:
            body.check(CHUNK)
            yield read.staged, read.form
            return
        with staging.stage() as staged:
            form = read_parts(body, boundary, staged, settings.max_bytes)
            body.check(CHUNK)
            yield staged, form


@contextmanager
def receive_files(
    request: Request, staging: Staging, settings: UploadSettings, max_files: int
) -> Iterator[tuple[Sequence[tuple[StagedBlob, str]], object]]:
    """Stages every part ``file`` of a multipart form, each with its client name; and what the part ``json`` says.

    :raises Problem: 415 another content type, 400 malformed, truncated, changed on its way or with too many files, 413
        a file or the JSON too long, 503 the body is gone.
    :raises StorageFullError: there is no room.
    """
    boundary = boundary_of(request)
    with _body(request, _kept_by_web_server(request, settings)) as body, ExitStack() as stack:
        form = read_files(body, boundary, lambda: stack.enter_context(staging.stage()), max_files, settings.max_bytes)
        body.check(CHUNK)
        yield form


@contextmanager
def receive_raw(request: Request, staging: Staging, settings: UploadSettings, ahead: ReadAhead) -> Iterator[StagedBlob]:
    """Stages a body that is the file itself.

    :raises Problem: 400 truncated or changed on its way, 413 too long, 415 encoded, 503 the body is gone.
    :raises StorageFullError: there is no room.
    """
    if "Content-Encoding" in request.headers:
        detail = "A body is stored as it is sent; send it without Content-Encoding."
        raise Problem("unsupported-content-encoding", 415, detail)
    kept = _kept_by_web_server(request, settings)
    with ahead.taken(kept) as finished, _body(request, kept) as body:
        if _size(request, kept) > settings.max_bytes:
            raise too_large(settings.max_bytes)
        received = _adopted(kept, body, finished, staging) if kept else _streamed(body, staging, settings)
        with received as staged:
            yield staged


@contextmanager
def _adopted(
    path: Path, body: CheckedBody, finished: Callable[[], ReadBody | None], staging: Staging
) -> Iterator[StagedBlob]:
    read = finished()
    if read is not None and read.form is None:
        body.check(CHUNK)
        yield read.staged
        return
    with staging.adopt(path, body) as staged:
        body.check(CHUNK)
        yield staged


@contextmanager
def _streamed(body: CheckedBody, staging: Staging, settings: UploadSettings) -> Iterator[StagedBlob]:
    with staging.stage() as staged:
        while data := body.read(CHUNK):
            if staged.size + len(data) > settings.max_bytes:
                raise too_large(settings.max_bytes)
            staged.write(data)
        body.check(CHUNK)
        yield staged


@contextmanager
def _body(request: Request, kept: Path | None) -> Iterator[CheckedBody]:
    """The body, from the disk where the web server has kept it.

    :raises Problem: 503, the body is not there any more, or not as long as the client has said.
    """
    if kept is None:
        yield checked_body(request)
        return
    try:
        with kept.open("rb") as file:
            expected = request.headers.get(BODY_LENGTH)
            if expected and int(expected) != os.fstat(file.fileno()).st_size:
                detail = "Some of the body's bytes are not there yet; send the request again."
                raise Problem("body-incomplete", 503, detail, retry_after=1)
            yield CheckedBody(file, request.headers)
    except FileNotFoundError as error:
        if kept.exists():
            raise
        # Its client hung up, or the request waited for so long that the body was swept away.
        detail = "The body is not there any more; send the request again."
        raise Problem("body-gone", 503, detail, retry_after=1) from error


def _size(request: Request, kept: Path | None) -> int:
    """Bytes of the body; 0 where that is not told."""
    return (request.content_length or 0) if kept is None else kept.stat().st_size


def _kept_by_web_server(request: Request, settings: UploadSettings) -> Path | None:
    """The file that the web server wrote the body to, where it may name one at all: only in the agreed folder."""
    named = request.headers.get(BODY_FILE)
    if not named or not settings.body_folder:
        return None
    path = Path(settings.body_folder, Path(named).name)
    if str(path) != named:
        raise Problem("invalid-body-file", 400, f"{BODY_FILE} is for the web server alone.")
    return path
