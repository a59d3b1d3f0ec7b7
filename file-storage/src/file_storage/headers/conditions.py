"""Evaluates conditional requests (RFC 9110, 13)."""

from contextlib import suppress
from datetime import datetime
from enum import Enum

from flask import Request
from werkzeug.http import parse_date, unquote_etag


class Verdict(Enum):
    """The result of a request's conditions, with its status according to RFC 9110."""

    SEND = 200
    NOT_MODIFIED = 304
    FAILED = 412


def verdict(request: Request, etag: str, modified: datetime) -> Verdict:
    """Evaluate the conditions of a GET or HEAD in the order of RFC 9110, 13.2.2.

    :param etag: the strong entity tag without its quotes.
    :param modified: modification time in UTC, in whole seconds.
    """
    if "If-Match" in request.headers:
        if not (request.if_match.star_tag or request.if_match.is_strong(etag)):
            return Verdict.FAILED
    elif (limit := _date(request, "If-Unmodified-Since")) is not None and modified > limit:
        return Verdict.FAILED
    if "If-None-Match" in request.headers:
        if request.if_none_match.star_tag or request.if_none_match.contains_weak(etag):
            return Verdict.NOT_MODIFIED
    elif (known := _date(request, "If-Modified-Since")) is not None and modified <= known:
        return Verdict.NOT_MODIFIED
    return Verdict.SEND


def range_applies(request: Request, etag: str, modified: datetime) -> bool:
    """Return whether If-Range (RFC 9110, 13.1.5) allows the range; a weak tag never does."""
    value = request.headers.get("If-Range")
    if value is None:
        return True
    if value.startswith("W/"):
        return False
    date = _date(request, "If-Range")
    return date == modified if date is not None else unquote_etag(value)[0] == etag


def _date(request: Request, header: str) -> datetime | None:
    """Return the date in a header; ``None`` if it has none, as in RFC 9110, 13.1.3.

    werkzeug's properties fail on a year or an offset that no :class:`datetime.datetime` can have.
    """
    with suppress(OverflowError):
        return parse_date(request.headers.get(header))
    return None
