"""Who sends the bytes of a file: a web server, and not a thread of ours piece by piece.

nginx is named the file (``X-Accel-Redirect``), or the client a signed URL; who sends it then judges ranges, and some
conditions, by itself. Where that would not be our answer, nginx asks once more for just the bytes that are to be sent.
The front of the embedded stack (``X-Sendfile``) judges nothing: it sends the bytes that the answer's Content-Length and
Content-Range name. Several ranges it gets as an open file that has no other bytes.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import IO
from urllib.parse import quote

import svcs
from flask import Response, request
from werkzeug.datastructures import Range
from werkzeug.exceptions import RequestedRangeNotSatisfiable
from werkzeug.wsgi import wrap_file

from file_storage.config import Settings
from file_storage.headers.conditions import range_applies
from file_storage.headers.digests import digest
from file_storage.models import File
from file_storage.sending.ranges import MAX_COPIED_BYTES, MAX_RANGES, Span, bytes_of, partial, partial_content, spans
from file_storage.services.files import FileService
from file_storage.storage import Staging

S3_ROOT = "/s3/"
"""nginx's location of blobs in S3."""

_JUDGED_AGAIN = ("If-Match", "If-Unmodified-Since", "If-Modified-Since")
"""Conditions that nginx and S3 judge before they send a file, by their own idea of tag and time."""

_UNCONDITIONAL = "X-Unconditional"
"""The header by which nginx says that it asks once more: for bytes that it sends itself, so for no redirect."""

_USUAL_RANGE = re.compile(r"bytes=(([0-9]{1,18}-[0-9]{0,18}|-[0-9]{1,18})(, ?|$))+")
"""The unit in small letters, no other spaces, and numbers of less than 63 bits."""


def deliver(response: Response, file: File, modified: datetime) -> Response:
    """Has the web server send what the request wants of the file; the conditions have been judged.

    :param modified: in UTC, to the second.
    :raises RequestedRangeNotSatisfiable: none of the wanted ranges is in the file.
    :raises Problem: 404, the bytes are lost.
    """
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
    if _front_sends():
        return _sent_by_front(response, file, (0, file.size))
    if "Range" not in request.headers and not _is_judged_again():
        return _handed_over(response, file)
    if _web_server_asks_again():
        return _asked_again([])
    response.content_length = file.size
    return _read_from(response, svcs.flask.get(FileService).open(file))


def _ranges(response: Response, file: File, wanted: Range, parts: Sequence[Span]) -> Response:
    if _front_sends() and len(parts) == 1:
        return _sent_by_front(partial(response, parts[0], file.size), file, parts[0])
    all_ranges = _web_server_sends_all_ranges()
    if not _is_judged_again() and _is_readable() and (all_ranges or _is_plain(wanted, file)):
        return _handed_over(response, file)
    if _web_server_asks_again() and (all_ranges or len(parts) == 1):
        return _asked_again(parts)
    staging = svcs.flask.get(Staging)
    if bytes_of(parts) > min(MAX_COPIED_BYTES, staging.room()):
        return _whole(response, file)
    with svcs.flask.get(FileService).open(file) as content:
        return _read_from(response, staging.unnamed(partial_content(response, content, parts, file.size)))


def _read_from(response: Response, body: IO[bytes]) -> Response:
    """Have uWSGI send an open file. One in S3, where no nginx asks again, is read through our thread."""
    response.response = wrap_file(request.environ, body)
    # uWSGI knows the file again only as it is; wrapped once more it would be read by Python, a line at a time.
    response.direct_passthrough = True
    return response


def _is_readable() -> bool:
    """Whether every web server reads the request's Range as it is meant; on others some hang up."""
    return _USUAL_RANGE.fullmatch(request.headers["Range"]) is not None


def _is_plain(wanted: Range, file: File) -> bool:
    """Whether it is one range that reaches neither behind the file nor before it."""
    (first, stop), *others = wanted.ranges
    return not others and -first <= file.size and (stop or 0) <= file.size


def _is_judged_again() -> bool:
    return any(name in request.headers for name in _JUDGED_AGAIN)


def _front_sends() -> bool:
    settings = svcs.flask.get(Settings)
    return settings.download.header == "X-Sendfile" and not settings.storage.url


def _web_server_asks_again() -> bool:
    return svcs.flask.get(Settings).download.header == "X-Accel-Redirect"


def _web_server_sends_all_ranges() -> bool:
    """Whether several ranges are answered: by nginx from its own disk, but neither by the front nor by S3."""
    return _web_server_asks_again() and not svcs.flask.get(Settings).storage.url


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
    if settings.download.redirect and _UNCONDITIONAL not in request.headers:
        return _redirected(location)
    root = S3_ROOT if settings.storage.url else settings.download.root
    response.headers[settings.download.header] = root + location
    response.headers.remove("Accept-Ranges")  # nginx says so itself
    return response


def _sent_by_front(response: Response, file: File, part: Span) -> Response:
    """Have the front send one part of the file, or the whole, with the headers that the answer has."""
    location = svcs.flask.get(FileService).location(file)
    # Escaped: a header has no letters beyond Latin-1, and an operator's folder may.
    response.headers["X-Sendfile"] = quote(svcs.flask.get(Settings).download.root + location)
    response.content_length = bytes_of([part])
    return response


def _redirected(location: str) -> Response:
    """Without what is said of the file's bytes, which are not in this answer."""
    response = Response(status=307, headers={"Location": location, "Cache-Control": "no-cache"})
    del response.headers["Content-Type"]
    return response
