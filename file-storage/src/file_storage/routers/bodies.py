"""Request bodies on their way into the blob store: multipart forms, raw bytes, and what the web server has kept."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from flask import Request
from service_kit.problems import Problem

from file_storage.config import UploadSettings
from file_storage.routers.digests import CheckedBody, checked_body
from file_storage.routers.multipart import Form, boundary_of, read_files, read_parts, too_large
from file_storage.storage import StagedBlob, Staging

CHUNK = 256 * 1024
MAX_FORM_OVERHEAD = 1024 * 1024

BODY_FILE = "X-Body-File"
"""The header by which the web server names the file that it has written a raw body to."""


def body_size(request: Request, settings: UploadSettings) -> int:
    """Bytes of the body; 0 where that is not told.

    :raises Problem: 400, the body lies where the web server keeps none; 503, it is gone.
    """
    kept = _kept_by_web_server(request, settings)
    return (request.content_length or 0) if kept is None else kept.stat().st_size


@contextmanager
def receive_form(request: Request, staging: Staging, settings: UploadSettings) -> Iterator[tuple[StagedBlob, Form]]:
    """Stages the part ``file`` of a multipart form, and gives what stands beside it.

    :raises Problem: 415 another content type, 400 malformed, truncated, changed on its way or not exactly one part
        ``file``, 413 a file or a field too long.
    :raises StorageFullError: there is no room.
    """
    boundary = boundary_of(request)
    with _body(request, settings) as body, staging.stage() as staged:
        if body_size(request, settings) > settings.max_bytes + MAX_FORM_OVERHEAD:
            raise too_large(settings.max_bytes)
        form = read_parts(body, boundary, staged, settings.max_bytes)
        body.check(CHUNK)
        yield staged, form


@contextmanager
def receive_files(
    request: Request, staging: Staging, settings: UploadSettings, max_files: int
) -> Iterator[tuple[Sequence[tuple[StagedBlob, str]], object]]:
    """Stages every part ``file`` of a multipart form, each with its client name; and what the part ``json`` says.

    :raises Problem: 415 another content type, 400 malformed, truncated, changed on its way or with too many files, 413
        a file or the JSON too long.
    :raises StorageFullError: there is no room.
    """
    boundary = boundary_of(request)
    with _body(request, settings) as body, ExitStack() as stack:
        form = read_files(body, boundary, lambda: stack.enter_context(staging.stage()), max_files, settings.max_bytes)
        body.check(CHUNK)
        yield form


@contextmanager
def receive_raw(request: Request, staging: Staging, settings: UploadSettings) -> Iterator[StagedBlob]:
    """Stages a body that is the file itself.

    :raises Problem: 400 truncated or changed on its way, 413 too long, 415 encoded.
    :raises StorageFullError: there is no room.
    """
    if "Content-Encoding" in request.headers:
        detail = "A body is stored as it is sent; send it without Content-Encoding."
        raise Problem("unsupported-content-encoding", 415, detail)
    kept = _kept_by_web_server(request, settings)
    with _adopted(request, kept, staging, settings) if kept else _streamed(request, staging, settings) as staged:
        yield staged


@contextmanager
def _adopted(request: Request, path: Path, staging: Staging, settings: UploadSettings) -> Iterator[StagedBlob]:
    if path.stat().st_size > settings.max_bytes:
        raise too_large(settings.max_bytes)
    with path.open("rb") as file:
        CheckedBody(file, request.headers).check(CHUNK)
    with staging.adopt(path) as staged:
        yield staged


@contextmanager
def _streamed(request: Request, staging: Staging, settings: UploadSettings) -> Iterator[StagedBlob]:
    body = checked_body(request)
    with staging.stage() as staged:
        if (request.content_length or 0) > settings.max_bytes:
            raise too_large(settings.max_bytes)
        while data := body.read(CHUNK):
            if staged.size + len(data) > settings.max_bytes:
                raise too_large(settings.max_bytes)
            staged.write(data)
        body.check(CHUNK)
        yield staged


@contextmanager
def _body(request: Request, settings: UploadSettings) -> Iterator[CheckedBody]:
    """The body, from the disk where the web server has kept it."""
    kept = _kept_by_web_server(request, settings)
    if kept is None:
        yield checked_body(request)
        return
    with kept.open("rb") as file:
        yield CheckedBody(file, request.headers)


def _kept_by_web_server(request: Request, settings: UploadSettings) -> Path | None:
    """The file that the web server wrote the body to, where it may name one at all: only in the agreed folder."""
    named = request.headers.get(BODY_FILE)
    if not named or not settings.body_folder:
        return None
    path = Path(settings.body_folder, Path(named).name)
    if str(path) != named:
        raise Problem("invalid-body-file", 400, f"{BODY_FILE} is for the web server alone.")
    if not path.exists():
        # Its client hung up while the request waited, or it waited for so long that the body was swept away.
        raise Problem("body-gone", 503, "The body is not there any more; send the request again.", retry_after=1)
    return path
