"""Copies ranges to a temporary file that uWSGI sends, if no web server would send them as RFC 9110 requires."""

from collections.abc import Sequence
from typing import IO

from flask import Response, request
from werkzeug.wsgi import wrap_file

from file_storage.models import File
from file_storage.sending.ranges import MAX_COPIED_BYTES, Span, bytes_of, partial_content
from file_storage.services.files import FileService
from file_storage.storage import Staging


class RangeCopies:
    """Copies ranges to a temporary file before they are sent, if the disk has room."""

    def __init__(self, files: FileService, staging: Staging) -> None:
        self._files = files
        self._staging = staging

    def send(self, response: Response, file: File, parts: Sequence[Span]) -> Response | None:
        """Copy the parts and make uWSGI send them; return ``None`` if they have too many bytes.

        :raises DomainError: ``bytes-lost``.
        """
        if bytes_of(parts) > min(MAX_COPIED_BYTES, self._staging.room()):
            return None
        with self._files.open(file) as content:
            pieces = partial_content(response, content, parts, file.size)
            return send_open(response, self._staging.temporary_file(pieces))


def send_open(response: Response, body: IO[bytes]) -> Response:
    """Make uWSGI send an open file; an object in S3 is read by our thread."""
    response.response = wrap_file(request.environ, body)
    # uWSGI recognizes only its own wrapper; inside another iterator Python would read the file line by line.
    response.direct_passthrough = True
    return response
