"""Hands the sending of a file's bytes to a web server or the store, so that it keeps no thread of ours busy."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from flask import Response, request
from service_kit.texts import counted
from werkzeug.datastructures import Range
from werkzeug.exceptions import RequestedRangeNotSatisfiable

from file_storage.headers.conditions import range_applies
from file_storage.headers.digests import digest
from file_storage.models import File
from file_storage.sending.ranges import MAX_RANGES, Span, spans


class Sender(Protocol):
    """A way to send files; each kind of deployment has its own implementation."""

    def whole(self, response: Response, file: File, /) -> Response:
        """Have the whole file sent.

        :raises DomainError: ``bytes-lost``.
        """

    def ranges(self, response: Response, file: File, wanted: Range, parts: Sequence[Span], /) -> Response | None:
        """Have these parts of the file sent; return ``None`` if they have too many bytes to copy.

        :param wanted: the request's ranges.
        :param parts: the spans that the ranges select in the file, at least one.
        :raises DomainError: ``bytes-lost``.
        """


class FolderSender(Sender, Protocol):
    """A sender of files in a folder."""

    def headers_for(self, location: str, size: int, /) -> Mapping[str, str]:
        """Return the headers that make the web server send a whole file, if the request has no ranges and conditions.

        :param location: of the blob, relative to the folder of blobs.
        """


def deliver(response: Response, file: File, modified: datetime, sender: Sender) -> Response:
    """Make ``sender`` send the requested bytes; the request's conditions have already been evaluated.

    :param modified: modification time in UTC, in whole seconds.
    :raises RequestedRangeNotSatisfiable: all ranges are outside the file.
    :raises DomainError: ``bytes-lost``.
    """
    if request.method == "HEAD":
        response.content_length = file.size
        return response
    wanted = _wanted_ranges(file, modified)
    if wanted is not None:
        parts = spans(wanted, file.size)
        if not parts:
            detail = counted(
                "The file has {size} byte; request a range within it.",
                "The file has {size} bytes; request a range within them.",
                "size",
                size=file.size,
            )
            raise RequestedRangeNotSatisfiable(file.size, description=detail)
        if (sent := sender.ranges(response, file, wanted, parts)) is not None:
            return sent
    response.headers["Content-Digest"] = digest(file.sha256)
    return sender.whole(response, file)


def _wanted_ranges(file: File, modified: datetime) -> Range | None:
    """Return the request's ranges; ``None`` if it has no ranges or they must be ignored."""
    wanted = request.range
    if wanted is None or wanted.units != "bytes" or len(wanted.ranges) > MAX_RANGES:
        return None
    return wanted if range_applies(request, file.sha256, modified) else None
