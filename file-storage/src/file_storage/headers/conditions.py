"""Evaluates conditional requests (RFC 9110, 13)."""

from datetime import datetime
from enum import Enum

from flask import Request


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
    elif request.if_unmodified_since is not None and modified > request.if_unmodified_since:
        return Verdict.FAILED
    if "If-None-Match" in request.headers:
        if request.if_none_match.star_tag or request.if_none_match.contains_weak(etag):
            return Verdict.NOT_MODIFIED
    elif request.if_modified_since is not None and modified <= request.if_modified_since:
        return Verdict.NOT_MODIFIED
    return Verdict.SEND


def range_applies(request: Request, etag: str, modified: datetime) -> bool:
    """Return whether If-Range (RFC 9110, 13.1.5) allows the range; a weak tag never does."""
    value = request.headers.get("If-Range")
    if value is None:
        return True
    if value.startswith("W/"):
        return False
    condition = request.if_range
    return condition.date == modified if condition.date is not None else condition.etag == etag
