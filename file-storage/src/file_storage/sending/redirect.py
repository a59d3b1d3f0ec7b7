"""Redirect clients to S3 by a signed URL, where S3 answers as we would."""

from collections.abc import Sequence

from flask import Response, request
from werkzeug.datastructures import Range

from file_storage.models import File
from file_storage.sending.copies import RangeCopies, send_open
from file_storage.sending.delegation import range_is_safe, whole_is_safe
from file_storage.sending.nginx import NginxS3Sender
from file_storage.sending.ranges import Span
from file_storage.services.files import FileService

_UNCONDITIONAL = "X-Unconditional"
"""The header that marks nginx's repeated request: nginx sends these bytes itself, so the answer is no redirect."""


class RedirectSender:
    """Redirects; reads from S3 itself where S3 would answer differently."""

    def __init__(self, files: FileService, copies: RangeCopies) -> None:
        self._files = files
        self._copies = copies

    def whole(self, response: Response, file: File) -> Response:
        if whole_is_safe(request):
            return _redirect(self._files.location(file))
        response.content_length = file.size
        return send_open(response, self._files.open(file))

    def ranges(self, response: Response, file: File, wanted: Range, parts: Sequence[Span]) -> Response | None:
        if range_is_safe(request, wanted, file):
            return _redirect(self._files.location(file))
        return self._copies.send(response, file, parts)


class NginxRedirectSender:
    """Redirects; has nginx fetch from S3 where S3 would answer differently."""

    def __init__(self, files: FileService, nginx: NginxS3Sender) -> None:
        self._files = files
        self._nginx = nginx

    def whole(self, response: Response, file: File) -> Response:
        if _UNCONDITIONAL not in request.headers and whole_is_safe(request):
            return _redirect(self._files.location(file))
        return self._nginx.whole(response, file)

    def ranges(self, response: Response, file: File, wanted: Range, parts: Sequence[Span]) -> Response | None:
        if _UNCONDITIONAL not in request.headers and range_is_safe(request, wanted, file):
            return _redirect(self._files.location(file))
        return self._nginx.ranges(response, file, wanted, parts)


def _redirect(location: str) -> Response:
    # A new response: the headers that describe the file's bytes do not belong to a redirect.
    response = Response(status=307, headers={"Location": location, "Cache-Control": "no-cache"})
    del response.headers["Content-Type"]
    return response
