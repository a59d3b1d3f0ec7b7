"""Digest fields (RFC 9530): verifies those of requests and writes those of responses."""

import hashlib
import hmac
from base64 import b64encode
from typing import IO, cast

import http_sf
from flask import Request
from service_kit.problems import Problem
from service_kit.texts import reason_of, sentence
from werkzeug.datastructures import Headers
from werkzeug.exceptions import ClientDisconnected
from werkzeug.wsgi import get_input_stream

_ALGORITHMS = {"sha-256": hashlib.sha256, "sha-512": hashlib.sha512}
"""The algorithms that RFC 9530 (section 5) calls active."""

_FIELDS = ("Content-Digest", "Repr-Digest")


class CheckedBody:
    """A request body that is compared with the digests in its headers.

    The body is always the whole representation, so both digest fields refer to the same bytes.
    """

    def __init__(self, stream: IO[bytes], headers: Headers) -> None:
        self._stream = stream
        self._expected = [
            (field, name, _ALGORITHMS[name](), digest)
            for field in _FIELDS
            for name, digest in _digests(field, headers.get(field)).items()
        ]

    def read(self, size: int) -> bytes:
        """Return at most ``size`` bytes; none at the end.

        :raises Problem: 400 if the connection broke before the body was complete.
        """
        try:
            data = self._stream.read(size)
        except ClientDisconnected as error:
            detail = sentence("The body ended before its Content-Length; send it again.")
            raise Problem("malformed-upload", 400, detail, context=reason_of(detail)) from error
        except OSError as error:
            detail = sentence("The connection broke before the body was complete; send it again.")
            raise Problem("malformed-upload", 400, detail, context=reason_of(detail)) from error
        for _, _, actual, _ in self._expected:
            actual.update(data)
        return data

    def check(self, chunk: int) -> None:
        """Read the rest, ``chunk`` bytes at a time, and compare the digests.

        :raises Problem: 400 if a digest differs.
        """
        if not self._expected:
            return
        while self.read(chunk):
            pass
        for field, name, actual, digest in self._expected:
            if not hmac.compare_digest(actual.digest(), digest):
                detail = sentence(
                    "The {name} of the body does not match {field}: the body was changed in transit; send it again.",
                    name=name,
                    field=field,
                )
                raise Problem("digest-mismatch", 400, detail)


def check_digest_fields(headers: Headers) -> None:
    """Check the digests of a body that has not come yet.

    :raises Problem: 400 if a field is malformed.
    """
    for field in _FIELDS:
        _digests(field, headers.get(field))


def checked_body(request: Request) -> CheckedBody:
    """Return the request's body, regardless of its length."""
    return CheckedBody(get_input_stream(request.environ, max_content_length=None), request.headers)


def digest(sha256: str) -> str:
    """Return the value of a digest field for a SHA-256 in hexadecimal."""
    return f"sha-256=:{b64encode(bytes.fromhex(sha256)).decode()}:"


def _digests(field: str, value: str | None) -> dict[str, bytes]:
    """Return the digests of known algorithms; ignore others (RFC 9530, section 2).

    :raises Problem: 400 if the field is malformed.
    """
    if value is None:
        return {}
    try:
        members = http_sf.parse(value.encode(), tltype="dictionary")
    except (ValueError, UnicodeEncodeError) as error:
        raise _malformed(field) from error
    digests = {}
    for name, member in cast(dict[str, object], members).items():
        if name in _ALGORITHMS:
            match member:
                case (bytes(digest), _):
                    digests[name] = digest
                case _:
                    raise _malformed(field)
    return digests


def _malformed(field: str) -> Problem:
    return Problem(
        "malformed-digest",
        400,
        sentence("{field} is malformed; it must have the form sha-256=:base64: (RFC 9530).", field=field),
    )
