"""Sends files through nginx in front of the service, with ``X-Accel-Redirect``.

nginx evaluates ranges and some conditions again, by its own rules. Where these differ from ours, nginx repeats the
request with the exact ranges to send and without the conditions, which have already been met.
"""

from collections.abc import Mapping, Sequence

from flask import Response, request
from werkzeug.datastructures import Range

from file_storage.models import File
from file_storage.sending.copies import RangeCopies
from file_storage.sending.delegation import range_is_safe, ranges_are_safe, whole_is_safe
from file_storage.sending.ranges import Span
from file_storage.services.files import FileService

ACCELERATED = "X-Accel-Redirect"
"""The header that makes nginx send the bytes at an internal location instead of the response's body."""
S3_ROOT = "/s3/"
"""nginx's location of blobs in S3."""


class NginxSender:
    """Makes nginx send any number of ranges from its own disk.

    :param root: nginx's location of the blobs.
    """

    def __init__(self, files: FileService, root: str) -> None:
        self._files = files
        self._root = root

    def whole(self, response: Response, file: File) -> Response:
        return _send_whole(response, self._files, file, self._root)

    def ranges(self, response: Response, file: File, _wanted: Range, parts: Sequence[Span]) -> Response:
        if not ranges_are_safe(request):
            return _repeat_request(parts)
        return _hand_over(response, self._root + self._files.location(file))

    def headers_for(self, location: str, _size: int) -> Mapping[str, str]:
        return {ACCELERATED: self._root + location, "Content-Length": "0"}


class NginxS3Sender:
    """Makes nginx proxy S3, which sends one range per request."""

    def __init__(self, files: FileService, copies: RangeCopies) -> None:
        self._files = files
        self._copies = copies

    def whole(self, response: Response, file: File) -> Response:
        return _send_whole(response, self._files, file, S3_ROOT)

    def ranges(self, response: Response, file: File, wanted: Range, parts: Sequence[Span]) -> Response | None:
        if range_is_safe(request, wanted, file):
            return _hand_over(response, S3_ROOT + self._files.location(file))
        if len(parts) == 1:
            return _repeat_request(parts)
        return self._copies.send(response, file, parts)


def _send_whole(response: Response, files: FileService, file: File, root: str) -> Response:
    if not whole_is_safe(request):
        return _repeat_request([])
    return _hand_over(response, root + files.location(file))


def _hand_over(response: Response, location: str) -> Response:
    response.headers[ACCELERATED] = location
    response.headers.remove("Accept-Ranges")  # nginx adds its own header
    return response


def _repeat_request(parts: Sequence[Span]) -> Response:
    headers = {ACCELERATED: "/unconditional"}
    if parts:
        headers["X-Range"] = "bytes=" + ",".join(f"{first}-{stop - 1}" for first, stop in parts)
    response = Response(headers=headers)
    del response.headers["Content-Type"]  # nginx would add its charset to the second response's type
    return response
