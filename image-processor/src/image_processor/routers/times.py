"""Formats times in responses as HTTP dates (RFC 9110, 5.6.7)."""

from werkzeug.http import http_date


def date_or_none(seconds: float | None) -> str | None:
    """Return seconds since 1970 as an HTTP date."""
    return None if seconds is None else http_date(seconds)
