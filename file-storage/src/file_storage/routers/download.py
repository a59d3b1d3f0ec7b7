"""The endpoints of downloads: a file whole or in ranges, and several files as an archive."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Literal, Self
from urllib.parse import quote

import svcs
from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag
from pydantic import Field, model_validator
from service_kit import response_headers
from service_kit.access.flask_gate import needs, principal
from service_kit.access.principals import InnerScope, Scope
from service_kit.api import Responses, problem_responses
from service_kit.database import MAX_ID
from service_kit.errors import DomainError, RuleError
from service_kit.json_types import OPTIONAL
from service_kit.problems import Problem
from service_kit.query import Query
from service_kit.request_body import described, json_body
from service_kit.texts import counted, sentence
from werkzeug.http import http_date, quote_etag

from file_storage.config import Settings
from file_storage.headers.conditions import Verdict, verdict
from file_storage.headers.digests import digest
from file_storage.models import File
from file_storage.routers.choices import ChosenIn
from file_storage.routers.schemas import FilePath, FilterQuery
from file_storage.sending.sender import Sender, deliver
from file_storage.sending.streams import until_broken
from file_storage.services.archive import zip_of
from file_storage.services.errors import archive_empty, files_not_found
from file_storage.services.file_rows import SentFile
from file_storage.services.files import FileService
from file_storage.services.listing import FileFilter, Sort
from file_storage.services.names import shown
from file_storage.services.trash import MAX_FILES

downloads = APIBlueprint("downloads", __name__, abp_tags=[Tag(name="files")])

ARCHIVE_LIMIT = 1000
"""Maximum number of ids in a query; a URL has no room for more."""

INLINE_TYPES = frozenset(
    {"text/plain", "image/avif", "image/bmp", "image/gif", "image/heic", "image/heif", "image/jp2", "image/jpeg"}
    | {"image/jxl", "image/png", "image/tiff", "image/webp", "image/x-icon"}
    | {"audio/mpeg", "audio/ogg", "audio/x-wav", "audio/x-flac"}
    | {"video/mp4", "video/mpeg", "video/webm", "video/quicktime", "video/x-matroska"}
)
"""Media types that cannot run scripts, so that a browser may show them in our own origin."""

_BINARY = {"schema": {"type": "string", "format": "binary"}}
# Name the media type, because client generators do not understand */*.
_BYTES: dict[str, object] = {"content": {"application/octet-stream": _BINARY, "*/*": _BINARY}}
_ZIP: dict[str, object] = {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}}


Disposition = Literal["attachment", "inline"]


class DownloadQuery(Query):
    """How a browser should treat the file."""

    disposition: Disposition = Field(
        "attachment",
        description="inline lets a browser display types that cannot run scripts; all other types stay attachments.",
    )


class ArchiveQuery(FilterQuery):
    """Which files an archive contains: those with the ids, or all that match the filters of a list."""

    id: Annotated[
        list[Annotated[int, Field(ge=1, le=MAX_ID)]] | None, Field(min_length=1, max_length=ARCHIVE_LIMIT), OPTIONAL
    ] = Field(None, description="The files' ids, in the archive's order; repeat the parameter. Not with filters.")

    @model_validator(mode="after")
    def _ids_or_filters(self) -> Self:
        filters = self.model_fields_set - {"id", "sort"}
        if self.id is None and not filters:
            raise RuleError("ids_or_filters", sentence("give ids or filters"), ["id"])
        if self.id is not None and (others := sorted(self.model_fields_set - {"id"})):
            detail = sentence("give either ids or filters, not both: {names}", names=", ".join(["id", *others]))
            raise RuleError("ids_and_filters", detail, ["id", *others])
        return self


class ArchiveIn(ChosenIn):
    """The files of an archive: by their ids, in this order, or by the filters of a list."""

    sort: Sort = Field("id", description="The order of the files that match the filter; not with ids.")

    @model_validator(mode="after")
    def _orders_a_filter(self) -> Self:
        if self.ids is not None and "sort" in self.model_fields_set:
            raise RuleError("sort_of_ids", sentence("ids have an order already; omit sort"), ["sort"])
        return self


FILE_RESPONSES: Responses = {
    200: _BYTES,
    206: _BYTES,
    304: None,
    **problem_responses(412),
}
"""OpenAPI responses of endpoints that send a file."""
ARCHIVE_RESPONSES: Responses = {200: _ZIP}
"""OpenAPI response of endpoints that send an archive."""


@downloads.get("/<int:id>/download", summary="Download a file", responses=FILE_RESPONSES | problem_responses(404, 422))
@needs(Scope.FILES_READ, InnerScope.FILES_FETCH)
def download(path: FilePath, query: DownloadQuery) -> Response:
    return send(svcs.flask.get(FileService).get(principal(), path.id), query.disposition)


@downloads.get(
    "/archive",
    summary="Download files as a ZIP archive",
    description="By ids, or by the filters of a list in its order, such as batch_id for the results of a batch. The"
    " setting archive.max_files limits the number of files.",
    responses=ARCHIVE_RESPONSES | problem_responses(404, 414, 422),
)
@needs(Scope.FILES_READ)
def archive(query: ArchiveQuery) -> Response:
    return send_archive(_matching(query.filter()) if query.id is None else _with_ids(query.id, "/id"))


@downloads.post(
    "/archive",
    summary="Download files as a ZIP archive, chosen by many ids or by filters",
    description=f"Like GET, with at most {MAX_FILES} ids in the body. The filters are those of a list, such as"
    " batch_id or task_id for the results of a batch or of tasks.",
    responses=ARCHIVE_RESPONSES | problem_responses(400, 404, 413, 415, 422),
    openapi_extensions=described(ArchiveIn),
)
@needs(Scope.FILES_READ)
def archive_of_many() -> Response:
    wanted = json_body(ArchiveIn)
    if wanted.filter is None:
        return send_archive(_with_ids(wanted.ids or [], "/ids"))
    return send_archive(_matching(replace(wanted.filter.filter(), sort=wanted.sort)))


def _with_ids(ids: Sequence[int], pointer: str) -> Sequence[File]:
    """Return the files with these ids, each once.

    :param pointer: JSON pointer to the ids in the request.
    :raises DomainError: ``archive-too-large``; ``file-not-found``.
    """
    if len(set(ids)) > (limit := _limit()):
        raise _too_large(limit)
    found = {file.id: file for file in svcs.flask.get(FileService).to_send(principal(), ids)}
    if missing := [file_id for file_id in ids if file_id not in found]:
        raise files_not_found(missing, pointer)
    return [found[file_id] for file_id in dict.fromkeys(ids)]


def _matching(file_filter: FileFilter) -> Sequence[File]:
    """Return the files selected by filters.

    :raises DomainError: ``archive-empty`` if no file matches; ``archive-too-large``.
    """
    limit = _limit()
    chosen = svcs.flask.get(FileService).chosen(principal(), file_filter, limit + 1)
    if not chosen:
        raise archive_empty()
    if len(chosen) > limit:
        raise _too_large(limit)
    return chosen


def _limit() -> int:
    return svcs.flask.get(Settings).archive.max_files


def _too_large(limit: int) -> DomainError:
    detail = counted(
        "An archive may have at most {limit} file; choose fewer.",
        "An archive may have at most {limit} files; choose fewer.",
        "limit",
        limit=limit,
    )
    return DomainError("archive-too-large", detail)


def send_archive(files: Sequence[File]) -> Response:
    """Return the response that sends files as a ZIP archive."""
    zipped = zip_of(files, svcs.flask.get(FileService).open)
    response = Response(until_broken(zipped), mimetype="application/zip")
    response.content_length = len(zipped)
    response.headers["Content-Disposition"] = _disposition("attachment", "pixmill.zip")
    response.headers.extend(response_headers.DOWNLOAD)
    return response


def send(file: File, disposition: str) -> Response:
    """Return the response that sends a file, whole or in ranges.

    :param disposition: ``inline`` lets a browser show the file if its type cannot run scripts.
    :raises Problem: 412 if a condition of the request failed; 416 if no wanted range is in the file.
    """
    modified = datetime.fromtimestamp(int(file.created_at), UTC)
    headers = headers_of(file)
    outcome = verdict(request, file.sha256, modified)
    if outcome is Verdict.FAILED:
        raise Problem(
            "precondition-failed",
            412,
            sentence("The file is not the version that If-Match or If-Unmodified-Since requires."),
            context={"name": file.name, "etag": file.sha256},
        )
    if outcome is Verdict.NOT_MODIFIED:
        return Response(status=304, headers=headers)
    response = Response(status=200, headers=headers, content_type=file.media_type)
    response.headers["Accept-Ranges"] = "bytes"
    response.headers["Content-Disposition"] = disposition_of(file, disposition)
    return deliver(response, file, modified, svcs.flask.get(Sender))


def headers_of(file: File | SentFile) -> dict[str, str]:
    """Return the headers shared by all responses with a file's bytes."""
    return {
        "ETag": quote_etag(file.sha256),
        "Last-Modified": http_date(int(file.created_at)),
        "Cache-Control": "no-cache",
        "Repr-Digest": digest(file.sha256),
        **response_headers.DOWNLOAD,
    }


def disposition_of(file: File | SentFile, wanted: str) -> str:
    """Return the Content-Disposition for sending a file."""
    is_inline = wanted == "inline" and file.media_type in INLINE_TYPES
    return _disposition("inline" if is_inline else "attachment", file.name + file.extension)


def _disposition(kind: str, name: str) -> str:
    """Return a Content-Disposition (RFC 6266): an ASCII name for old clients, then the real name."""
    name = shown(name)
    plain = "".join(c if c.isascii() and c not in '"\\%' else "_" for c in name)
    if plain == name:
        return f'{kind}; filename="{name}"'
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
