"""Files go out: one as a whole or in ranges, several as an archive, and by signed links."""

import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import IO, Annotated, Any, Literal
from urllib.parse import quote

import svcs
from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, ConfigDict, Field
from service_kit.api import problem_responses
from service_kit.database import MAX_ID
from service_kit.json_types import WHOLE_NUMBER
from service_kit.problems import Problem
from service_kit.query import Query
from service_kit.request_body import described, json_body
from werkzeug.datastructures import Range
from werkzeug.exceptions import RequestedRangeNotSatisfiable
from werkzeug.http import http_date, quote_etag
from werkzeug.wsgi import wrap_file

from file_storage.config import Settings
from file_storage.models import File
from file_storage.routers.conditions import Verdict, range_applies, verdict
from file_storage.routers.digests import digest
from file_storage.routers.files import FilePath
from file_storage.routers.ranges import (
    MAX_COPIED_BYTES,
    MAX_RANGES,
    Span,
    bytes_of,
    multipart,
    single,
    spans,
)
from file_storage.routers.streams import until_broken
from file_storage.services.archive import zip_of
from file_storage.services.files import FileService
from file_storage.services.links import Link, LinkSigner
from file_storage.storage import Staging

downloads = APIBlueprint("downloads", __name__, abp_tags=[Tag(name="files")])

S3_ROOT = "/s3/"
"""nginx's location of blobs in S3."""

ARCHIVE_LIMIT = 1000
MAX_LINK_SECONDS = 7 * 24 * 3600

INLINE_TYPES = frozenset(
    {"text/plain", "image/avif", "image/bmp", "image/gif", "image/heic", "image/jp2", "image/jpeg", "image/png"}
    | {"image/tiff", "image/webp", "image/x-icon", "audio/mpeg", "audio/ogg", "audio/x-wav", "audio/x-flac"}
    | {"video/mp4", "video/mpeg", "video/webm", "video/quicktime", "video/x-matroska"}
)
"""What a browser may show in our own origin: nothing of these can run script."""

_JUDGED_BY_UWSGI = ("If-Modified-Since",)
_JUDGED_BY_OTHERS = ("If-Match", "If-Unmodified-Since", "If-Modified-Since")
"""Conditions that uWSGI, or nginx and S3, judge before they send a file, by their own idea of tag and time."""

_UNCONDITIONAL = "X-Unconditional"
"""The header by which nginx says that it asks once more, for what the client is to have of it and nobody else."""

_USUAL_RANGE = re.compile(r"bytes=(([0-9]{1,18}-[0-9]{0,18}|-[0-9]{1,18})(, ?|$))+")
"""The unit in small letters, no other spaces, and numbers of less than 63 bits."""

_BYTES = {"content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}}
_ZIP = {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}}


class DownloadQuery(Query):
    """How the browser is to take the file."""

    disposition: Literal["attachment", "inline"] = Field(
        "attachment", description="inline lets a browser show what cannot run script; everything else stays attached."
    )


class ArchiveQuery(Query):
    """Which files an archive has."""

    id: list[Annotated[int, Field(ge=1, le=MAX_ID)]] = Field(
        min_length=1, max_length=ARCHIVE_LIMIT, description="File ids, in this order; repeated."
    )


class LinkIn(BaseModel):
    """For how long a link is good."""

    model_config = ConfigDict(extra="forbid")

    expires_in: Annotated[int, WHOLE_NUMBER] = Field(
        3600, ge=1, le=MAX_LINK_SECONDS, description="In seconds, a week at most."
    )


class LinkOut(BaseModel):
    """A link that needs no key."""

    model_config = ConfigDict(title="Link")

    url: str
    expires_at: str = Field(description="As an HTTP date (RFC 9110, 5.6.7).")


class TokenPath(BaseModel):
    token: str = Field(description="What a signed link has for a file.")


_SENT: dict[str | int, type[BaseModel] | dict[Any, Any] | None] = {
    200: _BYTES,
    206: _BYTES,
    304: None,
    **problem_responses(412),
}


@downloads.get("/<int:id>/download", summary="Download a file", responses=_SENT | problem_responses(404, 422))
def download(path: FilePath, query: DownloadQuery) -> Response:
    return _sent(svcs.flask.get(FileService).get(path.id), query.disposition)


@downloads.post(
    "/<int:id>/links",
    summary="Make a link that downloads this file without a key",
    responses={201: LinkOut, **problem_responses(400, 404, 413, 415, 422)},
    openapi_extensions=described(LinkIn),
)
def make_link(path: FilePath) -> Response:
    wanted = json_body(LinkIn)
    file = svcs.flask.get(FileService).get(path.id)
    link = Link(file.id, int(time.time()) + wanted.expires_in)
    url = f"{request.root_url.rstrip('/')}/links/{svcs.flask.get(LinkSigner).sign(link)}"
    body = LinkOut(url=url, expires_at=http_date(link.expires_at)).model_dump_json()
    return Response(body, 201, {"Location": url}, mimetype="application/json")


@downloads.get(
    "/links/<string:token>",
    summary="Download by a signed link",
    responses=_SENT | problem_responses(403, 404, 410, 422),
)
def download_link(path: TokenPath, query: DownloadQuery) -> Response:
    link = svcs.flask.get(LinkSigner).read(path.token)
    return _sent(svcs.flask.get(FileService).get(link.file_id), query.disposition)


@downloads.get(
    "/archive", summary="Download files as a ZIP archive", responses={200: _ZIP, **problem_responses(404, 414, 422)}
)
def archive(query: ArchiveQuery) -> Response:
    service = svcs.flask.get(FileService)
    found = {file.id: file for file in service.existing(query.id)}
    if missing := [file_id for file_id in query.id if file_id not in found]:
        named = ", ".join(map(str, missing[:10]))
        raise Problem("file-not-found", 404, f"There is no file {named}; leave out what does not exist.")
    zipped = zip_of([found[file_id] for file_id in dict.fromkeys(query.id)], service.open)
    response = Response(until_broken(zipped), mimetype="application/zip")
    response.content_length = len(zipped)
    response.headers["Content-Disposition"] = _disposition("attachment", "pixmill.zip")
    return response


def _sent(file: File, disposition: str) -> Response:
    modified = datetime.fromtimestamp(int(file.created_at), UTC)
    headers = {
        "ETag": quote_etag(file.sha256),
        "Last-Modified": http_date(modified),
        "Cache-Control": "no-cache",
        "Repr-Digest": digest(file.sha256),
    }
    judged = verdict(request, file.sha256, modified)
    if judged is Verdict.FAILED:
        raise Problem("precondition-failed", 412, "The file is not the one that If-Match or If-Unmodified-Since name.")
    if judged is Verdict.NOT_MODIFIED:
        return Response(status=304, headers=headers)
    response = Response(status=200, headers=headers, content_type=file.media_type)
    response.headers["Accept-Ranges"] = "bytes"
    shown = disposition == "inline" and file.media_type in INLINE_TYPES
    response.headers["Content-Disposition"] = _disposition(
        "inline" if shown else "attachment", file.name + file.extension
    )
    return _with_bytes(response, file, modified)


def _with_bytes(response: Response, file: File, modified: datetime) -> Response:
    """Lets the web server send the bytes, but for the few requests that it does not answer as they are to be."""
    if request.method == "HEAD":
        response.content_length = file.size
        return response
    wanted = _wanted_ranges(file, modified)
    if wanted is None:
        return _whole(response, file)
    parts = spans(wanted, file.size)
    if not parts:
        detail = f"The file has {file.size} bytes; ask for some of them."
        raise RequestedRangeNotSatisfiable(file.size, description=detail)
    return _ranges(response, file, wanted, parts)


def _wanted_ranges(file: File, modified: datetime) -> Range | None:
    """The ranges that the request asks for; ``None`` where it is answered as if it asked for none."""
    wanted = request.range
    if wanted is None or wanted.units != "bytes" or len(wanted.ranges) > MAX_RANGES:
        return None
    return wanted if range_applies(request, file.sha256, modified) else None


def _whole(response: Response, file: File) -> Response:
    response.headers["Content-Digest"] = digest(file.sha256)
    if "Range" not in request.headers and not _is_judged_again():
        return _handed_over(response, file)
    if _web_server_asks_again():
        return _asked_again([])
    response.content_length = file.size
    return _read_from(response, svcs.flask.get(FileService).open(file))


def _ranges(response: Response, file: File, wanted: Range, parts: Sequence[Span]) -> Response:
    all_ranges = _sends_all_ranges(svcs.flask.get(Settings))
    if not _is_judged_again() and _is_readable() and (all_ranges or _is_plain(wanted, file)):
        return _handed_over(response, file)
    if _web_server_asks_again() and (all_ranges or len(parts) == 1):
        return _asked_again(parts)
    staging = svcs.flask.get(Staging)
    if bytes_of(parts) > min(MAX_COPIED_BYTES, staging.room()):
        return _whole(response, file)
    with svcs.flask.get(FileService).open(file) as content:
        if len(parts) > 1:
            pieces = multipart(response, content, parts, file.size)
        else:
            pieces = single(response, content, parts[0], file.size)
        return _read_from(response, staging.unnamed(pieces))


def _read_from(response: Response, body: IO[bytes]) -> Response:
    """Has uWSGI send a file that has no name for it."""
    response.response = wrap_file(request.environ, body)
    # uWSGI knows the file again only as it is; what reads it piece by piece is a thread in Python.
    response.direct_passthrough = True
    return response


def _is_readable() -> bool:
    """Whether every web server reads the request's Range as it is meant; on others some hang up."""
    return _USUAL_RANGE.fullmatch(request.headers["Range"]) is not None


def _is_plain(wanted: Range, file: File) -> bool:
    """Whether it is one range that reaches neither behind the file nor before it."""
    (first, stop), *others = wanted.ranges
    return not others and -first <= file.size and (stop or 0) <= file.size


def _sends_all_ranges(settings: Settings) -> bool:
    """Whether several ranges are answered: by nginx from its own disk, but neither by uWSGI nor by S3."""
    return settings.download.header == "X-Accel-Redirect" and not settings.storage.url


def _is_judged_again() -> bool:
    settings = svcs.flask.get(Settings)
    sent_by_uwsgi = settings.download.header == "X-Sendfile" and not settings.storage.url
    return any(name in request.headers for name in (_JUDGED_BY_UWSGI if sent_by_uwsgi else _JUDGED_BY_OTHERS))


def _web_server_asks_again() -> bool:
    return svcs.flask.get(Settings).download.header == "X-Accel-Redirect"


def _asked_again(parts: Sequence[Span]) -> Response:
    """Has nginx ask once more, for these parts and without the conditions, which the request has passed."""
    headers = {"X-Accel-Redirect": "/unconditional"}
    if parts:
        headers["X-Range"] = "bytes=" + ",".join(f"{first}-{stop - 1}" for first, stop in parts)
    response = Response(headers=headers)
    del response.headers["Content-Type"]  # nginx would add its charset to the other answer's
    return response


def _handed_over(response: Response, file: File) -> Response:
    settings = svcs.flask.get(Settings)
    location = svcs.flask.get(FileService).location(file)
    response.headers.remove("Accept-Ranges")  # whoever sends the file says so itself
    if settings.download.redirect and _UNCONDITIONAL not in request.headers:
        response.status_code = 307
        response.headers["Location"] = location
    else:
        root = S3_ROOT if settings.storage.url else settings.download.root
        response.headers[settings.download.header] = root + location
    return response


def _disposition(kind: str, name: str) -> str:
    """Content-Disposition (RFC 6266): an ASCII name for old clients, the true one beside it."""
    plain = "".join(c if c.isascii() and c not in '"\\%' else "_" for c in name)
    if plain == name:
        return f'{kind}; filename="{name}"'
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
