"""Decides whether nginx or S3 may answer a request, because they evaluate ranges and conditions differently."""

import re

from flask import Request
from werkzeug.datastructures import Range

from file_storage.models import File

_CONDITIONS = ("If-Match", "If-Unmodified-Since", "If-Modified-Since")
"""Conditions that nginx and S3 evaluate before they send a file, with their own entity tag and modification time."""

_USUAL_RANGE = re.compile(r"bytes=(([0-9]{1,18}-[0-9]{0,18}|-[0-9]{1,18})(, ?|$))+")
"""The unit in lower case, no extra spaces, and numbers below 63 bits; some servers close the connection otherwise."""


def whole_is_safe(request: Request) -> bool:
    """Return whether nginx and S3 send the whole file for this request."""
    return "Range" not in request.headers and not _has_condition(request)


def ranges_are_safe(request: Request) -> bool:
    """Return whether nginx sends the request's ranges of a file on its own disk as RFC 9110 requires."""
    return _USUAL_RANGE.fullmatch(request.headers["Range"]) is not None and not _has_condition(request)


def range_is_safe(request: Request, wanted: Range, file: File) -> bool:
    """Return whether S3 sends the request's range: a single range within the file."""
    (first, stop), *others = wanted.ranges
    return not others and -first <= file.size and (stop or 0) <= file.size and ranges_are_safe(request)


def _has_condition(request: Request) -> bool:
    return any(name in request.headers for name in _CONDITIONS)
