"""nginx before the service: it gets the name of a file (``X-Accel-Redirect``) and sends it.

nginx judges ranges and some conditions again, by its own rules. Where these are not ours, it asks the service a second
time, for just the bytes that are to be sent and without the conditions, which the request has passed.
"""

from collections.abc import Sequence

from flask import Response, request
from werkzeug.datastructures import Range

from file_storage.models import File
from file_storage.sending.copies import RangeCopies
from file_storage.sending.judged_again import range_is_safe, ranges_are_safe, whole_is_safe
from file_storage.sending.ranges import Span
from file_storage.services.files import FileService

S3_ROOT = "/s3/"
"""nginx's location of blobs in S3."""


class NginxSender:
    """nginx sends from its own disk, where it answers any number of ranges.

    :param root: nginx's location of the blobs.
    """

    def __init__(self, files: FileService, root: str) -> None:
        self._files = files
        self._root = root

    def whole(self, response: Response, file: File) -> Response:
        if not whole_is_safe(request):
            return _ask_again([])
        return _hand_over(response, self._root + self._files.location(file))

    def ranges(self, response: Response, file: File, _wanted: Range, parts: Sequence[Span]) -> Response:
        if not ranges_are_safe(request):
            return _ask_again(parts)
        return _hand_over(response, self._root + self._files.location(file))


class NginxS3Sender:
    """nginx passes on what S3 sends, which answers one range at a time."""

    def __init__(self, files: FileService, copies: RangeCopies) -> None:
        self._files = files
        self._copies = copies

    def whole(self, response: Response, file: File) -> Response:
        if not whole_is_safe(request):
            return _ask_again([])
        return _hand_over(response, S3_ROOT + self._files.location(file))

    def ranges(self, response: Response, file: File, wanted: Range, parts: Sequence[Span]) -> Response | None:
        if range_is_safe(request, wanted, file):
            return _hand_over(response, S3_ROOT + self._files.location(file))
        if len(parts) == 1:
            return _ask_again(parts)
        return self._copies.send(response, file, parts)


def _hand_over(response: Response, location: str) -> Response:
    response.headers["X-Accel-Redirect"] = location
    response.headers.remove("Accept-Ranges")  # nginx adds its own
    return response


def _ask_again(parts: Sequence[Span]) -> Response:
    headers = {"X-Accel-Redirect": "/unconditional"}
    if parts:
        headers["X-Range"] = "bytes=" + ",".join(f"{first}-{stop - 1}" for first, stop in parts)
    response = Response(headers=headers)
    del response.headers["Content-Type"]  # nginx would add its charset to the other answer's
    return response
