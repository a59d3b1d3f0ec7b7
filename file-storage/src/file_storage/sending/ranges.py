"""Builds responses to range requests (RFC 9110, 14)."""

import secrets
from collections.abc import Iterator, Sequence
from typing import IO

from flask import Response
from service_kit.errors import DomainError
from service_kit.texts import sentence
from werkzeug.datastructures import Range

from file_storage.storage import READ_BYTES

MAX_RANGES = 32
"""A request with more ranges may be an attack (RFC 9110, 17.15) and gets the whole file."""
MAX_COPIED_BYTES = 64 * 1024 * 1024
"""Ranges up to this size in total are copied; for more, the web server sends the whole file. nginx buffers this much of
a response for a slow client (proxy_max_temp_file_size)."""

Span = tuple[int, int]
"""The offset of the first byte, and the offset after the last byte."""


def spans(wanted: Range, size: int) -> list[Span]:
    """Return the spans that the requested ranges select in a file of ``size`` bytes; skip ranges outside it."""
    found = []
    for start, stop in wanted.ranges:
        first = max(0, size + start) if start < 0 else start
        last = size if stop is None else min(stop, size)
        if first < last:
            found.append((first, last))
    return found


def bytes_of(parts: Sequence[Span]) -> int:
    """Return the sum of the parts' lengths in bytes."""
    return sum(stop - first for first, stop in parts)


def partial_content(response: Response, file: IO[bytes], parts: Sequence[Span], size: int) -> Iterator[bytes]:
    """Make the response a 206 (RFC 9110, 15.3.7) and return its body.

    :param size: the size of the whole file.
    :raises DomainError: ``bytes-lost`` during iteration if the file is shorter than ``size``.
    """
    if len(parts) > 1:
        return _multipart(response, file, parts, size)
    partial(response, parts[0], size)
    return _pieces(file, [(b"", parts[0])], b"")


def partial(response: Response, part: Span, size: int) -> Response:
    """Make the response a 206 for one part (RFC 9110, 15.3.7.1).

    :param size: the size of the whole file.
    """
    first, stop = part
    response.status_code = 206
    response.headers["Content-Range"] = f"bytes {first}-{stop - 1}/{size}"
    response.content_length = stop - first
    return response


def _multipart(response: Response, file: IO[bytes], parts: Sequence[Span], size: int) -> Iterator[bytes]:
    """Make the response ``multipart/byteranges`` (RFC 9110, 14.6) and yield its body."""
    boundary = secrets.token_hex(16)
    heads = [
        f"\r\n--{boundary}\r\nContent-Type: {response.content_type}\r\n"
        f"Content-Range: bytes {first}-{stop - 1}/{size}\r\n\r\n".encode()
        for first, stop in parts
    ]
    tail = f"\r\n--{boundary}--\r\n".encode()
    response.status_code = 206
    response.content_type = f"multipart/byteranges; boundary={boundary}"
    response.content_length = len(tail) + sum(map(len, heads)) + bytes_of(parts)
    return _pieces(file, list(zip(heads, parts, strict=True)), tail)


def _pieces(file: IO[bytes], parts: Sequence[tuple[bytes, Span]], tail: bytes) -> Iterator[bytes]:
    for head, (first, stop) in parts:
        yield head
        file.seek(first)
        while first < stop:
            piece = file.read(min(READ_BYTES, stop - first))
            if not piece:
                detail = sentence("Some of the file's bytes are lost; upload the same bytes again to restore them.")
                raise DomainError("bytes-lost", detail, context={"file_id": None})
            first += len(piece)
            yield piece
    yield tail
