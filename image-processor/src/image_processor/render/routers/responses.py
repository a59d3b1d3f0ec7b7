"""Builds responses of the render service: conditional requests, ranges, problems."""

import json
import os
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from service_kit.languages import headers_of, language_of
from service_kit.problems import Problem
from service_kit.texts import counted, sentence
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

MEDIA_TYPES: Mapping[str, str] = {
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".gif": "image/gif",
    ".tif": "image/tiff",
    ".json": "application/json",
    ".zip": "application/zip",
}
"""Media types by the extension of a result."""
SEND_BYTES = 256 * 1024
"""Bytes of a result per read, which hardly blocks: recently written or read results are in the page cache."""

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def entity_tag(key: str) -> str:
    """Return the strong ETag of a result."""
    return f'"{key}"'


def is_unchanged(request: Request, key: str, modified: int | None) -> bool:
    """Return whether the client already has the result (RFC 9110, 13.1)."""
    tags = request.headers.get("If-None-Match")
    if tags is not None:
        # Compared weakly: a proxy that compresses makes the tag weak.
        known = {tag.strip().removeprefix("W/") for tag in tags.split(",")}
        return "*" in known or entity_tag(key) in known
    since = _time(request.headers.get("If-Modified-Since"))
    return since is not None and modified is not None and modified <= since


def file_response(request: Request, path: Path, size: int, headers: Mapping[str, str], tag: str) -> Response:
    """Return a response with the bytes of a file, or with the single range that the request asks for.

    :raises FileNotFoundError: the file was removed.
    :raises Problem: 416, the range begins after the end.
    """
    first, last, status = 0, size - 1, 200
    found = _wanted_range(request, size, tag)
    sent = dict(headers) | {"Accept-Ranges": "bytes"}
    if found is not None:
        first, last = found
        status = 206
        sent["Content-Range"] = f"bytes {first}-{last}/{size}"
    sent["Content-Length"] = str(last - first + 1)
    if request.method == "HEAD":
        return Response(status_code=status, headers=sent)
    file = path.open("rb")
    if last - first < SEND_BYTES:
        with file:
            return Response(os.pread(file.fileno(), last - first + 1, first), status, sent)
    return StreamingResponse(_pieces(file, first, last), status, sent)


async def _pieces(file: BinaryIO, first: int, last: int) -> AsyncIterator[bytes]:
    with file:
        while first <= last:
            piece = os.pread(file.fileno(), min(SEND_BYTES, last - first + 1), first)
            if not piece:
                return
            first += len(piece)
            yield piece


def not_modified(headers: Mapping[str, str]) -> Response:
    """Return a 304 with the headers that a 200 would have (RFC 9110, 15.4.5)."""
    return Response(status_code=304, headers=dict(headers))


def problem_response(request: Request, problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """Return a problem document in the language of the request, which caches must not keep."""
    language = language_of(request.headers.get("Accept-Language"))
    common = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **headers_of(language)}
    sent = {**common, **(headers or {}), **problem.headers}
    if problem.retry_after is not None and problem.status in (429, 503):
        sent["Retry-After"] = str(problem.retry_after)
    # A detail may name a part of a URL whose bytes are not UTF-8, which JSON cannot contain.
    content = json.dumps(problem.document(language), ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
    return Response(content, problem.status, sent, media_type="application/problem+json")


def nothing_here(request: Request) -> Problem:
    """Return the problem of a path without an endpoint."""
    return Problem("not-found", 404, sentence("There is nothing at this address."), context={"path": request.url.path})


def http_date(seconds: int) -> str:
    """Return an HTTP date."""
    return formatdate(seconds, usegmt=True)


def server_timing(parts: Mapping[str, float], state: str = "miss") -> str:
    """Return a Server-Timing header.

    :param parts: seconds by name.
    :param state: the state of the result: ``hit``, ``joined`` or ``miss``.
    """
    named = [f"{name};dur={seconds * 1000:.1f}" for name, seconds in parts.items()]
    return ", ".join([*named, f"cache;desc={state}"])


def disposition(kind: str, name: str) -> str:
    """Return a Content-Disposition (RFC 6266): an ASCII name for old clients, then the real name."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%/' else "_" for c in name)
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='', errors='replace')}"


def _wanted_range(request: Request, size: int, tag: str) -> tuple[int, int] | None:
    """Return the first and the last byte of the requested range; ``None`` for all bytes, also for several ranges."""
    text = request.headers.get("Range")
    condition = request.headers.get("If-Range")
    if text is None or request.method != "GET" or (condition is not None and condition != tag):
        return None
    found = _RANGE.fullmatch(text.strip())
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        first, last = max(0, size - int(found[2])), size - 1
        reachable = int(found[2]) > 0
    else:
        first = int(found[1])
        last = min(size - 1, int(found[2])) if found[2] else size - 1
        reachable = first < size
        if found[2] and int(found[2]) < first:
            return None
    if not reachable:
        raise Problem(
            "range-not-satisfiable",
            416,
            counted("The picture has {size} byte.", "The picture has {size} bytes.", "size", size=size),
            headers={"Content-Range": f"bytes */{size}"},
        )
    return first, last


def _time(text: str | None) -> float | None:
    # An OverflowError is for a year that no date has.
    with suppress(OverflowError, TypeError, ValueError):
        return parsedate_to_datetime(text or "").timestamp()
    return None
