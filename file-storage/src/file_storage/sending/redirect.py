"""Redirects clients to a signed URL of S3 if S3 answers the request correctly."""

from collections.abc import Sequence

from flask import Response, request
from service_kit.front_headers import UNCONDITIONAL
from werkzeug.datastructures import Range

from file_storage.models import File
from file_storage.sending.copies import RangeCopies, send_open
from file_storage.sending.delegation import range_is_safe, whole_is_safe
from file_storage.sending.nginx import NginxS3Sender
from file_storage.sending.ranges import Span
from file_storage.services.files import FileService


class RedirectSender:
    """Redirects to S3; reads from S3 itself if S3 would answer differently."""

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
    """Redirects to S3; makes nginx fetch from S3 if S3 would answer differently."""

    def __init__(self, files: FileService, nginx: NginxS3Sender) -> None:
        self._files = files
        self._nginx = nginx

    def whole(self, response: Response, file: File) -> Response:
        if UNCONDITIONAL not in request.headers and whole_is_safe(request):
            return _redirect(self._files.location(file))
        return self._nginx.whole(response, file)

    def ranges(self, response: Response, file: File, wanted: Range, parts: Sequence[Span]) -> Response | None:
        if UNCONDITIONAL not in request.headers and range_is_safe(request, wanted, file):
            return _redirect(self._files.location(file))
        return self._nginx.ranges(response, file, wanted, parts)


def _redirect(location: str) -> Response:
    # A new response, because headers that describe the file's bytes do not belong in a redirect.
    response = Response(status=307, headers={"Location": location, "Cache-Control": "no-cache"})
    del response.headers["Content-Type"]
    return response
