"""Checks a request's framing and target where h11 does not."""

import re

from service_kit.problems import Problem
from starlette.types import Scope

MAX_HEAD_BYTES = 32 * 1024
"""Maximum bytes of the request line and the headers together."""
HEAD_TOO_LARGE = f"The request line and the headers together may have at most {MAX_HEAD_BYTES} bytes."

_MAX_LENGTH_DIGITS = 18
_HOST = re.compile(rb"(?:\[[0-9A-Fa-fv:.]+\]|[\w\-.~!$&'()*+,;=%]*)(?::\d*)?")
"""A host with an optional port, or nothing (RFC 3986, 3.2.2; RFC 9110, 7.2)."""


def check_framing(scope: Scope) -> None:
    """Check the headers that decide where a request ends (RFC 9112, 6), and their size.

    :raises Problem: 400, the request is ambiguous or its Host is invalid; 413, the declared length is too large for any
        file; 414 and 431, the target or the head is too large; 505, not HTTP/1.
    """
    # h11 checks the size of a head only while it is incomplete.
    target_bytes = len(scope["raw_path"]) + len(scope["query_string"])
    if target_bytes > MAX_HEAD_BYTES:
        raise Problem("uri-too-long", 414, HEAD_TOO_LARGE)
    if target_bytes + sum(len(name) + len(value) + 4 for name, value in scope["headers"]) > MAX_HEAD_BYTES:
        raise Problem("head-too-large", 431, HEAD_TOO_LARGE)
    if not scope["http_version"].startswith("1."):
        raise Problem("http-version-not-supported", 505, "This server supports HTTP/1.1.")
    headers = dict(scope["headers"])
    if b"transfer-encoding" in headers:
        if b"content-length" in headers:
            raise _ambiguous("The request has both Content-Length and Transfer-Encoding; send only one of them.")
        if scope["http_version"] == "1.0":
            raise _ambiguous("HTTP/1.0 has no Transfer-Encoding; send Content-Length.")
    if not _HOST.fullmatch(headers.get(b"host", b"")):
        raise _ambiguous("The Host header must be a host name or an address, optionally with a port (RFC 9112, 3.2).")
    if len(headers.get(b"content-length", b"")) > _MAX_LENGTH_DIGITS:
        raise Problem("body-too-large", 413, "The declared Content-Length is too large.")


def in_origin_form(scope: Scope) -> Scope:
    """Return the request with a path as its target; an absolute URL (RFC 9112, 3.2.2) becomes path and Host."""
    scheme, slashes, rest = scope["raw_path"].partition(b"://")
    if scheme.lower() not in (b"http", b"https") or not slashes:
        return scope
    authority, slash, path = rest.partition(b"/")
    others = [(name, value) for name, value in scope["headers"] if name != b"host"]
    decoded = scope["path"].partition("://")[2].partition("/")[2]
    return {
        **scope,
        "raw_path": slash + path or b"/",
        "path": f"/{decoded}",
        "headers": [(b"host", authority), *others],
    }


def _ambiguous(detail: str) -> Problem:
    return Problem("malformed-request", 400, detail)
